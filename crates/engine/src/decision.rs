//! What the engine answers: a decision, its ticket for the outcome, and words for people.

use std::time::Duration;
use tidegate_behavior::Features;
use tidegate_limiter::{Key, Timestamp};

/// What is done with a client's limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Action {
    /// A proven client: its limit is above that of a new one.
    Raise,
    /// The limit of a client of which nothing bad is known.
    #[default]
    Allow,
    /// An anomaly: flagged, with a tighter limit, never blocked for it alone.
    Degrade,
    /// Moderate risk: a tight limit.
    Throttle,
    /// High risk, or denied by a list: nothing passes.
    Block,
}

impl Action {
    /// The action's name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raise => "raise",
            Self::Allow => "allow",
            Self::Degrade => "degrade",
            Self::Throttle => "throttle",
            Self::Block => "block",
        }
    }

    /// Every action, from the mildest.
    pub const ALL: [Self; 5] =
        [Self::Raise, Self::Allow, Self::Degrade, Self::Throttle, Self::Block];
}

/// Which rule answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleRef {
    /// The learned limit.
    Adaptive,
    /// The static rule at this position of the policy.
    Static(u16),
    /// An allow list.
    AllowList,
    /// A deny list.
    DenyList,
    /// A limit set by hand for this client.
    Override,
}

/// Names a decided request until its outcome is known. Small and `Copy`: it can travel in a
/// request's context or, as 48 hexadecimal digits, through another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The client.
    pub client: Key,
    /// The client's network.
    pub network: Key,
    /// The request's route.
    pub route: u16,
    /// The request's fingerprint.
    pub agent: u16,
    /// Whether the request was let through.
    pub admitted: bool,
}

/// The answer to one request.
#[derive(Clone, Debug)]
pub struct Decision {
    /// What enforcement says, also in shadow mode.
    pub allowed: bool,
    /// Whether the denial, if it is one, is only counted: the policy or the denying rule is in
    /// shadow.
    pub shadow: bool,
    /// What is done with the client's limit.
    pub action: Action,
    /// Calibrated probability that the client abuses, 0..1, smoothed over its requests.
    pub risk: f32,
    /// Anomaly score with a calibrated false-alarm rate, when a detector runs.
    pub anomaly: Option<f32>,
    /// The client's learned limit now, requests a minute; `f32::INFINITY` when it has none.
    pub limit_per_min: f32,
    /// The rule that answered: the one that denied, else the one nearest to its limit.
    pub rule: RuleRef,
    /// The answering limit's burst, in cells.
    pub limit: u32,
    /// Cells left in it.
    pub remaining: u32,
    /// When it is full again.
    pub reset_after: Duration,
    /// How long to wait before another try; zero when allowed.
    pub retry_after: Duration,
    /// How long a shaping rule asks to hold the request back before it is passed on.
    pub wait: Duration,
    /// For the outcome.
    pub ticket: Ticket,
    /// When it was decided.
    pub time: Timestamp,
    /// The features that were scored, for [`crate::Engine::reasons`].
    pub features: Features,
    /// Whether a model scored this request (false: static limits only).
    pub scored: bool,
}

impl Decision {
    /// Whether the request must be answered with a denial: denied and not in shadow.
    #[must_use]
    pub const fn denies(&self) -> bool {
        !self.allowed && !self.shadow
    }
}
