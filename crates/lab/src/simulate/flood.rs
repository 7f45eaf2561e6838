//! Floods from one or a handful of sources, each far faster than people.

use super::actor::{Call, Client, Family, Pace, Stage};
use super::agents::AgentKind;
use super::assets::Asset;
use super::dice::Dice;
use super::route::Query;
use super::site::Style;
use super::words::word;
use std::sync::Arc;
use tidegate_behavior::Method;

/// A few sources at many requests a second.
pub(super) struct Flood;

/// What a flood asks for.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// One path, the same for all.
    One(usize, Arc<str>),
    /// One route, with a query that no cache knows.
    Busting(usize, Arc<str>),
    /// Any page or item.
    Random,
    /// A handful of paths.
    Few(Vec<(usize, Arc<str>)>),
    /// Searches, which cost the most.
    Search(usize),
    /// Writes.
    Post(Arc<str>),
    /// Large assets.
    Asset(Asset),
    /// What does not exist.
    Junk,
}

impl Target {
    pub(super) fn draw(stage: &mut Stage<'_>) -> Self {
        let site = stage.site;
        let route = site.readable(&mut stage.dice);
        let path = stage.popular(route);
        match stage.dice.below(11) {
            0..=2 => Self::One(route, path),
            3 => Self::Busting(route, path),
            4 | 5 => Self::Random,
            6 => {
                let few = stage.dice.count(2, 12);
                Self::Few(
                    (0..few)
                        .map(|_| {
                            let route = site.readable(&mut stage.dice);
                            (route, stage.popular(route))
                        })
                        .collect(),
                )
            }
            7 => Self::Search(route),
            8 => {
                let login = stage.dice.chance(0.5);
                Self::Post(if login { site.login.path.as_str().into() } else { path })
            }
            9 => Self::Asset(Asset::Picture(route, 0, 0)),
            _ => Self::Junk,
        }
    }

    /// One request at the target.
    pub(super) fn hit(&self, stage: &mut Stage<'_>, client: &Client, at: f64, referer: &Arc<str>) {
        let site = stage.site;
        match self {
            Self::One(route, path) => {
                stage.ask(client, at, *route, path.clone(), referer.clone());
            }
            Self::Busting(route, path) => {
                let mark = if path.contains('?') { '&' } else { '?' };
                let name = stage.dice.pick(&["_", "cb", "t", "rnd", "x"]);
                let path = format!("{path}{mark}{name}={:x}", stage.dice.bits() >> 20);
                stage.ask(client, at, *route, path.into(), referer.clone());
            }
            Self::Random => {
                let route = site.readable(&mut stage.dice);
                let item = stage.dice.below(site.routes[route].items());
                let path = site.routes[route].path(item, &Query::None).into();
                stage.ask(client, at, route, path, referer.clone());
            }
            Self::Few(few) => {
                let (route, path) = stage.dice.pick(few);
                stage.ask(client, at, route, path, referer.clone());
            }
            Self::Search(route) => {
                let query = Query::Search(word(&mut stage.dice));
                let path = site.routes[*route].path(0, &query).into();
                stage.ask(client, at, *route, path, referer.clone());
            }
            Self::Post(path) => {
                let payload = site.written(&mut stage.dice);
                let outcome = site.log_in(&mut stage.dice, at, false);
                let call = Call::post(path.clone(), payload).from(referer.clone());
                stage.send(client, at, call, outcome);
            }
            Self::Asset(asset) => {
                let outcome = site.asset(&mut stage.dice, at, *asset, site.version(at), false);
                let path = site.assets.path(*asset, site.version(at));
                stage.send(client, at, Call::get(path).from(referer.clone()), outcome);
            }
            Self::Junk => {
                let outcome = site.miss(&mut stage.dice, at, None);
                let method =
                    stage.dice.pick(&[Method::Get, Method::Get, Method::Post, Method::Other]);
                let path = format!("/{}", word(&mut stage.dice));
                stage.send(client, at, Call { method, ..Call::get(path) }, outcome);
            }
        }
    }
}

impl Family for Flood {
    fn name(&self) -> &'static str {
        "flood"
    }

    fn abusive(&self) -> bool {
        true
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.3, 3.0)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        loop {
            let sources = if stage.dice.chance(0.4) { 1 } else { stage.dice.magnitude(2, 12) };
            let rate = stage.dice.spread(4.0, 500.0);
            let bout = stage.spell(15.0, 600.0);
            let target = Target::draw(stage);
            let mask = stage.disguise();
            let rotates = stage.dice.chance(0.2);
            let hosted = stage.dice.unit();
            // On and off, to slip under averages; or all the time.
            let pulse = if stage.dice.chance(0.3) { stage.dice.spread(4.0, 60.0) } else { 0.0 };
            let ramp = if stage.dice.chance(0.3) { stage.dice.spread(5.0, 120.0) } else { 0.0 };
            let referer: Arc<str> = match stage.dice.below(3) {
                0 => format!("{}/", stage.site.origin).into(),
                _ => Arc::default(),
            };
            for n in 0..sources {
                // Every source has its part of what is left.
                let most = stage.part(sources - n, 20);
                let mut client = stage.source(hosted, &mask);
                let own = rate * stage.dice.between(0.6, 1.4);
                let mut pace = Pace::draw(&mut stage.dice, own);
                let mut at = bout.from + stage.dice.unit() * 3.0;
                while at < bout.to && stage.sent < most {
                    if rotates && stage.dice.chance(0.5) {
                        client.agent = stage.agents.any(&mut stage.dice, AgentKind::Browser);
                    }
                    target.hit(stage, &client, at, &referer);
                    let risen =
                        if ramp > 0.0 { ((at - bout.from) / ramp).clamp(0.02, 1.0) } else { 1.0 };
                    at += pace.next(&mut stage.dice) / risen;
                    if pulse > 0.0 && ((at - bout.from) / pulse) as u64 % 2 == 1 {
                        at += pulse;
                    }
                }
            }
            if !stage.goes_on() || stage.dice.chance(0.4) {
                break;
            }
        }
    }
}
