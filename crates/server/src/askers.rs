//! Which Envoys ask about their requests: what the access log of such a one has no ticket for was denied,
//! or was not to be asked about; any other Envoy's log tells of requests that nobody else tells of.
//!
//! Who asks is known by its address alone, and who streams a log by address and node. A log is that of an
//! asker when it comes from an address that asks, or has had tickets that were given out here; several
//! Envoys behind one address are told apart as soon as one of them shows such a ticket.

use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidegate_limiter::Timestamp;

/// Whoever has not asked for so long may have been told to stop, or its address be another's.
const FRESH: Duration = Duration::from_secs(3600);
/// So often it is noted that somebody still asks.
const NOTED: Duration = Duration::from_secs(60);
/// Most addresses, and most nodes, that are remembered.
const MOST: usize = 4096;

/// Who asks.
#[derive(Debug, Default)]
pub(crate) struct Askers {
    /// When each address asked last: read with each question, written by the first of an address.
    addresses: ArcSwap<HashMap<IpAddr, Arc<AtomicU64>>>,
    /// When each node of an address showed a ticket last.
    nodes: Mutex<HashMap<IpAddr, HashMap<String, Timestamp>>>,
}

fn is_fresh(latest: Timestamp, now: Timestamp) -> bool {
    now.since(latest) < FRESH
}

fn read(latest: &AtomicU64) -> Timestamp {
    Timestamp::from_nanos(latest.load(Ordering::Relaxed))
}

impl Askers {
    /// Takes in a question.
    pub(crate) fn asked(&self, from: IpAddr, now: Timestamp) {
        if let Some(latest) = self.addresses.load().get(&from) {
            if now.since(read(latest)) >= NOTED {
                latest.store(now.as_nanos(), Ordering::Relaxed);
            }
            return;
        }
        self.addresses.rcu(|before| {
            let mut next = HashMap::clone(before);
            if next.len() >= MOST {
                next.retain(|_, latest| is_fresh(read(latest), now));
            }
            if next.len() < MOST {
                next.insert(from, Arc::new(AtomicU64::new(now.as_nanos())));
            }
            next
        });
    }

    /// Whether anybody asks.
    pub(crate) fn any(&self, now: Timestamp) -> bool {
        self.addresses.load().values().any(|latest| is_fresh(read(latest), now))
    }

    /// Takes in that a log had a ticket that was given out here.
    pub(crate) fn showed(&self, from: IpAddr, node: &str, now: Timestamp) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(latest) = nodes.get_mut(&from).and_then(|all| all.get_mut(node)) {
            *latest = now;
            return;
        }
        if nodes.values().map(HashMap::len).sum::<usize>() >= MOST {
            nodes.retain(|_, all| {
                all.retain(|_, latest| is_fresh(*latest, now));
                !all.is_empty()
            });
        }
        if nodes.values().map(HashMap::len).sum::<usize>() < MOST {
            nodes.entry(from).or_default().insert(node.to_owned(), now);
        }
    }

    /// Whether a log is that of an Envoy which asks.
    pub(crate) fn asks(&self, from: IpAddr, node: &str, now: Timestamp) -> bool {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |latest: &Timestamp| is_fresh(*latest, now);
        match nodes.get(&from).filter(|all| all.values().any(fresh)) {
            // Another one behind its address may be the one that asks.
            Some(all) => all.get(node).is_some_and(fresh),
            None => self.addresses.load().get(&from).is_some_and(|it| is_fresh(read(it), now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const SECOND: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + seconds)
    }

    #[test]
    fn an_asker_is_known_by_its_address_until_it_has_not_asked_for_long() {
        let askers = Askers::default();
        assert!(!askers.any(at(0)));
        for seconds in (0..7200).step_by(100) {
            askers.asked(FIRST, at(seconds));
        }
        assert!(askers.asks(FIRST, "", at(7200)) && askers.asks(FIRST, "a", at(7200)));
        assert!(!askers.asks(SECOND, "", at(7200)));
        assert!(askers.any(at(7200)) && !askers.any(at(11_000)));
        assert!(!askers.asks(FIRST, "", at(11_000)));
    }

    #[test]
    fn nodes_of_one_address_are_told_apart_by_their_tickets() {
        let askers = Askers::default();
        askers.asked(FIRST, at(0));
        assert!(askers.asks(FIRST, "edge", at(1)) && askers.asks(FIRST, "inner", at(1)));
        askers.showed(FIRST, "edge", at(2));
        assert!(askers.asks(FIRST, "edge", at(3)) && !askers.asks(FIRST, "inner", at(3)));
        // Who asks by one address and streams from another.
        askers.showed(SECOND, "far", at(3));
        assert!(askers.asks(SECOND, "far", at(4)) && !askers.asks(SECOND, "edge", at(4)));
        // Without a ticket for long the address counts again.
        askers.asked(FIRST, at(4000));
        assert!(askers.asks(FIRST, "inner", at(4001)) && !askers.asks(SECOND, "far", at(4001)));
    }

    #[test]
    fn memory_is_bounded_and_the_forgotten_make_room() {
        let askers = Askers::default();
        let address = |n: usize| IpAddr::from([10, 0, (n >> 8) as u8, n as u8]);
        for n in 0..MOST + 10 {
            askers.asked(address(n), at(0));
            askers.showed(address(n), "node", at(0));
        }
        assert_eq!(askers.addresses.load().len(), MOST);
        assert!(!askers.asks(address(MOST + 5), "node", at(1)));
        askers.asked(SECOND, at(4000));
        askers.showed(SECOND, "node", at(4000));
        assert!(askers.asks(SECOND, "node", at(4001)));
        assert_eq!((askers.addresses.load().len(), askers.nodes.lock().unwrap().len()), (1, 1));
    }
}
