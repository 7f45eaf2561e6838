//! Ramps: sources that begin like anybody and grow slowly, so that the growth becomes usual.

use super::actor::{Family, Pace, Stage};
use super::dice::Dice;
use super::flood::Target;
use super::site::Style;
use std::sync::Arc;

/// Sources that try to move what counts as normal.
pub(super) struct Ramp;

impl Family for Ramp {
    fn name(&self) -> &'static str {
        "ramp"
    }

    fn abusive(&self) -> bool {
        true
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.1, 1.5)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        loop {
            let sources = 1 + stage.dice.zipf(25, 1.0);
            let first = stage.dice.spread(0.02, 0.3);
            let last = stage.dice.spread(3.0, 80.0);
            let bout = stage.bout(200.0, 5000.0);
            // Most of the way up is made by the time the bout ends.
            let growth = (last / first).ln() / (bout.length() * stage.dice.between(0.4, 1.0));
            let target = Target::draw(stage);
            let mask = stage.disguise();
            let hosted = stage.dice.unit();
            let referer: Arc<str> = match stage.dice.below(3) {
                0 => format!("{}/", stage.site.origin).into(),
                _ => Arc::default(),
            };
            for n in 0..sources {
                let most = stage.part(sources - n, 20);
                let client = stage.source(hosted, &mask);
                let mut pace = Pace::draw(&mut stage.dice, first);
                let mut at = bout.from + stage.dice.pause(1.0 / first).min(bout.length() * 0.2);
                while at < bout.to && stage.sent < most {
                    target.hit(stage, &client, at, &referer);
                    let risen = ((at - bout.from) * growth).exp().min(last / first);
                    at += pace.next(&mut stage.dice) / risen;
                }
            }
            if !stage.goes_on() || stage.dice.chance(0.5) {
                break;
            }
        }
    }
}
