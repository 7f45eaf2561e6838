//! Carding: stolen payment cards tried with small orders.

use super::actor::{Call, Client, Family, Stage};
use super::browse::Browser;
use super::dice::Dice;
use super::site::{Span, Style};

/// Sources that try cards (OWASP OAT-001).
pub(super) struct Carding;

impl Family for Carding {
    fn name(&self) -> &'static str {
        "carding"
    }

    fn abusive(&self) -> bool {
        true
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.01, 0.25)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        loop {
            let distributed = stage.dice.chance(0.45);
            let (sources, rate) = if distributed {
                (stage.dice.magnitude(10, 400), stage.dice.spread(0.005, 0.2))
            } else {
                (1 + stage.dice.zipf(5, 1.2), stage.dice.spread(0.1, 8.0))
            };
            let mask = stage.disguise();
            let rotates = stage.dice.chance(0.4);
            let hosted = stage.dice.unit();
            let tries = Tries {
                rate,
                good: stage.dice.spread(0.02, 0.5),
                shops: stage.dice.chance(0.5),
                orders: stage.dice.chance(0.5),
                span: stage.bout(120.0, 3600.0),
            };
            for n in 0..sources {
                let most = stage.part(sources - n, 4);
                let client = stage.recruit(hosted, &mask, rotates);
                attempts(stage, client, &tries, most);
            }
            if !stage.goes_on() || stage.dice.chance(0.4) {
                break;
            }
        }
    }
}

struct Tries {
    rate: f64,
    /// Share of cards that work.
    good: f64,
    /// Whether it looks at the shop first, as a browser would.
    shops: bool,
    /// Whether each card gets an order of its own.
    orders: bool,
    span: Span,
}

fn attempts(stage: &mut Stage<'_>, client: Client, tries: &Tries, most: usize) {
    let (site, span) = (stage.site, tries.span);
    let mut browser = Browser::new(client, &mut stage.dice);
    let mut at = span.from + stage.dice.pause(1.0 / tries.rate).min(span.length() * 0.7);
    if tries.shops {
        let route = site.readable(&mut stage.dice);
        if route < site.pages {
            let item = site.routes[route].popular(&mut stage.dice);
            at = browser.open(stage, at, route, item, &super::route::Query::None).0;
        } else {
            let path = stage.popular(route);
            stage.ask(&browser.client, at, route, path, browser.here());
        }
        at += stage.dice.log_normal(3.0, 0.6);
    }
    let mut first = true;
    while at < span.to && stage.sent < most {
        if first || tries.orders {
            let outcome = site.reserve(&mut stage.dice, at, true);
            let payload = site.shop.payload(&mut stage.dice);
            let call = Call::post(site.shop.basket.as_str(), payload).from(browser.here());
            stage.send(&browser.client, at, call, outcome);
            at += stage.dice.between(0.1, 2.0);
            first = false;
        }
        if stage.dice.chance(0.5) {
            browser.client.user = stage.user();
        }
        let good = stage.dice.chance(tries.good);
        let outcome = site.pay(&mut stage.dice, at, good);
        let payload = site.shop.payload(&mut stage.dice);
        let call = Call::post(site.shop.payment.as_str(), payload).from(browser.here());
        stage.send(&browser.client, at, call, outcome);
        at += stage.dice.log_normal(1.0 / tries.rate, 0.5);
    }
}
