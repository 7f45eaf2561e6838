//! How risk becomes an action: evidence, bands, hysteresis, forgiveness and jitter.

use crate::check::Limited;
use crate::company::badness;
use crate::decision::Action;
use crate::ladder::Ladder;
use crate::oddity::Oddity;
use crate::policy::Adaptive;
use tidegate_limiter::{Key, Quota, Timestamp};

/// How far one request moves the smoothed risk towards its score, when the score is above it.
///
/// 0.45 means that a single odd request condemns nobody (a score of 1 from a risk of 0 gives 0.45,
/// which no jitter brings into the throttle band), that two throttle (0.70) and that four block
/// (0.91): a sequential test with geometric memory.
const RISE: f32 = 0.45;
/// A client with a long good record rises more slowly, but never more slowly than this.
const RISE_PROVEN: f32 = 0.15;
/// A client with a long good record takes at least this long, in seconds, to get most of the way
/// (1 − 1/e) up to a high score. A busy integration sends ten requests in half a second; what half
/// a second of a rush on the site says of it is one observation and not ten.
const PROVEN_SECONDS: f32 = 10.0;
/// From this many good requests on a record is a long one.
const LONG_RECORD: f32 = 500.0;
/// From the first of these on, the suspicion of a client's group speeds its rise; from the second
/// on, a single request moves the risk all the way to its score. An address of a swarm asks once or
/// twice: if each had to condemn itself, none ever would be.
const SUSPICION: [f32; 2] = [0.45, 0.75];
/// A client with this many good requests answers for itself alone, whatever its group does.
const STRANGER: f32 = 20.0;
/// So far below the edge of a block is who was blocked and has had the time of it: the next request that
/// is worth a block blocks again.
const ONE_MORE: f32 = 0.01;
/// How far one request moves the smoothed risk towards a score below it.
const FALL: f32 = 0.12;
/// Thresholds are drawn anew for each client this often, seconds.
const EPOCH: u64 = 900;
/// Sets the draw of delays apart from that of thresholds.
const DELAY: u64 = 0xde1a_0000_0000;

/// What the engine thinks of one client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// Smoothed risk, 0..1.
    pub risk: f32,
    /// Requests at low risk in a row, weighed down by risk.
    pub good: u16,
    /// What was decided last.
    pub action: Action,
    /// Whether the client comes out of a block and is not forgiven yet.
    pub probation: bool,
    /// Requests until a penalty that is due begins; 0 when none is due.
    due_in: u8,
    /// How unlike other clients it is.
    pub oddity: Oddity,
    blocked_until: u32,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            risk: 0.0,
            good: 0,
            action: Action::Allow,
            probation: false,
            due_in: 0,
            oddity: Oddity::default(),
            blocked_until: 0,
        }
    }
}

/// What one request says of its client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence {
    /// The probability of abuse, 0..1.
    pub score: f32,
    /// Seconds since the client's request before.
    pub idle_seconds: f32,
    /// How much of a good record counts yet, 0..1: a record made within seconds is a flood's.
    pub trust: f32,
    /// What was thought of the first requests of those who came like the client, 0..1.
    pub suspicion: f32,
    /// By how much the odds are higher for what others on the route are thought to do, 1..20; it is in the
    /// score already.
    pub company: f32,
}

impl Evidence {
    /// What a request says of a client that came alone.
    pub(crate) const fn alone(score: f32, idle_seconds: f32, trust: f32) -> Self {
        Self { score, idle_seconds, trust, suspicion: 0.0, company: 1.0 }
    }
}

/// What survives when a penalised client is evicted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Penalty {
    risk: f32,
    blocked_until: u32,
    action: Action,
    probation: bool,
}

fn seconds(now: Timestamp) -> u32 {
    u32::try_from(now.as_secs()).unwrap_or(u32::MAX)
}

/// A number in −1..1 that only the holder of the secret can tell.
fn jitter(client: Key, now: Timestamp) -> f32 {
    let hash = client.with(now.as_secs() / EPOCH).0;
    #[allow(clippy::cast_precision_loss, reason = "24 bits are what a float holds")]
    let unit = (hash >> 40) as f32 / (1u64 << 24) as f32;
    unit * 2.0 - 1.0
}

