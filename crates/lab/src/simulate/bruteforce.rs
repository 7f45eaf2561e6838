//! Brute force: one user, many passwords, in bursts; some come back after hours.

use super::actor::{Family, Pace, Stage};
use super::dice::Dice;
use super::site::Style;
use super::stuffing::Way;

/// Sources that guess the password of one user.
pub(super) struct Bruteforce;

impl Family for Bruteforce {
    fn name(&self) -> &'static str {
        "bruteforce"
    }

    fn abusive(&self) -> bool {
        true
    }

    fn volume(&self, dice: &mut Dice, _style: Style) -> f64 {
        dice.spread(0.01, 0.2)
    }

    fn play(&self, stage: &mut Stage<'_>) {
        loop {
            let user = stage.user();
            let mask = stage.disguise();
            // Who was locked out, or would not be noticed, lets hours pass.
            let returns = stage.dice.chance(0.3);
            let bout = if returns { stage.span } else { stage.bout(30.0, 1800.0) };
            let sources = 1 + stage.dice.zipf(12, 1.3);
            let rate = stage.dice.spread(0.03, 25.0);
            let (shortest, longest) = if returns { (1800.0, 21_600.0) } else { (5.0, 180.0) };
            let burst = (returns || stage.dice.chance(0.5))
                .then(|| (stage.dice.magnitude(5, 100), stage.dice.spread(shortest, longest)));
            let hosted = stage.dice.unit();
            let way = Way::draw(&mut stage.dice);
            for n in 0..sources {
                let most = stage.part(sources - n, 20);
                let mut client = stage.source(hosted, &mask);
                client.user.clone_from(&user);
                let mut pace = Pace::draw(&mut stage.dice, rate);
                let mut browser = way.browser(&client, &mut stage.dice);
                let mut at = bout.from + stage.dice.unit() * 10.0;
                let mut tried = 0;
                while at < bout.to && stage.sent < most {
                    let right = stage.dice.chance(0.0003);
                    at = way.attempt(stage, &client, &mut browser, at, right);
                    if right {
                        break;
                    }
                    tried += 1;
                    at += pace.next(&mut stage.dice);
                    if let Some((size, rest)) = burst
                        && tried % size == 0
                    {
                        at += stage.dice.log_normal(rest, 0.4);
                    }
                }
            }
            if !stage.goes_on() || stage.dice.chance(0.4) {
                break;
            }
        }
    }
}
