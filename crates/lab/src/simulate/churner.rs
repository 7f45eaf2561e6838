//! Key churners: one program that takes a new key whenever the old one is about to be limited.

use super::actor::{Call, Family, Pace, Stage};
use super::dice::Dice;
use super::route::Query;
use super::site::Style;
use std::sync::Arc;

/// A program behind many keys: trial accounts made by the dozen, or keys that it makes up.
pub(super) struct Churner;

impl Family for Churner {
    fn name(&self) -> &'static str {
        "churner"
    }

    fn abusive(&self) -> bool {
        true
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.05, 0.8)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        let site = stage.site;
        loop {
            let mask = stage.disguise();
            let bout = stage.bout(60.0, 3000.0);
            let sources = 1 + stage.dice.zipf(10, 1.3);
            let rate = stage.dice.spread(0.5, 40.0);
            let each = stage.dice.magnitude(1, 80);
            let made_up = stage.dice.chance(0.3);
            let route = site.catalogue(&mut stage.dice, true);
            let items = site.routes[route].items();
            let walks = stage.dice.chance(0.6);
            let hosted = stage.dice.between(0.3, 1.0);
            for n in 0..sources {
                let most = stage.part(sources - n, 20);
                let mut client = stage.source(hosted, &mask);
                stage.give_credential(&mut client);
                let mut pace = Pace::draw(&mut stage.dice, rate);
                let mut item = stage.dice.below(items);
                let (mut at, mut used) = (bout.from + stage.dice.unit() * 5.0, 0);
                while at < bout.to && stage.sent < most {
                    if used >= each && site.names_credentials {
                        let addr = client.addr;
                        client = stage.masked(addr, &mask);
                        stage.give_credential(&mut client);
                        used = 0;
                    }
                    item = if walks { item + 1 } else { stage.dice.below(items) } % items;
                    let path: Arc<str> = site.routes[route].path(item, &Query::None).into();
                    if made_up {
                        let outcome = site.refuse(&mut stage.dice, at);
                        stage.send(&client, at, Call::get(path), outcome);
                    } else {
                        stage.ask(&client, at, route, path, Arc::default());
                    }
                    used += 1;
                    at += pace.next(&mut stage.dice);
                }
            }
            if !stage.goes_on() || stage.dice.chance(0.4) {
                break;
            }
        }
    }
}
