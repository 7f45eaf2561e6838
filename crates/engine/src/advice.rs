//! What a model says that is too slow to be waited for: its last word on a client, while it is fresh.
//!
//! A remote model, or one that looks at several requests of a client, is asked in the background.
//! Its answer stands in for the score of the client's next requests until it is too old. Without a
//! fresh answer the model that scores in line decides, as if there were no other.

use std::time::Duration;
use tidegate_limiter::{Entry, Key, Store, Timestamp};

/// The last word on one client.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Advice {
    pub score: f32,
    /// When the request was made that it is about.
    pub about: Timestamp,
}

impl Entry for Advice {
    type Residue = ();

    fn fresh(_key: Key, _now: Timestamp, _residue: Option<()>) -> Self {
        Self::default()
    }

    fn residue(&self, _now: Timestamp) -> Option<((), Timestamp)> {
        None
    }
}

/// Words on clients.
pub(crate) struct Advices {
    store: Store<Advice>,
    fresh_for: Duration,
}

impl Advices {
    pub(crate) fn new(capacity: usize, fresh_for: Duration) -> Self {
        Self { store: Store::new(capacity), fresh_for }
    }

    /// What is kept, for its size.
    pub(crate) const fn store(&self) -> &Store<Advice> {
        &self.store
    }

    /// Takes in a score of a request made at `about`. An older one than is known already, or none
    /// in 0..1, changes nothing.
    pub(crate) fn take(&self, client: Key, score: f32, about: Timestamp) {
        if !(0.0..=1.0).contains(&score) {
            return;
        }
        self.store.with(client, about, |advice| {
            if about >= advice.about {
                *advice = Advice { score, about };
            }
        });
    }

    /// The score to go by now, if there is a fresh one.
    pub(crate) fn score(&self, client: Key, now: Timestamp) -> Option<f32> {
        let advice = self.store.read(client, |advice| *advice)?;
        (now.since(advice.about) <= self.fresh_for).then_some(advice.score)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_holds_while_it_is_fresh_and_the_latest_wins() {
        let advices = Advices::new(1000, Duration::from_secs(2));
        let (client, at) = (Key(7), Timestamp::from_secs);
        assert_eq!(advices.score(client, at(10)), None);
        advices.take(client, 0.9, at(10));
        assert_eq!(advices.score(client, at(12)), Some(0.9));
        assert_eq!(advices.score(client, at(13)), None);
        advices.take(client, 0.1, at(9));
        assert_eq!(advices.score(client, at(11)), Some(0.9), "an older answer came late");
        for wrong in [f32::NAN, 1.5, -0.1, f32::INFINITY] {
            advices.take(client, wrong, at(11));
        }
        assert_eq!(advices.score(client, at(11)), Some(0.9));
        advices.take(client, 0.2, at(11));
        assert_eq!(advices.score(client, at(11)), Some(0.2));
        assert_eq!(advices.score(Key(8), at(11)), None);
    }
}
