//! Monitors and feed readers: one or two paths, on the clock, for ever.

use super::actor::{Call, Family, Stage};
use super::address::Place;
use super::agents::AgentKind;
use super::dice::Dice;
use super::site::Style;
use super::visitor::pieces;
use std::sync::Arc;
use tidegate_behavior::Method;

/// Health checks and feed readers.
pub(super) struct Monitor;

impl Family for Monitor {
    fn name(&self) -> &'static str {
        "monitor"
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.log_normal(0.02, 0.6)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        loop {
            if stage.dice.chance(0.5) {
                reader(stage);
            } else {
                checks(stage);
            }
            if !stage.goes_on() {
                break;
            }
        }
    }
}

/// One service that checks from one or several places.
fn checks(stage: &mut Stage<'_>) {
    let site = stage.site;
    let kind = stage.dice.pick(&[AgentKind::Tool, AgentKind::Tool, AgentKind::Robot]);
    let agent = stage.agents.any(&mut stage.dice, kind);
    let period = stage.dice.between(10.0, 60.0);
    let method = stage.dice.pick(&[Method::Get, Method::Get, Method::Head]);
    let mut paths: Vec<Arc<str>> = vec![site.health.as_str().into()];
    for _ in 0..stage.dice.zipf(4, 1.0) {
        let route = site.readable(&mut stage.dice);
        paths.push(stage.popular(route));
    }
    for _ in 0..1 + stage.dice.zipf(8, 1.0) {
        let addr = stage.networks.any(&mut stage.dice, Place::Hosting);
        let client = stage.client_at(addr, agent.clone(), kind);
        let mut at = stage.dice.between(0.0, period.min(stage.length * 0.5));
        while at < stage.length {
            for path in &paths {
                let outcome = site.plain(&mut stage.dice, at, 200, 300.0);
                stage.send(&client, at, Call { method, ..Call::get(path.clone()) }, outcome);
                at += stage.dice.between(0.0, 0.3);
            }
            at += period + stage.dice.between(0.0, 0.2);
        }
    }
}

/// Somebody's feed reader, or a service that reads for many; some fetch what the feed names, to be heard.
fn reader(stage: &mut Stage<'_>) {
    let kind = stage.dice.pick(&[AgentKind::Robot, AgentKind::Tool, AgentKind::App]);
    let client = stage.client(Place::Home, kind);
    let listens = if stage.dice.chance(0.3) { stage.dice.unit() } else { 0.0 };
    let period = stage.dice.spread(60.0, 1800.0);
    let mut at = stage.dice.between(0.0, period.min(stage.length));
    while at < stage.length {
        let status = stage.dice.pick(&[200, 304, 304]);
        let outcome = stage.site.plain(&mut stage.dice, at, status, 30_000.0);
        stage.send(&client, at, Call::get(stage.site.feed.as_str()), outcome);
        if status == 200 && stage.goes_on() && stage.dice.chance(listens) {
            pieces(stage, &client, at + 1.0);
        }
        if stage.dice.chance(0.2) {
            let route = stage.site.readable(&mut stage.dice);
            let path = stage.popular(route);
            stage.ask(&client, at + 1.0, route, path, Arc::default());
        }
        at += period * stage.dice.between(0.95, 1.1);
    }
}
