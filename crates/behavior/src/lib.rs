//! What a client does, remembered: records, identity, profiles and the feature vector; no sockets, no wall clock.

pub mod address;
pub mod agent;
pub mod extract;
pub mod facts;
pub mod forwarded;
pub mod groups;
pub mod habits;
mod marks;
mod math;
pub mod memory;
pub mod network;
mod operations;
pub mod path;
mod probes;
pub mod profile;
pub mod record;
pub mod routes;
pub mod schema;
pub mod sensitive;
mod sketch;

pub use record::{Answer, Method, Outcome, Request};
pub use schema::Features;

/// A quick hash of bytes, the same in every run. Not keyed: it groups look-alikes and never names
/// a client; whoever makes two values collide gains nothing that sending one value would not give.
#[inline]
fn hash(bytes: &[u8]) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = foldhash::fast::FixedState::with_seed(0x7469_6465).build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

/// Two hashes made into one; order matters.
#[inline]
const fn mix(a: u64, b: u64) -> u64 {
    tidegate_limiter::Key(a).with(b).0
}