impl Standing {
    /// Takes in what one request says of the client.
    pub(crate) fn update(
        &mut self,
        evidence: Evidence,
        client: Key,
        now: Timestamp,
        policy: &Adaptive,
    ) {
        let Evidence { score, idle_seconds, trust, suspicion, company } = evidence;
        let forgive = policy.forgive.as_secs_f32().max(1.0);
        if idle_seconds > 0.0 {
            // Time heals a mistake, and not what goes on: one who scans at a request a minute would else
            // be forgiven between any two of them. So a pause heals only from `forgive` on where the next
            // request alone is worth a block, and at once where its score leaves doubt.
            let certain = score >= policy.bands.block;
            let heals = if certain { (idle_seconds - forgive).max(0.0) } else { idle_seconds };
            self.risk *= (-heals / forgive).exp2();
        }
        let pace = if score > self.risk { self.rise(idle_seconds, trust, suspicion) } else { FALL };
        self.risk += (score - self.risk) * pace;

        let bands = &policy.bands;
        let shift = jitter(client, now) * bands.jitter;
        let edge =
            |band: f32, inside: bool| band + shift - if inside { bands.hysteresis } else { 0.0 };
        // A throttle is for one who asks on and on. What each of a thousand does who ask a few times, it lets
        // through, and that is the attack: so in bad company the band of throttling narrows, down to nothing,
        // for a request that is in it by its own score and not by what was before.
        let narrowed = if score >= bands.throttle {
            (bands.block - bands.throttle).max(0.0) * badness(company)
        } else {
            0.0
        };
        let blocked = self.action == Action::Block;
        let throttled = blocked || self.action == Action::Throttle;
        let clock = seconds(now);
        // A block ends by the clock also for who never stops asking: its answers would tell what it does
        // now, and while it is blocked it gets none.
        let lapsed = blocked && clock >= self.blocked_until;
        if lapsed {
            self.risk = self.risk.min(bands.block - bands.jitter - ONE_MORE);
        } else if blocked && self.risk >= edge(bands.throttle, true) {
            // Goes on as long as it was meant to.
        } else if self.risk >= edge(bands.block, false) - narrowed {
            let block = u32::try_from(policy.block_for.as_secs()).unwrap_or(u32::MAX);
            self.blocked_until = clock.saturating_add(block);
        } else if self.risk < edge(bands.throttle, true) {
            // What spoke against the client has passed: to go on would only punish.
            self.blocked_until = self.blocked_until.min(clock);
        }
        let wanted = if clock < self.blocked_until {
            Action::Block
        } else if self.risk >= edge(bands.throttle, throttled) {
            Action::Throttle
        } else {
            Action::Allow
        };
        self.action = if throttled || !self.waits(wanted, client, now, policy.delay) {
            wanted
        } else {
            Action::Allow
        };
        match self.action {
            Action::Block => self.probation = true,
            Action::Throttle => {}
            _ => self.probation = false,
        }
        if self.action == Action::Allow && self.risk < bands.throttle * 0.5 {
            self.good = self.good.saturating_add(1);
        } else {
            // Trust is lost ten times as quickly as it is won.
            self.good = self.good.saturating_sub(10);
        }
    }

    /// Whether a penalty that a client is not under yet waits a little longer, so that it does not
    /// fall on the request that was its reason.
    fn waits(&mut self, wanted: Action, client: Key, now: Timestamp, delay: u8) -> bool {
        if wanted == Action::Allow || delay == 0 {
            self.due_in = 0;
            return false;
        }
        if self.due_in == 0 {
            let hash = client.with((now.as_secs() / EPOCH) ^ DELAY).0;
            let late = u8::try_from((hash >> 32) % (u64::from(delay) + 1)).unwrap_or(delay);
            // At least 1, which is no delay.
            self.due_in = late.saturating_add(1);
        }
        self.due_in -= 1;
        self.due_in > 0
    }

    /// How much of the record that lets a client reach the trusted limit it has, 0..1.
    pub(crate) fn proven(&self, policy: &Adaptive) -> f32 {
        let whole = u16::try_from(policy.proven_after.max(1)).unwrap_or(u16::MAX);
        (f32::from(self.good) / f32::from(whole)).min(1.0)
    }

