//! Plain clients: requests at moments of their own for this and that, and nothing of a visit to be seen.

use super::actor::{Call, Client, Family, Pace, Stage};
use super::address::Place;
use super::agents::AgentKind;
use super::dice::Dice;
use super::route::Query;
use super::site::Style;
use std::sync::Arc;

/// Clients without pages, assets, referers or sessions: sensors, load tests, an application behind a
/// cache that answers the rest, a site of which one service sees one kind of request.
pub(super) struct Plain {
    /// Whether nobody else comes to the site. Among others they are few, slow, and read what is popular.
    pub alone: bool,
}

/// What the clients of a site have in common.
struct Custom {
    routes: Vec<usize>,
    /// 0 for each route as likely as any other.
    skew: f64,
    /// Which items of a route are asked for.
    items: Items,
    /// Requests a second of a usual client, and the deviation of their logarithm from client to client.
    rate: f64,
    unlike: f64,
    /// Mean seconds that a client stays; without, all of the time.
    stays: Option<f64>,
    /// Whether all begin at once.
    together: bool,
    misses: f64,
    logs_in: f64,
    wrong: f64,
    referer: Arc<str>,
}

#[derive(Clone, Copy)]
enum Items {
    Popular,
    Any,
    Few(usize),
}

/// The agents that they show.
enum Shown {
    /// All the same.
    One(Arc<str>, AgentKind),
    /// Each its own, of this kind.
    Own(AgentKind),
    /// Each its own, of any kind.
    Any,
    Nothing,
}

impl Family for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.1, 3.0)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        let custom = Custom::draw(stage, self.alone);
        let shown = Shown::draw(stage);
        let known = stage.dice.chance(0.3);
        let clients = stage.dice.magnitude(2, if self.alone { 2500 } else { 300 });
        for _ in 0..clients {
            let client = match &shown {
                Shown::One(agent, kind) => {
                    let place = place(&mut stage.dice, *kind);
                    let addr = stage.networks.any(&mut stage.dice, place);
                    stage.client_at(addr, agent.clone(), *kind)
                }
                Shown::Own(kind) => {
                    let place = place(&mut stage.dice, *kind);
                    stage.client(place, *kind)
                }
                Shown::Any => {
                    let kind = stage.dice.pick(&[
                        AgentKind::Browser,
                        AgentKind::Browser,
                        AgentKind::App,
                        AgentKind::Tool,
                    ]);
                    stage.client(Place::Home, kind)
                }
                Shown::Nothing => {
                    let client = stage.client(Place::Home, AgentKind::Tool);
                    Client { agent: Arc::default(), ..client }
                }
            };
            let mut client = Client { known: true, ..client };
            if known {
                stage.give_credential(&mut client);
            }
            live(stage, &client, &custom);
            if !stage.goes_on() {
                break;
            }
        }
    }
}

impl Custom {
    fn draw(stage: &mut Stage<'_>, alone: bool) -> Self {
        let (site, dice) = (stage.site, &mut stage.dice);
        let pages = dice.chance(0.5) && site.pages > 0;
        let most = if pages { site.pages } else { site.routes.len() - site.pages };
        let first = if pages { 0 } else { site.pages };
        let mut routes = vec![site.readable(dice)];
        routes.extend((0..dice.magnitude(2, most.max(2))).map(|_| first + dice.below(most)));
        let few = dice.magnitude(1, 120);
        Self {
            routes,
            skew: if dice.chance(0.5) { 0.0 } else { dice.between(0.4, 1.5) },
            items: match dice.below(12) {
                0 if alone => Items::Any,
                0..=5 => Items::Popular,
                _ => Items::Few(few),
            },
            rate: dice.spread(0.3, if alone { 40.0 } else { 15.0 }) / 60.0,
            unlike: if dice.chance(0.3) { 0.0 } else { dice.between(0.2, 0.9) },
            stays: dice.chance(0.5).then(|| dice.spread(20.0, 2400.0)),
            together: alone && dice.chance(0.5),
            misses: if dice.chance(0.4) { 0.0 } else { dice.spread(0.001, 0.08) },
            logs_in: if dice.chance(0.5) { 0.0 } else { dice.spread(0.005, 0.15) },
            wrong: dice.spread(0.005, 0.25),
            referer: match dice.below(10) {
                0 | 1 => format!("{}/", site.origin).into(),
                2 => site.application.as_str().into(),
                _ => Arc::default(),
            },
        }
    }
}

impl Shown {
    fn draw(stage: &mut Stage<'_>) -> Self {
        let kind = stage.dice.pick(&[
            AgentKind::Browser,
            AgentKind::Browser,
            AgentKind::Tool,
            AgentKind::App,
        ]);
        match stage.dice.below(10) {
            0..=3 => Self::One(stage.agents.any(&mut stage.dice, kind), kind),
            4..=6 => Self::Own(kind),
            7 | 8 => Self::Any,
            _ => Self::Nothing,
        }
    }
}

/// Where software of this kind runs.
fn place(dice: &mut Dice, kind: AgentKind) -> Place {
    if kind == AgentKind::Tool && dice.chance(0.5) { Place::Hosting } else { Place::Home }
}

/// All that one client sends.
fn live(stage: &mut Stage<'_>, client: &Client, custom: &Custom) {
    let site = stage.site;
    let rate = stage.dice.log_normal(custom.rate, custom.unlike).min(2.0);
    let mut pace = Pace::draw(&mut stage.dice, rate);
    let mut at = if custom.together {
        stage.dice.unit() * pace.next(&mut stage.dice)
    } else {
        stage.arrival()
    };
    let end = custom.stays.map_or(f64::INFINITY, |stays| at + stage.dice.log_normal(stays, 0.8));
    while at < end.min(stage.length) && stage.goes_on() {
        let route = custom.routes[match custom.skew {
            0.0 => stage.dice.below(custom.routes.len()),
            skew => stage.dice.zipf(custom.routes.len(), skew),
        }];
        if stage.dice.chance(custom.logs_in) {
            let right = !stage.dice.chance(custom.wrong);
            let outcome = site.log_in(&mut stage.dice, at, right);
            let payload = site.login_payload(&mut stage.dice);
            let call = Call::post(site.login.path.as_str(), payload);
            stage.send(client, at, call.from(custom.referer.clone()), outcome);
        } else {
            let target = &site.routes[route];
            let item = match custom.items {
                Items::Popular => target.popular(&mut stage.dice),
                Items::Any => stage.dice.below(target.items()),
                Items::Few(few) => stage.dice.below(few.min(target.items())),
            };
            let path: Arc<str> = target.path(item, &Query::None).into();
            if stage.dice.chance(custom.misses) {
                let outcome = site.miss(&mut stage.dice, at, Some(route));
                let call = Call { method: target.method, ..Call::get(path) };
                stage.send(client, at, call.from(custom.referer.clone()), outcome);
            } else {
                stage.ask(client, at, route, path, custom.referer.clone());
            }
        }
        at += pace.next(&mut stage.dice);
    }
}
