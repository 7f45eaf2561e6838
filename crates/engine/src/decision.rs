//! What the engine answers: a decision, its ticket for the outcome, and words for people.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use tidegate_behavior::Features;
use tidegate_behavior::memory::Trace;
use tidegate_behavior::profile::Evident;
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

/// Names a decided request until its outcome is known. `Copy`: it travels in a request's context
/// or, as hexadecimal digits, through another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The client.
    pub client: Key,
    /// Network, route and fingerprint.
    pub trace: Trace,
    /// Whether the route was known when the request was decided.
    pub known: bool,
    /// Whether enforcement let the request through.
    pub admitted: bool,
    /// Where the path of a route yet unknown waits for its outcome; 0 for none.
    pub pending: u16,
    /// Where permits of concurrency rules wait for their release; 0 for none.
    pub permit: u32,
}

/// A ticket's text could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a ticket is {TICKET_DIGITS} hexadecimal digits, as a check answered it; send it back unchanged"
)]
pub struct TicketError;

const TICKET_BYTES: usize = 33;
const TICKET_DIGITS: usize = TICKET_BYTES * 2;

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.known) | u8::from(self.admitted) << 1;
        write!(
            f,
            "{:016x}{:016x}{:016x}{:04x}{:02x}{:04x}{:08x}",
            self.client.0,
            self.trace.network.0,
            self.trace.fingerprint,
            self.trace.route,
            flags,
            self.pending,
            self.permit
        )
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        if text.len() != TICKET_DIGITS || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(TicketError);
        }
        let field = |from: usize, digits: usize| {
            u64::from_str_radix(&text[from..from + digits], 16).map_err(|_| TicketError)
        };
        let short = |from, digits| u16::try_from(field(from, digits)?).map_err(|_| TicketError);
        let flags = field(52, 2)?;
        Ok(Self {
            client: Key(field(0, 16)?),
            trace: Trace {
                network: Key(field(16, 16)?),
                fingerprint: field(32, 16)?,
                route: short(48, 4)?,
            },
            known: flags & 1 != 0,
            admitted: flags & 2 != 0,
            pending: short(54, 4)?,
            permit: u32::try_from(field(58, 8)?).map_err(|_| TicketError)?,
        })
    }
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
    /// What it made of this request alone, in its [`company`](Self::company), 0..1; 0 when none did.
    pub score: f32,
    /// By how much the odds of abuse are higher than usual among those who ask for the route now, 1..20.
    pub company: f32,
    /// What was thought of the first requests of those who came like the client, 0..1.
    pub suspicion: f32,
    /// Whether one of those behind a shared address was spared what the address is held to: `action`
    /// and `risk` are then of that one alone.
    pub spared: bool,
    /// What the client does that speaks for itself; it is held back for that whatever the model makes of
    /// it.
    pub evident: Option<Evident>,
}

impl Decision {
    /// Whether the request must be answered with a denial: denied and not in shadow.
    #[must_use]
    pub const fn denies(&self) -> bool {
        !self.allowed && !self.shadow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_survives_its_text() {
        let ticket = Ticket {
            client: Key(u64::MAX - 5),
            trace: Trace { network: Key(7), fingerprint: 1 << 63, route: 2047 },
            known: true,
            admitted: false,
            pending: 1023,
            permit: u32::MAX,
        };
        let text = ticket.to_string();
        assert_eq!(text.len(), TICKET_DIGITS);
        assert_eq!(text.parse(), Ok(ticket));
        for bad in [
            "",
            "zz",
            &text[1..],
            &format!("{}g", &text[1..]),
            &format!("{text}0"),
            "é".repeat(33).as_str(),
        ] {
            assert_eq!(bad.parse::<Ticket>(), Err(TicketError), "{bad}");
        }
    }
}
