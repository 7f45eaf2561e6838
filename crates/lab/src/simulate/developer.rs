//! Whoever builds the site and tries it: reloads, calls by hand, runs of tests, half of it failing.

use super::actor::{Call, Client, Family, Stage};
use super::address::Place;
use super::agents::AgentKind;
use super::dice::Dice;
use super::route::Query;
use super::site::Style;
use super::words::word;
use tidegate_behavior::Method;

/// People and tools that try a site out.
pub(super) struct Developer;

impl Family for Developer {
    fn name(&self) -> &'static str {
        "developer"
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.005, 0.05)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        loop {
            let mut at = stage.dice.unit().powi(2) * stage.length * 0.9;
            let browser = stage.client(Place::Home, AgentKind::Browser);
            let agent = stage.agents.any(&mut stage.dice, AgentKind::Tool);
            // The same person on the same machine, with another program.
            let shape = stage.shape(&agent, AgentKind::Tool);
            let mut tool = Client { agent, shape, ..browser.clone() };
            if stage.dice.chance(0.3) {
                stage.give_credential(&mut tool);
            }
            tool.known = stage.dice.chance(0.7);
            // How much of what is asked for does not work yet.
            let broken = stage.dice.between(0.0, 0.9).powi(2);
            for _ in 0..stage.dice.count(1, 12) {
                at = match stage.dice.below(4) {
                    0 => reload(stage, &browser, at, broken),
                    1 | 2 => call(stage, &tool, at, broken),
                    _ => test(stage, &tool, at, broken),
                };
                at += stage.dice.pause(stage.length / 20.0);
            }
            if !stage.goes_on() {
                break;
            }
        }
    }
}

/// The same page again and again, with what it needs, and an icon that is not there.
fn reload(stage: &mut Stage<'_>, client: &Client, mut at: f64, broken: f64) -> f64 {
    let site = stage.site;
    let route = site.readable(&mut stage.dice);
    let path = stage.popular(route);
    let assets = stage.dice.magnitude(1, 30).min(site.shared_assets);
    for _ in 0..stage.dice.magnitude(1, 20) {
        if stage.dice.chance(broken) {
            fail(stage, client, at, Call::get(path.clone()));
        } else {
            stage.ask(client, at, route, path.clone(), Default::default());
            for n in 0..assets {
                let asset = super::assets::Asset::Shared(n);
                let outcome = site.asset(&mut stage.dice, at, asset, site.version(at), false);
                let call = Call::get(site.assets.path(asset, site.version(at)));
                let at = at + stage.dice.pause(0.1);
                stage.send(client, at, call.from(path.clone()), outcome);
            }
        }
        if stage.dice.chance(0.1) {
            let outcome = site.miss(&mut stage.dice, at, None);
            stage.send(client, at, Call::get("/favicon.ico"), outcome);
        }
        at += stage.dice.spread(0.5, 30.0);
    }
    at
}

/// One call by hand until it works: with the wrong body, without the key, under a mistyped name.
fn call(stage: &mut Stage<'_>, client: &Client, mut at: f64, broken: f64) -> f64 {
    let site = stage.site;
    let route = site.api(&mut stage.dice, false);
    let mut path = stage.popular(route);
    // A loop in a shell, or an arrow key and return.
    let pause = stage.dice.spread(0.02, 20.0);
    for _ in 0..stage.dice.magnitude(1, 60) {
        let method = site.routes[route].method;
        if stage.dice.chance(broken) {
            fail(stage, client, at, Call { method, ..Call::get(path.clone()) });
        } else {
            stage.ask(client, at, route, path.clone(), Default::default());
        }
        if stage.dice.chance(0.1) {
            path = stage.popular(route);
        }
        at += stage.dice.pause(pause);
    }
    at
}

/// A run of tests: a handful of routes in a fixed order, errors among them on purpose.
fn test(stage: &mut Stage<'_>, client: &Client, mut at: f64, broken: f64) -> f64 {
    let site = stage.site;
    let pause = stage.dice.spread(0.01, 0.5);
    let routes: Vec<usize> =
        (0..stage.dice.count(2, 15)).map(|_| site.api(&mut stage.dice, false)).collect();
    let wrong = stage.dice.between(0.05, 0.4);
    let absent = word(&mut stage.dice);
    for _ in 0..stage.dice.magnitude(1, 8) {
        for &route in &routes {
            let method = site.routes[route].method;
            if stage.dice.chance(wrong.max(broken)) {
                let item = site.routes[route].items();
                let path = if stage.dice.chance(0.2) {
                    format!("/{absent}")
                } else {
                    site.routes[route].path(item, &Query::None)
                };
                fail(stage, client, at, Call { method, ..Call::get(path) });
            } else {
                let path = stage.popular(route);
                stage.ask(client, at, route, path, Default::default());
            }
            at += stage.dice.pause(pause);
        }
        at += stage.dice.spread(1.0, 120.0);
    }
    at
}

/// What a site under construction answers.
fn fail(stage: &mut Stage<'_>, client: &Client, at: f64, call: Call) {
    let status = stage.dice.pick(&[404, 404, 404, 400, 400, 422, 500, 500, 502, 401, 403, 405]);
    let call = Call { payload: if call.method == Method::Get { 0 } else { 200 }, ..call };
    let outcome = stage.site.plain(&mut stage.dice, at, status, 200.0);
    stage.send(client, at, call, outcome);
}
