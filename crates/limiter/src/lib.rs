//! Quotas, limiting algorithms, the bounded keyed store and the clock; no config, no models, no I/O.

pub mod clock;
pub mod key;

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use key::{Key, KeyHasher};
