//! Swarms: the catalogue taken by hundreds of addresses, each of which asks once or twice.

use super::actor::{Family, Stage};
use super::browse::Browser;
use super::dice::Dice;
use super::route::Query;
use super::site::Style;
use std::sync::Arc;

/// Slow scraping, spread over so many addresses that each is seen hardly more than once.
pub(super) struct Swarm;

impl Family for Swarm {
    fn name(&self) -> &'static str {
        "swarm"
    }

    fn abusive(&self) -> bool {
        true
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.05, 0.8)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        let api = stage.dice.chance(0.35);
        let route = stage.site.catalogue(&mut stage.dice, api);
        let site = stage.site;
        let items = site.routes[route].items();
        let each = stage.dice.spread(1.0, 5.0);
        let sources = (stage.budget as f64 / each).max(50.0);
        let bout = stage.bout(300.0, 7200.0);
        let mask = stage.disguise();
        let rotates = stage.dice.chance(0.6);
        let hosted = stage.dice.unit();
        let full = !api && stage.dice.chance(0.05);
        let shuffled = stage.dice.chance(0.5);
        let referred = stage.dice.below(3);
        let gap = stage.dice.spread(0.5, 60.0);
        let mut step = stage.dice.below(items);
        // As one queue of work that whoever is free takes from.
        let mut from = bout.from;
        let every = bout.length() / sources;
        while stage.goes_on() && from < bout.to {
            let client = stage.recruit(hosted, &mask, rotates);
            let mut browser = Browser::new(client, &mut stage.dice);
            let times = 1 + stage.dice.pause(each - 0.99) as usize;
            let mut at = from;
            for _ in 0..times.min(stage.left().max(1)) {
                let item = if shuffled { stage.dice.below(items) } else { step % items };
                step += 1;
                if full && route < site.pages {
                    at = browser.open(stage, at, route, item, &Query::None).0;
                } else {
                    let referer: Arc<str> = match referred {
                        0 => format!("{}/", site.origin).into(),
                        1 => "https://www.google.com/".into(),
                        _ => Arc::default(),
                    };
                    let path = site.routes[route].path(item, &Query::None).into();
                    stage.ask(&browser.client, at, route, path, referer);
                }
                at += stage.dice.log_normal(gap, 0.6);
            }
            from += stage.dice.pause(every);
        }
    }
}
