//! What programs do when the site fails: how often they ask again, how soon, and whether all at once.

use super::actor::{Client, Stage};
use super::dice::Dice;
use std::sync::Arc;

/// How a program asks again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retries {
    /// How often, after the first time.
    most: usize,
    /// Seconds before the first of them.
    wait: f64,
    /// By how much each wait is longer than the one before.
    grows: f64,
    /// The share of a wait that is drawn anew each time: at 0 all who failed together come back
    /// together.
    jitter: f64,
}

impl Retries {
    /// Draws what the developers of a program decided; half of them forgot the jitter.
    pub fn draw(dice: &mut Dice, most: usize) -> Self {
        Self {
            most: dice.below(most + 1),
            wait: dice.spread(0.1, 4.0),
            grows: if dice.chance(0.5) { 1.0 } else { dice.between(1.2, 2.5) },
            jitter: if dice.chance(0.5) { 0.0 } else { dice.between(0.1, 1.0) },
        }
    }

    /// The same of a program that never gives up.
    pub fn stubborn(self) -> Self {
        // An hour of waits of a minute each; no simulated outage lasts longer.
        Self { most: 60, ..self }
    }

    /// Asks for one route, and again on a 5xx. Returns whether it was served at last, and when.
    pub fn ask(
        self,
        stage: &mut Stage<'_>,
        client: &Client,
        at: f64,
        route: usize,
        path: &Arc<str>,
    ) -> (bool, f64) {
        let (mut now, mut wait) = (at, self.wait);
        for _ in 0..=self.most {
            if stage.ask(client, now, route, path.clone(), Arc::default()) < 500 {
                return (true, now);
            }
            now += wait * (1.0 - self.jitter * stage.dice.unit());
            wait = (wait * self.grows).min(60.0);
        }
        (false, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_all_programs_have_no_jitter() {
        let draws: Vec<Retries> =
            (0..200).map(|seed| Retries::draw(&mut Dice::new(seed, 0), 7)).collect();
        let regular = draws.iter().filter(|retries| retries.jitter == 0.0).count();
        assert!((70..130).contains(&regular), "{regular} of 200");
        assert!(draws.iter().all(|retries| retries.most <= 7 && retries.stubborn().most == 60));
    }
}
