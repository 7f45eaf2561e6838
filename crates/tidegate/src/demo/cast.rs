//! Who plays in the demo: every actor with its address, what it is, and what it got.

use parking_lot::Mutex;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// What an actor is. Tidegate is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    Flood,
    Scanner,
    Stuffing,
    Partner,
    Office,
    Crawler,
    Monitor,
    App,
    Shopper,
}

impl Group {
    /// Attackers first, then the legitimate that are few, then the many.
    pub(super) const ALL: [Self; 9] = [
        Self::Flood,
        Self::Scanner,
        Self::Stuffing,
        Self::Partner,
        Self::Office,
        Self::Crawler,
        Self::Monitor,
        Self::App,
        Self::Shopper,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::Scanner => "scanner",
            Self::Stuffing => "password guesser",
            Self::Partner => "partner's program",
            Self::Office => "office of five",
            Self::Crawler => "search robot",
            Self::Monitor => "uptime monitor",
            Self::App => "phone app",
            Self::Shopper => "shopper",
        }
    }

    pub(super) const fn abusive(self) -> bool {
        matches!(self, Self::Flood | Self::Scanner | Self::Stuffing)
    }
}

/// One client of the shop, and what became of its requests.
#[derive(Debug)]
pub(super) struct Actor {
    pub(super) group: Group,
    pub(super) addr: IpAddr,
    began: OnceLock<Instant>,
    passed: AtomicU64,
    denied: AtomicU64,
    first_denial: OnceLock<FirstDenial>,
}

/// When an actor was first denied, counted from its first request.
#[derive(Clone, Copy, Debug)]
pub(super) struct FirstDenial {
    pub(super) after: Duration,
    pub(super) requests: u64,
}

impl Actor {
    /// Notes that a request goes out.
    pub(super) fn asks(&self) {
        self.began.get_or_init(Instant::now);
    }

    /// Notes an answer.
    pub(super) fn answered(&self, denied: bool) {
        let count = if denied { &self.denied } else { &self.passed };
        count.fetch_add(1, Ordering::Relaxed);
        if denied {
            self.first_denial.get_or_init(|| FirstDenial {
                after: self.began.get().map_or(Duration::ZERO, Instant::elapsed),
                requests: self.passed() + 1,
            });
        }
    }

    pub(super) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    pub(super) fn denied(&self) -> u64 {
        self.denied.load(Ordering::Relaxed)
    }

    pub(super) fn first_denial(&self) -> Option<FirstDenial> {
        self.first_denial.get().copied()
    }

    /// Whether more than 2 % of what it asked for was denied, as `tidegate evaluate` counts harm.
    pub(super) fn harmed(&self) -> bool {
        self.denied() * 50 > self.passed() + self.denied()
    }
}

/// Everybody, in the order of appearance.
#[derive(Default)]
pub(super) struct Cast(Mutex<Vec<Arc<Actor>>>);

impl Cast {
    /// A new actor with an address of its own, in a network of its own.
    pub(super) fn enter(&self, group: Group) -> Arc<Actor> {
        let mut all = self.0.lock();
        let actor = Arc::new(Actor {
            group,
            addr: address(all.len()),
            began: OnceLock::new(),
            passed: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            first_denial: OnceLock::new(),
        });
        all.push(Arc::clone(&actor));
        actor
    }

    /// Everybody who has sent something.
    pub(super) fn seen(&self) -> Vec<Arc<Actor>> {
        self.0.lock().iter().filter(|actor| actor.began.get().is_some()).cloned().collect()
    }
}

/// The `n`-th address of 198.18.0.0/15, which is set apart for tests (RFC 2544), spread over its
/// networks of 256 in an order that shows no pattern.
fn address(n: usize) -> IpAddr {
    let network = u32::try_from(n * 197 % 512).unwrap_or(0);
    let host = u32::try_from(n * 89 % 251).unwrap_or(0) + 2;
    IpAddr::V4(Ipv4Addr::from(0xc612_0000 + (network << 8) + host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn addresses_differ_and_are_for_tests() {
        let all: HashSet<IpAddr> = (0..5000).map(address).collect();
        assert_eq!(all.len(), 5000);
        assert!(all.iter().all(|addr| {
            matches!(addr, IpAddr::V4(v4) if v4.to_bits() >> 17 == 0xc612_0000 >> 17)
        }));
    }

    #[test]
    fn an_actor_counts_what_it_got() {
        let actor = Cast::default().enter(Group::Flood);
        actor.asks();
        for denied in [false, false, true, true] {
            actor.answered(denied);
        }
        assert_eq!((actor.passed(), actor.denied()), (2, 2));
        assert_eq!(actor.first_denial().map(|first| first.requests), Some(3));
        assert!(actor.harmed());
    }
}
