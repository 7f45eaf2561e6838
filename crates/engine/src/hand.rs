//! What an operator set by hand for single clients, for a while: above the model, below the lists.

use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use tidegate_limiter::{Key, Quota, Timestamp};

/// Most clients that are limited by hand at once; more belong into the configuration.
pub const MOST_BY_HAND: usize = 10_000;

/// What is done with a client whatever the model says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    /// Nothing passes.
    Block,
    /// It has this limit.
    Limit(Quota),
    /// It has the limit of a trusted client and is not judged.
    Release,
}

/// Something set by hand, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByHand {
    /// What.
    pub hand: Hand,
    /// It ends then.
    pub until: Timestamp,
}

/// More clients than can be limited by hand.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{MOST_BY_HAND} clients are limited by hand already; end some, or write a list or a rule into \
     the configuration"
)]
pub struct TooManyByHand;

/// All that was set by hand.
#[derive(Default)]
pub(crate) struct Hands {
    /// Spares every request the look at the map while there is nothing in it.
    any: AtomicBool,
    all: ArcSwap<HashMap<Key, ByHand>>,
}

impl Hands {
    /// What holds for a client now.
    pub(crate) fn of(&self, client: Key, now: Timestamp) -> Option<ByHand> {
        if !self.any.load(Ordering::Relaxed) {
            return None;
        }
        self.all.load().get(&client).copied().filter(|set| now < set.until)
    }

    /// Sets something for clients, in place of what was set before; all or none.
    pub(crate) fn set(
        &self,
        clients: &[Key],
        set: ByHand,
        now: Timestamp,
    ) -> Result<(), TooManyByHand> {
        let mut fits = true;
        self.all.rcu(|before| {
            let mut all = HashMap::clone(before);
            all.retain(|_, old| now < old.until);
            all.extend(clients.iter().map(|client| (*client, set)));
            fits = all.len() <= MOST_BY_HAND;
            if fits { all } else { HashMap::clone(before) }
        });
        self.any.store(!self.all.load().is_empty(), Ordering::Relaxed);
        if fits { Ok(()) } else { Err(TooManyByHand) }
    }

    /// Ends what was set for a client; whether there was something.
    pub(crate) fn end(&self, client: Key, now: Timestamp) -> bool {
        let mut found = false;
        self.all.rcu(|before| {
            let mut all = HashMap::clone(before);
            found = all.remove(&client).is_some_and(|set| now < set.until);
            all
        });
        self.any.store(!self.all.load().is_empty(), Ordering::Relaxed);
        found
    }

    /// All that holds now, by client.
    pub(crate) fn list(&self, now: Timestamp) -> Vec<(Key, ByHand)> {
        let all = self.all.load();
        let mut list: Vec<_> =
            all.iter().filter(|(_, set)| now < set.until).map(|(k, set)| (*k, *set)).collect();
        list.sort_by_key(|(key, set)| (set.until, key.0));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_holds_until_it_ends_and_is_bounded() {
        let hands = Hands::default();
        let at = Timestamp::from_secs;
        let block = ByHand { hand: Hand::Block, until: at(100) };
        assert_eq!(hands.of(Key(1), at(1)), None);
        hands.set(&[Key(1), Key(2)], block, at(1)).unwrap();
        assert_eq!(hands.of(Key(1), at(99)), Some(block));
        assert_eq!(hands.of(Key(1), at(100)), None);
        assert_eq!(hands.list(at(50)), [(Key(1), block), (Key(2), block)]);
        assert!(hands.end(Key(1), at(50)) && !hands.end(Key(1), at(50)));
        assert_eq!(hands.of(Key(1), at(50)), None);

        let many: Vec<Key> = (10..10 + MOST_BY_HAND as u64).map(Key).collect();
        assert_eq!(hands.set(&many, block, at(50)), Err(TooManyByHand));
        // All or none; what has ended makes room.
        assert_eq!(hands.list(at(50)), [(Key(2), block)]);
        let later = ByHand { hand: Hand::Release, until: at(300) };
        hands.set(&many, later, at(200)).unwrap();
        assert_eq!(hands.list(at(200)).len(), MOST_BY_HAND);
    }
}
