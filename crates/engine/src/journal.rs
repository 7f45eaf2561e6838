//! The journal: what was decided of clients at moments worth telling, the last few thousand of them.
//!
//! A moment is kept when what is done about a client changes, and at its first, second, fourth,
//! eighth … denial, so that one flood fills no more than a few lines. Of those that nothing is done
//! about a few requests are kept as well: they say what is usual here. All of it is memory that is
//! taken once; a client costs it a few entries, whatever it sends.

use crate::client::Name;
use crate::decision::{Action, Decision};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_limiter::Key;

/// Most moments of each kind that are kept.
const MOST: usize = 4096;

/// What was decided of a client at one moment.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Counts up from 1; moments that nothing was done about have numbers of their own.
    pub serial: u64,
    /// The decision.
    pub decision: Decision,
    /// What was done about the client before.
    pub before: Action,
    /// Its requests up to now.
    pub requests: u64,
    /// Of those, the ones denied.
    pub denied: u64,
    name: Name,
}

impl Moment {
    /// The client's address, or a hash of its credential.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.to_string()
    }
}

/// What the engine tells the journal of a decision, while it holds the client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub name: Name,
    /// What was thought of the client before and is now, whatever lists or operators say.
    pub before: Action,
    pub after: Action,
    pub requests: u32,
    pub denied: u32,
}

#[derive(Default)]
struct Ring {
    serial: u64,
    moments: VecDeque<Moment>,
}

/// The last moments.
pub(crate) struct Journal {
    /// Something was done about the client.
    acted: Mutex<Ring>,
    /// Nothing was.
    calm: Mutex<Ring>,
    /// The client whose next decision somebody waits for.
    wanted: AtomicU64,
}

/// What holds the service of a client back.
const fn held_back(action: Action) -> bool {
    matches!(action, Action::Degrade | Action::Throttle | Action::Block)
}

impl Default for Journal {
    fn default() -> Self {
        let ring = || Mutex::new(Ring { serial: 0, moments: VecDeque::with_capacity(MOST) });
        Self { acted: ring(), calm: ring(), wanted: AtomicU64::default() }
    }
}

impl Journal {
    /// Takes a decision in, if it is one to keep.
    pub(crate) fn take(&self, decision: &Decision, seen: Seen) {
        let Seen { name, before, after, requests, denied } = seen;
        let wanted = self.wanted.load(Ordering::Relaxed) == decision.ticket.client.0;
        let changed = (held_back(before) || held_back(after)) && before != after;
        let counted = !decision.allowed && denied.is_power_of_two();
        let ring = if changed || counted {
            &self.acted
        } else if wanted
            || (decision.allowed && !held_back(decision.action) && is_sampled(requests))
        {
            &self.calm
        } else {
            return;
        };
        if wanted {
            self.wanted.store(0, Ordering::Relaxed);
        }
        let mut ring = ring.lock();
        ring.serial += 1;
        let serial = ring.serial;
        if ring.moments.len() >= MOST {
            ring.moments.pop_front();
        }
        ring.moments.push_back(Moment {
            serial,
            decision: decision.clone(),
            before,
            requests: requests.into(),
            denied: denied.into(),
            name,
        });
    }

    /// Keeps the next decision of this client, whatever it is.
    pub(crate) fn want(&self, client: Key) {
        self.wanted.store(client.0, Ordering::Relaxed);
    }

    /// The moments since `serial` at which something was done, oldest first, and how many more there
    /// were that are not kept any more.
    pub(crate) fn since(&self, serial: u64) -> (Vec<Moment>, u64) {
        let ring = self.acted.lock();
        let first = ring.moments.front().map_or(ring.serial + 1, |moment| moment.serial);
        let from = ring.moments.partition_point(|moment| moment.serial <= serial);
        let missed = first.saturating_sub(serial + 1).min(ring.serial);
        (ring.moments.range(from..).cloned().collect(), missed)
    }

