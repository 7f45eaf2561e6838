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

    /// The same of a program that does not give up: it waits ever longer, up to a minute, until it is
    /// served.
    pub fn stubborn(self) -> Self {
        Self { most: usize::MAX, grows: self.grows.max(1.3), ..self }
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
        let (mut now, mut wait, mut tried) = (at, self.wait, 0);
        while tried <= self.most && now < stage.length {
            tried += 1;
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
    fn who_is_stubborn_outlasts_an_outage() {
        for seed in 0..200 {
            let retries = Retries::draw(&mut Dice::new(seed, 0), 7).stubborn();
            // Without jitter; with it a wait is on average a half at the shortest.
            let (mut now, mut wait, mut tries) = (0.0, retries.wait, 0);
            while now < 960.0 {
                (now, wait, tries) = (now + wait, (wait * retries.grows).min(60.0), tries + 1);
            }
            assert!(tries < 60, "{retries:?}: {tries} tries");
        }
    }

    #[test]
    fn half_of_all_programs_have_no_jitter() {
        let draws: Vec<Retries> =
            (0..200).map(|seed| Retries::draw(&mut Dice::new(seed, 0), 7)).collect();
        let regular = draws.iter().filter(|retries| retries.jitter == 0.0).count();
        assert!((70..130).contains(&regular), "{regular} of 200");
        assert!(draws.iter().all(|retries| retries.most <= 7 && retries.grows >= 1.0));
    }
}
