//! Those behind one address, told apart by their fingerprints, so that nobody answers for a neighbour.
//!
//! An office, a school or a carrier's gateway is one client by its address, and what one machine
//! behind it does would be held against all. Once such an address has a good record, each
//! fingerprint behind it gets a profile and a standing of its own beside those of the address. They
//! never speak against anybody; they speak for a guest when the address is throttled or blocked: one with a good record of its own goes on under its own limit. A record must be older than the
//! penalty, so whoever changes fingerprints gains nothing, and a guest that joins in the abuse
//! answers for what it does itself.

use crate::check::{judge, trust};
use crate::client::Client;
use crate::decision::Action;
use crate::engine::Engine;
use crate::snapshot::Snapshot;
use crate::standing::{Evidence, Standing};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tidegate_behavior::extract::{Surroundings, extract};
use tidegate_behavior::facts::Facts;
use tidegate_behavior::profile::Profile;
use tidegate_behavior::schema::index;
use tidegate_limiter::{Bucket, Key};

/// So many guests of an address are told apart; one without a record makes room first.
const MOST: usize = 16;
/// An address with fewer fingerprints has no guests worth telling apart.
const FINGERPRINTS: f32 = 3.0;
/// Good requests that an address must have shown before.
const GOOD: u16 = 20;
/// Good requests of its own from which a guest is spared.
const OWN_GOOD: u16 = 8;
/// After so long a guest's record does not keep its place any more.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// One address in so many that are tracked may have guests: they take some five kilobytes.
const ONE_IN: usize = 128;

/// How many addresses have guests, and how many may.
#[derive(Debug)]
pub(crate) struct Houses {
    taken: Arc<AtomicUsize>,
    most: usize,
}

impl Houses {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { taken: Arc::default(), most: (capacity / ONE_IN).max(64) }
    }

    /// Room for the guests of one more address.
    fn open(&self) -> Option<Box<Guests>> {
        if self.taken.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.taken.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Box::new(Guests { all: Vec::with_capacity(MOST), taken: Arc::clone(&self.taken) }))
    }
}

/// The guests of one address.
#[derive(Debug)]
pub(crate) struct Guests {
    all: Vec<Guest>,
    taken: Arc<AtomicUsize>,
}

impl Drop for Guests {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Those behind an address who have one fingerprint.
#[derive(Debug)]
pub(crate) struct Guest {
    fingerprint: u64,
    pub profile: Profile,
    pub standing: Standing,
    pub bucket: Bucket,
}

impl Guests {
    /// How many are told apart.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The guest with this fingerprint.
    pub(crate) fn find(&mut self, fingerprint: u64) -> Option<&mut Guest> {
        self.all.iter_mut().find(|guest| guest.fingerprint == fingerprint)
    }

    /// The guest with this fingerprint, a new one if need be.
    fn welcome(&mut self, facts: &Facts) -> &mut Guest {
        let known = self.all.iter().position(|guest| guest.fingerprint == facts.fingerprint);
        let at = known.unwrap_or_else(|| {
            let guest = Guest {
                fingerprint: facts.fingerprint,
                profile: Profile::new(facts.time),
                standing: Standing::default(),
                bucket: Bucket::default(),
            };
            if self.all.len() < MOST {
                self.all.push(guest);
                return self.all.len() - 1;
            }
            // Those with a record stay: fingerprints made up by the hundred push out each other.
            let worth = |(_, guest): &(usize, &Guest)| {
                let seen = guest.profile.last_seen();
                let away = facts.time.since(seen) > FORGOTTEN;
                (guest.standing.good >= OWN_GOOD && !away, seen)
            };
            let least = self.all.iter().enumerate().min_by_key(worth).map_or(0, |(at, _)| at);
            self.all[least] = guest;
            least
        });
        &mut self.all[at]
    }
}

impl Guest {
    /// Whether the guest has a good record of its own and does nothing against it.
    fn is_good(&self) -> bool {
        self.standing.good >= OWN_GOOD
            && matches!(self.standing.action, Action::Allow | Action::Raise)
    }
}

impl Client {
    /// Takes the request in for the guest that sent it, if the client is an address with guests.
    /// Answers the guest if it is one to be spared.
    pub(crate) fn guest(
        &mut self,
        engine: &Engine,
        snapshot: &Snapshot,
        facts: &Facts,
        around: &Surroundings,
        key: Key,
    ) -> Option<&mut Guest> {
        let now = facts.time;
        if self.guests.is_none() {
            let settled = !facts.credentialed
                && self.standing.good >= GOOD
                && trust(&self.profile, now) >= 1.0
                && self.profile.fingerprints() >= FINGERPRINTS;
            self.guests = if settled { engine.houses.open() } else { None };
        }
        let guest = self.guests.as_mut()?.welcome(facts);
        let idle_seconds = now.since(guest.profile.last_seen()).as_secs_f32();
        // What the groups are told of the request, the address has told them.
        let _ = engine.memory.observe(&mut guest.profile, facts, around);
        let mut features = extract(&guest.profile, facts, around);
        // The network of the address is, more than anybody, the neighbour that is in question.
        features[index::NETWORK_RATE] = features[index::RATE_1M];
        features[index::NETWORK_ERROR_EXCESS] = features[index::NETWORK_ERROR_EXCESS].min(0.0);
        let trust = trust(&guest.profile, now);
        let own = engine.record_of(&guest.profile, &guest.standing, snapshot, now);
        let score = judge(snapshot, &features, own)?;
        let evidence = Evidence::alone(score, idle_seconds, trust);
        guest.standing.update(evidence, key, now, &snapshot.policy.adaptive);
        guest.is_good().then_some(guest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_behavior::groups::TurnsView;
    use tidegate_behavior::memory::Memory;
    use tidegate_behavior::{Request, path};
    use tidegate_limiter::Timestamp;

    #[test]
    fn so_many_addresses_have_guests_and_one_that_is_forgotten_makes_room() {
        let houses = Houses::new(0);
        let mut open: Vec<_> = (0..64).map(|_| houses.open().unwrap()).collect();
        assert!(houses.open().is_none() && houses.open().is_none());
        open.pop();
        open.push(houses.open().unwrap());
        assert!(houses.open().is_none());
        drop(open);
        assert_eq!(houses.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn made_up_fingerprints_push_out_each_other_and_nobody_with_a_record() {
        let memory = Memory::new(8);
        let facts = |agent: &str, at: u64| {
            let time = Timestamp::from_secs(at);
            let request = Request { time, user_agent: agent, path: "/", ..Request::default() };
            memory.facts(&request, path::read("/"), 0)
        };
        let mut guests = Houses::new(0).open().unwrap();
        for n in 0..MOST {
            let guest = guests.welcome(&facts(&format!("browser {n}"), 1000));
            guest.standing.good = if n < 10 { OWN_GOOD } else { 0 };
            guest.profile.observe(
                &facts(&format!("browser {n}"), 1000),
                (0.0, 0.0),
                TurnsView::default(),
            );
        }
        for n in 0..500 {
            guests.welcome(&facts(&format!("made up {n}"), 1000 + n));
        }
        let known = |guests: &mut Guests, n: usize| {
            guests.find(facts(&format!("browser {n}"), 0).fingerprint).is_some()
        };
        assert!((0..10).all(|n| known(&mut guests, n)) && !known(&mut guests, 10));
        assert_eq!(guests.all.len(), MOST);
        // A record of long ago does not hold its place.
        for n in 0..20 {
            guests.welcome(&facts(&format!("new {n}"), 9000));
        }
        assert!(!(0..10).any(|n| known(&mut guests, n)));
    }
}
