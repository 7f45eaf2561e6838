//! What waits for an outcome beside its ticket: paths of unknown routes, permits to release.
//!
//! Both are rings of fixed size. A slot that is written again before its outcome came loses what
//! it held: a route is learned a request later, a permit runs out with its lease.

use parking_lot::Mutex;
use smallvec::SmallVec;
use std::sync::atomic::{AtomicU32, Ordering};
use tidegate_behavior::Method;
use tidegate_limiter::{Cost, Key, Timestamp};

const PATHS: usize = 1024;
const PERMITS: usize = 65_536;
/// Longer paths are not remembered: no template is that long.
const MAX_PATH: usize = 512;

/// Room for most paths: a slot keeps its text, so that its memory is allocated once.
const USUAL_PATH: usize = 64;

/// A path that waits, and its text; `None` when it was taken.
type Path = (Option<Method>, String);

/// Paths of routes yet unknown.
pub(crate) struct Paths {
    next: AtomicU32,
    slots: Box<[Mutex<Path>]>,
}

impl Default for Paths {
    fn default() -> Self {
        Self { next: AtomicU32::new(0), slots: (0..PATHS).map(|_| Mutex::default()).collect() }
    }
}

impl Paths {
    /// Keeps a path; answers its number, 0 when it is not kept.
    pub(crate) fn put(&self, method: Method, path: &str) -> u16 {
        if path.len() > MAX_PATH {
            return 0;
        }
        let slot = self.next.fetch_add(1, Ordering::Relaxed) as usize % PATHS;
        let mut held = self.slots[slot].lock();
        held.0 = Some(method);
        held.1.clear();
        held.1.reserve(path.len().max(USUAL_PATH));
        held.1.push_str(path);
        u16::try_from(slot + 1).unwrap_or(0)
    }

    /// Takes a path out, once, and shows it to `f`.
    pub(crate) fn take<R>(&self, number: u16, f: impl FnOnce(Method, &str) -> R) -> Option<R> {
        let slot = usize::from(number).checked_sub(1)?;
        let mut held = self.slots.get(slot)?.lock();
        Some(f(held.0.take()?, &held.1))
    }
}

/// A permit of one concurrency rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Permit {
    pub key: Key,
    pub cost: Cost,
    pub charged: Timestamp,
}

type Held = SmallVec<[Permit; 2]>;

/// Permits of requests in flight.
pub(crate) struct Permits {
    next: AtomicU32,
    slots: Box<[Mutex<(u32, Held)>]>,
}

impl Default for Permits {
    fn default() -> Self {
        Self { next: AtomicU32::new(1), slots: (0..PERMITS).map(|_| Mutex::default()).collect() }
    }
}

impl Permits {
    /// Keeps permits; answers their number, 0 when there are none.
    pub(crate) fn put(&self, permits: impl Iterator<Item = Permit>) -> u32 {
        let held: Held = permits.collect();
        if held.is_empty() {
            return 0;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed).max(1);
        *self.slots[number as usize % PERMITS].lock() = (number, held);
        number
    }

    /// Takes permits out, once.
    pub(crate) fn take(&self, number: u32) -> Held {
        if number == 0 {
            return Held::new();
        }
        let mut slot = self.slots[number as usize % PERMITS].lock();
        if slot.0 == number { std::mem::take(&mut slot.1) } else { Held::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_once() {
        let paths = Paths::default();
        let number = paths.put(Method::Get, "/a");
        let take = |number| paths.take(number, |method, path| (method, path.to_owned()));
        assert_eq!(take(number), Some((Method::Get, "/a".into())));
        assert_eq!(take(number), None);
        assert_eq!(take(0), None);
        assert_eq!(take(u16::MAX), None);
        assert_eq!(paths.put(Method::Get, &"x".repeat(1000)), 0);
    }

    #[test]
    fn permits_are_released_once_and_never_for_another_request() {
        let permits = Permits::default();
        let one = Permit { key: Key(1), cost: Cost::ONE, charged: Timestamp::EPOCH };
        assert_eq!(permits.put(std::iter::empty()), 0);
        let number = permits.put([one].into_iter());
        for _ in 0..PERMITS {
            permits.put([Permit { key: Key(2), ..one }].into_iter());
        }
        assert!(permits.take(number).is_empty(), "its slot was taken over");
        let number = permits.put([one].into_iter());
        assert_eq!(permits.take(number).as_slice(), &[one]);
        assert!(permits.take(number).is_empty());
    }
}
