//! Clients beside clients: who behaves unlike all others lately, whatever that is called.
//!
//! A client is looked at when it has sent sixteen requests and learned from at every fourfold of
//! that, so that a busy one teaches what is usual hardly more than a quiet one. What is suspected
//! teaches less.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_behavior::Features;
use tidegate_models::halfspace::HalfSpaceTrees;

/// Fewer requests say little of how a client behaves.
const FIRST: u32 = 16;
/// From so many on a client is looked at again after as many.
const STRIDE: u32 = 256;
/// Evidence from which a client is odd: one look in a thousand.
const ODD: f32 = 3.0;

/// What was last said of a client: evidence in steps of a tenth; 0 for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Oddity(u8);

impl Oddity {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn of(evidence: f32) -> Self {
        Self((evidence * 10.0).clamp(0.0, 254.0) as u8 + 1)
    }

    /// The score, 0..1: 0.999 for what one look in a thousand shows; `None` before the first look.
    pub(crate) fn score(self) -> Option<f32> {
        let evidence = f32::from(self.0.checked_sub(1)?) / 10.0;
        Some(1.0 - 10f32.powf(-evidence))
    }

    /// Whether the client is unlike others.
    pub(crate) fn is_odd(self) -> bool {
        f32::from(self.0) > ODD * 10.0
    }
}

/// What clients do, to tell who does otherwise.
pub(crate) struct Oddities {
    trees: Mutex<HalfSpaceTrees>,
    found: AtomicU64,
}

impl Oddities {
    pub(crate) fn new(seed: u64) -> Self {
        Self { trees: Mutex::new(HalfSpaceTrees::new(seed)), found: AtomicU64::new(0) }
    }

    /// Looks at a client at its request number `requests`, if it is time to; `risk`, 0..1, is what
    /// is thought of it. Never waits: while another client is looked at, this one is not.
    pub(crate) fn look(
        &self,
        before: Oddity,
        features: &Features,
        requests: u32,
        risk: f32,
    ) -> Oddity {
        // A look costs as much as a decision, so most requests get none.
        let fourfold = requests.is_power_of_two() && requests.trailing_zeros().is_multiple_of(2);
        if requests < FIRST || !(fourfold || requests.is_multiple_of(STRIDE)) {
            return before;
        }
        let Some(mut trees) = self.trees.try_lock() else { return before };
        let oddity = trees.read(features).map_or(before, Oddity::of);
        if fourfold {
            trees.learn(features, 1.0 - risk);
        }
        if oddity.is_odd() && !before.is_odd() {
            self.found.fetch_add(1, Ordering::Relaxed);
        }
        oddity
    }

    /// How often a client was found odd that had not been.
    pub(crate) fn found(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_behavior::schema::COUNT;

    /// A common client, as far as `n` tells.
    fn common(n: u32) -> Features {
        std::array::from_fn(|i| f32::from((n.wrapping_mul(2_654_435_761) >> (i % 24)) as u8) / 64.0)
    }

    #[test]
    fn a_client_is_looked_at_ever_more_seldom_and_found_once() {
        let oddities = Oddities::new(7);
        let none = Oddity::default();
        assert_eq!(none.score(), None);
        for n in 0..3000 {
            oddities.look(none, &common(n), 16, 0.0);
        }
        let strange = [40.0; COUNT];
        for requests in [1, 8, 17, 32, 100] {
            assert_eq!(oddities.look(none, &strange, requests, 0.0), none);
        }
        let before = oddities.found();
        let found = oddities.look(none, &strange, 16, 1.0);
        assert!(found.is_odd() && found.score().unwrap() > 0.999, "{found:?}");
        let again = oddities.look(found, &strange, 768, 1.0);
        assert!(again.is_odd());
        assert_eq!(oddities.found(), before + 1);
        let common = oddities.look(found, &common(5), 64, 0.0);
        assert!(!common.is_odd() && common.score().is_some());
    }
}