    /// How far the client is a stranger, 1..0: of who did nothing yet, one can only say what can be said of
    /// those whom it came with.
    pub(crate) fn stranger(&self) -> f32 {
        (1.0 - f32::from(self.good) / STRANGER).max(0.0)
    }

    /// How far a score above the risk moves it.
    fn rise(&self, idle_seconds: f32, trust: f32, suspicion: f32) -> f32 {
        let good = f32::from(self.good);
        let mut by_requests = (RISE / (1.0 + good / 200.0)).max(RISE_PROVEN);
        // The crowd that the client came with has given the evidence already.
        let [from, to] = SUSPICION;
        let known = ((suspicion - from) / (to - from)).clamp(0.0, 1.0);
        by_requests += (1.0 - by_requests) * known * self.stranger();
        let patience = PROVEN_SECONDS * (good / LONG_RECORD).min(1.0);
        if trust < 1.0 || patience <= 0.0 {
            return by_requests;
        }
        by_requests.min(idle_seconds / patience)
    }

    /// The client's limit, and the action that it amounts to. `None` admits nothing. `trust` is as
    /// in [`update`](Self::update).
    pub(crate) fn quota<'a>(
        &mut self,
        policy: &Adaptive,
        ladder: &'a Ladder,
        trust: f32,
    ) -> Option<&'a Quota> {
        match self.action {
            Action::Block => None,
            Action::Throttle | Action::Degrade => {
                Some(if self.probation { &ladder.risky } else { &ladder.throttled })
            }
            Action::Allow | Action::Raise => {
                let proven = self.proven(policy);
                let calm = (1.0 - self.risk / policy.bands.throttle.max(1e-3)).clamp(0.0, 1.0);
                let share = proven.min(trust) * calm;
                let quota = ladder.rung(share);
                let raised =
                    share > 0.05 && quota.cells_per_second() > policy.tiers.new.cells_per_second();
                self.action = if raised { Action::Raise } else { Action::Allow };
                Some(quota)
            }
        }
    }

    /// The limit of a client without a record while the site is anomalous: no more than the degraded
    /// quota. One that is throttled or blocked stays so.
    pub(crate) fn degrade<'a>(&mut self, limit: Limited<'a>, ladder: &'a Ladder) -> Limited<'a> {
        let spared = !matches!(self.action, Action::Allow | Action::Raise);
        if spared || limit.is_below(&ladder.degraded) {
            return limit;
        }
        self.action = Action::Degrade;
        Limited::To(&ladder.degraded)
    }

    /// Ends a block whose time is over, as the next request would.
    pub(crate) fn lapse(&mut self, now: Timestamp) {
        if self.action == Action::Block && self.blocked_for(now) == 0 {
            self.action = Action::Throttle;
        }
    }

    /// Forgets what is held against the client, as an operator asks for; its good record stays.
    pub(crate) fn pardon(&mut self) {
        let good = self.good;
        *self = Self { good, oddity: self.oddity, ..Self::default() };
    }

    /// Seconds until the block ends; 0 when there is none.
    #[must_use]
    pub(crate) fn blocked_for(&self, now: Timestamp) -> u32 {
        self.blocked_until.saturating_sub(seconds(now))
    }

    /// What must survive an eviction, and until when.
    #[must_use]
    pub(crate) fn penalty(&self, now: Timestamp) -> Option<(Penalty, Timestamp)> {
        if !matches!(self.action, Action::Block | Action::Throttle) {
            return None;
        }
        let until = u64::from(self.blocked_until.max(seconds(now).saturating_add(300)));
        let penalty = Penalty {
            risk: self.risk,
            blocked_until: self.blocked_until,
            action: self.action,
            probation: self.probation,
        };
        Some((penalty, Timestamp::from_secs(until)))
    }

    /// A standing with a penalty restored.
    #[must_use]
    pub(crate) fn penalised(penalty: Penalty) -> Self {
        Self {
            risk: penalty.risk,
            action: penalty.action,
            probation: penalty.probation,
            blocked_until: penalty.blocked_until,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests;
