//! Quotas, limiting algorithms, the bounded keyed store and the clock; no config, no models, no I/O.
//!
//! # A short guide
//!
//! A [`Quota`] says how much is allowed; a [`Limit`] says by which algorithm; a [`LimitState`] is
//! what must be remembered of a client. The limit is an argument of every check and may change
//! between any two of them: what a client owes carries over in cells, not in seconds (see
//! [`Bucket`] for the exact promise). Time is an argument as well; only [`clock`] reads a clock.
//!
//! Several limits are checked at once with [`check_all`]: all are charged or none is, and those in
//! [`Mode::Shadow`] are evaluated without a say.
//!
//! States live in a [`Store`], which holds at most so many clients and forgives nobody for being
//! evicted:
//!
//! ```
//! use std::num::NonZeroU32;
//! use std::time::Duration;
//! use tidegate_limiter::*;
//!
//! struct Client { state: LimitState, banned_until: Timestamp }
//!
//! impl Entry for Client {
//!     type Residue = Timestamp;
//!     fn fresh(_: Key, _: Timestamp, residue: Option<Timestamp>) -> Self {
//!         Self { state: LimitState::default(), banned_until: residue.unwrap_or_default() }
//!     }
//!     fn residue(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
//!         (self.banned_until > now).then_some((self.banned_until, self.banned_until))
//!     }
//! }
//!
//! let store = Store::<Client>::new(100_000);
//! let key = KeyHasher::new(1, 2).key(0, b"192.0.2.7");
//! let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
//! let ten = NonZeroU32::new(10).ok_or("zero")?;
//! let normal = Limit::TokenBucket(Quota::per_minute(ten));
//! let check = |limit: &Limit| {
//!     let now = clock.now();
//!     store.with(key, now, |client| client.state.check(limit, Cost::ONE, now))
//! };
//!
//! for left in (0..10).rev() {
//!     assert_eq!(check(&normal).remaining, left);
//! }
//! let denied = check(&normal);
//! assert!(!denied.admitted);
//! assert_eq!(denied.retry_after, Duration::from_secs(6));
//!
//! // Ten times the rate, the same debt: the next cell drains in a tenth of the time.
//! let raised = Limit::TokenBucket(Quota::new(100, Duration::from_secs(60), 10)?);
//! assert_eq!(check(&raised).retry_after, Duration::from_millis(600));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod bucket;
pub mod clock;
pub mod concurrency;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod key;
pub mod leaky;
pub mod limit;
pub mod quota;
pub mod store;
mod sync;
pub mod window;

pub use bucket::{Admission, Bucket};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use concurrency::Concurrency;
pub use key::{Key, KeyHasher};
pub use leaky::LeakyBucket;
pub use limit::{AllAdmission, Charge, Limit, LimitState, Mode, check_all};
pub use quota::{Cost, Quota, QuotaError};
pub use store::{Entry, Near, Stats, Store};
pub use window::{SlidingWindow, Window};
