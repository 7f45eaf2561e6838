//! A flash crowd: a link goes round, and within minutes many new people land on one page.

use super::actor::{Call, Family, Stage};
use super::address::Place;
use super::agents::AgentKind;
use super::browse::{Browser, Habits};
use super::dice::Dice;
use super::route::Query;
use super::site::Style;
use super::worker::Application;

/// Many new visitors who come for one page.
pub(super) struct Crowd;

/// How a crowd looks for what is to come.
struct Awaited {
    /// How many sign in before.
    members: f64,
    /// How often one looks at most, and after how many seconds again.
    looks: usize,
    rest: f64,
}

impl Family for Crowd {
    fn name(&self) -> &'static str {
        "crowd"
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.3, 2.5)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        let site = stage.site;
        let landing = site.readable(&mut stage.dice);
        let item = site.routes[landing].popular(&mut stage.dice);
        let query = match stage.dice.below(3) {
            0 => Query::Extra(format!("utm_campaign={}", super::words::word(&mut stage.dice))),
            _ => Query::None,
        };
        let rise = stage.dice.spread(10.0, 240.0).min(stage.span.length() * 0.5);
        let fall = stage.dice.spread(60.0, 900.0).min(stage.span.length());
        let curious = stage.dice.spread(0.2, 4.0);
        // An app that pushed a message brings a crowd of itself; one whose feed the link goes round
        // in opens it in the one browser that it holds.
        let app = landing >= site.pages && stage.dice.chance(0.4);
        let kind = if app { AgentKind::App } else { AgentKind::Browser };
        let feed = stage
            .dice
            .chance(0.3)
            .then(|| (stage.agents.any(&mut stage.dice, kind), stage.dice.between(0.2, 0.9)));
        // Who is called by a bell, a mail or a message opens the application and works with it.
        let works = stage.dice.chance(if site.style == Style::Pages { 0.1 } else { 0.4 });
        let application = works.then(|| Application::draw(stage));
        let lasts = stage.dice.spread(20.0, 900.0);
        // Whose token has expired while the application slept fetches another.
        let renews = if stage.dice.chance(0.4) { stage.dice.unit() } else { 0.0 };
        // What was awaited, results or tickets or appointments, is looked at again until it is there.
        let awaited = (landing < site.pages && stage.dice.chance(0.3)).then(|| Awaited {
            members: if stage.dice.chance(0.6) { stage.dice.unit() } else { 0.0 },
            looks: stage.dice.magnitude(3, 40),
            rest: stage.dice.spread(2.0, 30.0),
        });
        let mut source = Browser::new(stage.client(Place::Home, kind), &mut stage.dice);
        source.arrive(&mut stage.dice);
        loop {
            let after = if stage.dice.chance(0.35) {
                rise * stage.dice.unit().max(stage.dice.unit())
            } else {
                rise + stage.dice.pause(fall)
            };
            let at = stage.span.from + after;
            let mut browser = source.clone();
            if stage.sent > 0 {
                browser.client = stage.client(Place::Home, kind);
            }
            if let Some((agent, share)) = &feed
                && stage.dice.chance(*share)
            {
                browser.client.agent = agent.clone();
                browser.client.shape = stage.shape(agent, kind);
            }
            let mut at = at;
            if kind == AgentKind::App && stage.dice.chance(renews) {
                let good = !stage.dice.chance(0.06);
                let outcome = site.log_in(&mut stage.dice, at, good);
                let payload = site.login_payload(&mut stage.dice);
                let call = Call::post(site.login.path.as_str(), payload);
                stage.send(&browser.client, at, call, outcome);
                at += stage.dice.pause(0.3);
                if good {
                    stage.give_credential(&mut browser.client);
                }
            }
            if let Some(application) = &application {
                let lasts = stage.dice.log_normal(lasts, 0.8);
                application.session(stage, browser.client, at, lasts);
                if !stage.goes_on() {
                    break;
                }
                continue;
            }
            let habits = Habits::draw(&mut stage.dice);
            let mut now = at;
            if let Some(awaited) = &awaited {
                if stage.dice.chance(awaited.members) {
                    let wrong = stage.dice.zipf(4, 1.5);
                    now = browser.log_in(stage, now, wrong);
                }
                for _ in 0..stage.dice.count(1, awaited.looks) {
                    now = browser.open(stage, now, landing, item, &query).0;
                    now += stage.dice.log_normal(awaited.rest, 0.6);
                }
            }
            if landing < site.pages {
                let (done, status) = browser.open(stage, at, landing, item, &query);
                now = done + stage.dice.log_normal(habits.think, 1.0);
                if status >= 500 || stage.dice.chance(habits.reload) {
                    now = browser.open(stage, now, landing, item, &query).0;
                }
            } else {
                let path = site.routes[landing].path(item, &query);
                stage.ask(&browser.client, at, landing, path.into(), Default::default());
                now += 0.2;
            }
            let views = stage.dice.pause(curious) as usize;
            for _ in 0..views {
                now = browser.step(stage, now, &habits).0;
                now += stage.dice.log_normal(habits.think, habits.think_sigma);
            }
            if !stage.goes_on() {
                break;
            }
        }
    }
}
