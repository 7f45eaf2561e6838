//! One request, decided: policy, tiers, rails, shadow mode and feedback; no sockets, no wire formats.

pub mod decision;
pub mod pattern;
pub mod policy;

pub use decision::{Action, Decision, RuleRef, Ticket};
pub use policy::{Mode, Policy};
