//! One request, decided: policy, tiers, rails, shadow mode and feedback; no sockets, no wire formats.
//!
//! [`Engine::check`] is the whole path of a request, and the file to read first.

mod advice;
pub mod allotments;
mod check;
mod client;
mod company;
#[cfg(test)]
mod conformance;
pub mod crawlers;
pub mod decision;
pub mod descriptors;
pub mod domains;
mod drift;
mod engine;
mod guests;
pub mod hand;
pub mod incidents;
pub mod inspect;
mod journal;
mod ladder;
mod oddity;
pub mod parts;
pub mod pattern;
mod pending;
pub mod policy;
mod rules;
mod snapshot;
mod standing;
pub mod stats;
pub mod trial;
mod watch;

pub use decision::{Action, Decision, RuleRef, Ticket, TicketError};
pub use engine::{Engine, Setup};
pub use inspect::ClientView;
pub use journal::Moment;
pub use parts::{Part, Parts};
pub use policy::{Mode, Policy};
pub use stats::Stats;
pub use trial::{Inbox, Sighting, Trial};
pub use watch::{Alarm, Hours, WATCHED};
