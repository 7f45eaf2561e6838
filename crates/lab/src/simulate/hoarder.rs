//! Hoarders: bots that watch seats or stock and hold them before people can.

use super::actor::{Call, Client, Family, Stage};
use super::browse::Browser;
use super::dice::Dice;
use super::route::Query;
use super::site::{Span, Style};
use std::sync::Arc;

/// Sources that watch few items and hold what becomes free (OWASP OAT-005 and OAT-021).
pub(super) struct Hoarder;

impl Family for Hoarder {
    fn name(&self) -> &'static str {
        "hoarder"
    }

    fn abusive(&self) -> bool {
        true
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.02, 0.5)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        loop {
            let api = stage.dice.chance(0.4);
            let route = stage.site.catalogue(&mut stage.dice, api);
            let items = stage.site.routes[route].items();
            let wanted: Vec<usize> =
                (0..stage.dice.count(1, 6)).map(|_| stage.dice.below(items)).collect();
            // Each of them looks often enough to be one.
            let sources = stage.dice.magnitude(1, 120).min(stage.left() / 40 + 1);
            let mask = stage.disguise();
            let plan = Plan {
                route,
                wanted,
                // Slow enough for a person, or as quick as a person would like to be.
                rest: stage.dice.spread(0.8, 45.0),
                sigma: stage.dice.spread(0.02, 1.0),
                looks: stage.dice.magnitude(1, 30),
                driven: stage.dice.chance(0.4),
                free: stage.dice.spread(0.02, 0.9),
                pays: stage.dice.chance(0.3),
                member: stage.dice.chance(0.5),
                span: stage.bout(300.0, 5000.0),
            };
            let rotates = stage.dice.chance(0.5);
            let hosted = stage.dice.unit() * 0.7;
            for n in 0..sources {
                let most = stage.part(sources - n, 25);
                let client = stage.recruit(hosted, &mask, rotates);
                hold(stage, client, &plan, most);
            }
            if !stage.goes_on() || stage.dice.chance(0.4) {
                break;
            }
        }
    }
}

struct Plan {
    route: usize,
    wanted: Vec<usize>,
    rest: f64,
    sigma: f64,
    looks: usize,
    driven: bool,
    free: f64,
    pays: bool,
    member: bool,
    span: Span,
}

fn hold(stage: &mut Stage<'_>, client: Client, plan: &Plan, most: usize) {
    let site = stage.site;
    let mut browser = Browser::new(client, &mut stage.dice);
    let mut at = plan.span.from + stage.dice.pause(plan.rest * 2.0);
    if plan.member {
        at = browser.log_in(stage, at, 0);
    }
    let (mut looked, looks) = (0, plan.looks);
    while at < plan.span.to && stage.sent < most {
        let item = stage.dice.pick(&plan.wanted);
        if plan.driven && plan.route < site.pages {
            at = browser.open(stage, at, plan.route, item, &Query::None).0;
        } else {
            let path: Arc<str> = site.routes[plan.route].path(item, &Query::None).into();
            stage.ask(&browser.client, at, plan.route, path, Arc::default());
        }
        looked += 1;
        if looked % looks == 0 {
            at += stage.dice.log_normal(0.4, 0.5);
            let got = stage.dice.chance(plan.free);
            let outcome = site.reserve(&mut stage.dice, at, got);
            let payload = site.shop.payload(&mut stage.dice);
            let call = Call::post(site.shop.basket.as_str(), payload).from(browser.here());
            stage.send(&browser.client, at, call, outcome);
            if got && plan.pays {
                at += stage.dice.log_normal(0.8, 0.5);
                let outcome = site.pay(&mut stage.dice, at, true);
                let payload = site.shop.payload(&mut stage.dice);
                let call = Call::post(site.shop.payment.as_str(), payload).from(browser.here());
                stage.send(&browser.client, at, call, outcome);
            }
        }
        at += stage.dice.log_normal(plan.rest, plan.sigma);
    }
}
