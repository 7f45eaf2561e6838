//! What a client does, remembered: records, identity, profiles and the feature vector; no sockets, no wall clock.

pub mod address;
pub mod record;
pub mod schema;

pub use record::{Method, Outcome, Request};
pub use schema::Features;