    /// All that is kept of one client, oldest first.
    pub(crate) fn of(&self, client: Key) -> Vec<Moment> {
        let mut all = Vec::new();
        for ring in [&self.acted, &self.calm] {
            let ring = ring.lock();
            all.extend(ring.moments.iter().filter(|m| m.decision.ticket.client == client).cloned());
        }
        all.sort_by_key(|moment| (moment.decision.time, moment.requests));
        all
    }

    /// Runs over the moments at which nothing was done, latest first.
    pub(crate) fn calm(&self, each: impl FnMut(&Moment)) {
        self.calm.lock().moments.iter().rev().for_each(each);
    }

    /// Runs over the moments at which something was done, latest first.
    pub(crate) fn acted(&self, each: impl FnMut(&Moment)) {
        self.acted.lock().moments.iter().rev().for_each(each);
    }
}

/// Whether this request of a client, by its number, is kept of a client that nothing is done about:
/// the 2nd, 16th, 128th and so on.
const fn is_sampled(requests: u32) -> bool {
    requests.is_power_of_two() && requests.trailing_zeros() % 3 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Engine, Policy, Setup};
    use std::num::NonZeroU32;
    use tidegate_behavior::{Method, Request};
    use tidegate_limiter::{Quota, Timestamp};

    fn request(n: u64, second: u64) -> Request<'static> {
        Request {
            addr: Some(std::net::IpAddr::from(u32::try_from(n).unwrap().to_be_bytes())),
            method: Method::Get,
            path: "/",
            time: Timestamp::from_secs(1_000_000 + second),
            ..Request::default()
        }
    }

    #[test]
    fn a_flood_fills_a_few_lines_and_a_calm_client_is_sampled() {
        let engine = Engine::new(Policy::default(), Setup::default());
        for _ in 0..5000 {
            engine.check(&request(7, 0));
        }
        let (moments, missed) = engine.journal.since(0);
        assert_eq!(missed, 0);
        let denied: Vec<u64> = moments.iter().map(|moment| moment.denied).collect();
        assert!(denied.len() >= 10 && denied.len() < 30, "{denied:?}");
        assert!(denied.is_sorted() && denied.iter().all(|n| n.is_power_of_two()), "{denied:?}");
        assert_eq!(moments[0].name(), "0.0.0.7");

        for second in 0..40 {
            engine.check(&request(8, second * 10));
        }
        let key = engine.find_key("0.0.0.8").unwrap();
        let story = engine.journal.of(key);
        assert_eq!(story.iter().map(|m| m.requests).collect::<Vec<_>>(), [2, 16]);
        // The next one as well when somebody waits for it, and that one alone.
        engine.journal.want(key);
        engine.check(&request(8, 500));
        engine.check(&request(8, 510));
        let story = engine.journal.of(key);
        assert_eq!(story.iter().map(|m| m.requests).collect::<Vec<_>>(), [2, 16, 41]);
    }

    #[test]
    fn what_was_pushed_out_is_counted() {
        let mut policy = Policy::default();
        policy.adaptive.tiers.new = Quota::per_minute(NonZeroU32::MIN);
        let engine = Engine::new(policy, Setup::default());
        let clients = 2 * MOST as u64;
        for n in 0..clients {
            // Each is denied once: the new tier's burst and one more.
            while engine.check(&request(n + 1, 0)).allowed {}
        }
        let (moments, missed) = engine.journal.since(0);
        assert_eq!(moments.len(), MOST);
        assert_eq!(missed, clients - MOST as u64);
        let last = moments.last().unwrap().serial;
        assert_eq!(last, clients);
        let (none, missed) = engine.journal.since(last);
        assert!(none.is_empty() && missed == 0, "{missed}");
        let (two, missed) = engine.journal.since(last - 2);
        assert_eq!((two.len(), missed), (2, 0));
    }
}
