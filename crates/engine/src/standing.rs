//! How risk becomes an action: evidence, bands, hysteresis, forgiveness and jitter.

use crate::check::Limited;
use crate::company::badness;
use crate::decision::Action;
use crate::doubt::Doubt;
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
    /// What is thought of it in the long run.
    pub doubt: Doubt,
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
            doubt: Doubt::default(),
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
            self.doubt.rest(idle_seconds);
            // Time heals a mistake, and not what goes on: one who scans at a request a minute would else
            // be forgiven between any two of them. So a pause heals only from `forgive` on where the next
            // request alone is worth a block, and at once where its score leaves doubt.
            let certain = score >= policy.bands.block;
            let heals = if certain { (idle_seconds - forgive).max(0.0) } else { idle_seconds };
            self.risk *= (-heals / forgive).exp2();
        }
        let pace = if score > self.risk { self.rise(idle_seconds, trust, suspicion) } else { FALL };
        self.risk += (score - self.risk) * pace;
        if !matches!(self.action, Action::Block | Action::Throttle) {
            // A penalty is enough: what a client does under it must not follow it afterwards as well.
            self.doubt.note(score);
        }

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
            // At least 1, which is no delay.
            self.due_in = 1 + u8::try_from((hash >> 32) % (u64::from(delay) + 1)).unwrap_or(delay);
        }
        self.due_in -= 1;
        self.due_in > 0
    }

    /// How much of the record that lets a client reach the trusted limit it has, 0..1.
    pub(crate) fn proven(&self, policy: &Adaptive) -> f32 {
        let whole = u16::try_from(policy.proven_after.max(1)).unwrap_or(u16::MAX);
        (f32::from(self.good) / f32::from(whole)).min(1.0)
    }

    /// Whether lasting doubt narrows the limit of a client that is not penalised.
    pub(crate) fn is_narrowed(&self, policy: &Adaptive) -> bool {
        matches!(self.action, Action::Allow | Action::Raise)
            && self.doubt.narrows(policy.bands.throttle) > 0.0
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
                let quota = ladder.slid(share, self.doubt.narrows(policy.bands.throttle));
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

    /// The standing of somebody new whom this much doubt falls on already.
    #[must_use]
    pub(crate) fn doubted(doubt: Doubt) -> Self {
        Self { doubt, ..Self::default() }
    }

    /// A standing with a penalty restored.
    #[must_use]
    pub(crate) fn penalised(penalty: Penalty) -> Self {
        Self {
            risk: penalty.risk,
            good: 0,
            doubt: Doubt::default(),
            action: penalty.action,
            probation: penalty.probation,
            due_in: 0,
            oddity: Oddity::default(),
            blocked_until: penalty.blocked_until,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspected_group_needs_less_evidence_of_its_own() {
        let policy = Adaptive::default();
        let after_one = |score: f32, suspicion: f32, good: u16| {
            let mut standing = Standing { good, ..Standing::default() };
            let evidence = Evidence { suspicion, ..Evidence::alone(score, 1.0, 0.0) };
            standing.update(evidence, Key(7), Timestamp::from_secs(1000), &policy);
            standing.action
        };
        assert_eq!(after_one(0.95, 0.0, 0), Action::Allow);
        assert_eq!(after_one(0.95, 0.9, 0), Action::Block);
        // Whoever looks harmless among them is, and so is who was there before.
        assert_eq!(after_one(0.3, 0.9, 0), Action::Allow);
        assert_eq!(after_one(0.95, 0.9, 30), Action::Allow);
    }

    #[test]
    fn in_bad_company_a_block_begins_where_a_throttle_does() {
        let policy = Adaptive::default();
        let after = |score: f32, company: f32| {
            let mut standing = Standing::default();
            for _ in 0..20 {
                let evidence = Evidence { company, ..Evidence::alone(score, 1.0, 0.0) };
                standing.update(evidence, Key(7), Timestamp::from_secs(1000), &policy);
            }
            standing.action
        };
        assert_eq!(after(0.65, 1.0), Action::Throttle);
        assert_eq!(after(0.65, 20.0), Action::Block);
        // Halfway it begins halfway.
        assert_eq!(after(0.6, 4.5), Action::Throttle);
        assert_eq!(after(0.7, 4.5), Action::Block);
        // Nobody is blocked below, nor by what was before.
        assert_eq!(after(0.45, 20.0), Action::Allow);
        let mut standing = Standing { risk: 0.75, ..Standing::default() };
        let evidence = Evidence { company: 20.0, ..Evidence::alone(0.2, 0.0, 0.0) };
        standing.update(evidence, Key(7), Timestamp::from_secs(1000), &policy);
        assert_eq!(standing.action, Action::Throttle);
    }

    fn run(standing: &mut Standing, score: f32, times: u32, policy: &Adaptive) {
        for i in 0..times {
            let now = Timestamp::from_secs(1000 + u64::from(i));
            standing.update(Evidence::alone(score, 0.1, 1.0), Key(7), now, policy);
            standing.quota(policy, &Ladder::new(&policy.tiers), 1.0);
        }
    }

    #[test]
    fn one_odd_request_condemns_nobody_and_ten_do() {
        let policy = Adaptive::default();
        let mut standing = Standing::default();
        run(&mut standing, 1.0, 1, &policy);
        assert_eq!(standing.action, Action::Allow);
        run(&mut standing, 1.0, 9, &policy);
        assert_eq!(standing.action, Action::Block);
        assert!(standing.quota(&policy, &Ladder::new(&policy.tiers), 1.0).is_none());
    }

    #[test]
    fn a_proven_client_is_judged_by_the_clock() {
        let policy = Adaptive::default();
        let after = |record: u16, trust: f32, requests: u16, gap: f32| {
            let mut standing = Standing { good: record, ..Standing::default() };
            for _ in 0..requests {
                let now = Timestamp::from_secs(1000);
                standing.update(Evidence::alone(1.0, gap, trust), Key(7), now, &policy);
            }
            standing.action
        };
        // A hundred requests a second for a fifth of a second, and for half a minute.
        assert_eq!(after(10_000, 1.0, 20, 0.01), Action::Allow);
        assert_eq!(after(10_000, 1.0, 3000, 0.01), Action::Block);
        // Without a record, or with one made too quickly, requests count; so do they a second apart.
        assert_eq!(after(0, 1.0, 20, 0.01), Action::Block);
        assert_eq!(after(10_000, 0.02, 20, 0.0), Action::Block);
        assert_eq!(after(10_000, 1.0, 30, 1.0), Action::Block);
    }

    #[test]
    fn a_good_record_raises_and_is_lost_more_quickly_than_won() {
        let policy = Adaptive::default();
        let mut standing = Standing::default();
        run(&mut standing, 0.01, 400, &policy);
        assert_eq!(standing.action, Action::Raise);
        let before = standing.good;
        run(&mut standing, 0.6, 60, &policy);
        assert!(standing.good < before - 100, "{} {}", before, standing.good);
    }

    #[test]
    fn a_block_ends_and_a_mistake_heals() {
        let policy = Adaptive::default();
        let mut standing = Standing::default();
        run(&mut standing, 1.0, 10, &policy);
        let start = 1009;
        assert!(standing.blocked_for(Timestamp::from_secs(start)) > 200);
        standing.update(
            Evidence::alone(0.05, 400.0, 1.0),
            Key(7),
            Timestamp::from_secs(start + 400),
            &policy,
        );
        assert_ne!(standing.action, Action::Block, "{standing:?}");
        standing.update(
            Evidence::alone(0.05, 600.0, 1.0),
            Key(7),
            Timestamp::from_secs(start + 1000),
            &policy,
        );
        standing.quota(&policy, &Ladder::new(&policy.tiers), 1.0);
        assert_eq!(standing.action, Action::Allow);
        assert!(!standing.probation);
    }

    #[test]
    fn who_goes_on_slowly_is_not_forgiven_in_between() {
        let policy = Adaptive::default();
        let actions = |score: f32, gap: u16, requests: u64| -> Vec<Action> {
            let mut standing = Standing::default();
            let mut act = |i| {
                let now = Timestamp::from_secs(1000 + i * u64::from(gap));
                standing.update(Evidence::alone(score, f32::from(gap), 1.0), Key(7), now, &policy);
                standing.action
            };
            (0..requests).map(&mut act).collect()
        };
        let block_for = policy.block_for.as_secs();
        for gap in [1, 20, 60, 120] {
            let actions = actions(0.95, gap, 610);
            assert_eq!(actions[0], Action::Allow, "every {gap} s");
            // One request for each time that a block lasts, and what came before the first.
            let passed = actions.iter().filter(|action| **action != Action::Block).count() as u64;
            assert!(passed <= 5 + 610 * u64::from(gap) / block_for, "every {gap} s: {passed}");
        }
        // Long pauses heal, and where there is doubt shorter ones do as well.
        let last = |score, gap| actions(score, gap, 10)[9];
        assert_eq!(last(0.95, 1200), Action::Allow);
        assert_eq!(last(0.6, 1), Action::Throttle);
        assert_eq!(last(0.6, 120), Action::Allow);
    }

    #[test]
    fn a_block_ends_early_when_what_caused_it_has_passed() {
        let policy = Adaptive::default();
        let mut standing = Standing::default();
        run(&mut standing, 1.0, 10, &policy);
        assert_eq!(standing.action, Action::Block);
        // Asked again and again, with nothing to be said against it any more.
        let mut asked = 0;
        while standing.action == Action::Block && asked < 100 {
            standing.update(
                Evidence::alone(0.0, 1.0, 1.0),
                Key(7),
                Timestamp::from_secs(1010 + asked),
                &policy,
            );
            asked += 1;
        }
        assert!((4..20).contains(&asked), "{asked}");
        assert_eq!(standing.blocked_for(Timestamp::from_secs(1010 + asked)), 0);
        // Nor does a score of 1 now and then let it go.
        run(&mut standing, 1.0, 10, &policy);
        for i in 0..30 {
            let score = if i % 3 == 0 { 1.0 } else { 0.3 };
            standing.update(
                Evidence::alone(score, 1.0, 1.0),
                Key(7),
                Timestamp::from_secs(1110 + i),
                &policy,
            );
        }
        assert_eq!(standing.action, Action::Block);
    }

    #[test]
    fn inside_a_band_the_edge_is_lower() {
        let policy = Adaptive::default();
        let fresh = |risk, action| {
            let mut s = Standing { risk, action, ..Standing::default() };
            s.update(Evidence::alone(risk, 0.0, 1.0), Key(1), Timestamp::from_secs(5000), &policy);
            s.action
        };
        assert_eq!(fresh(0.45, Action::Allow), Action::Allow);
        assert_eq!(fresh(0.45, Action::Throttle), Action::Throttle);
    }

    #[test]
    fn an_anomaly_of_the_site_tightens_and_lifts_nobody() {
        let policy = Adaptive::default();
        let ladder = Ladder::new(&policy.tiers);
        let new = &policy.tiers.new;
        assert!(ladder.degraded.cells_per_second() < new.cells_per_second() / 5.0);
        assert!(
            ladder.degraded.cells_per_second() > policy.tiers.throttled.cells_per_second() * 5.0
        );
        let mut standing = Standing::default();
        let Limited::To(quota) = standing.degrade(Limited::To(new), &ladder) else { panic!() };
        assert_eq!((quota, standing.action), (&ladder.degraded, Action::Degrade));
        // Who has less already for what is thought of it keeps that.
        let narrow = ladder.slid(0.0, 0.8);
        let mut doubted = Standing::default();
        let Limited::To(quota) = doubted.degrade(Limited::To(narrow), &ladder) else { panic!() };
        assert_eq!((quota, doubted.action), (narrow, Action::Allow));
        // It is no penalty, and good requests go on counting.
        assert!(standing.penalty(Timestamp::from_secs(1)).is_none());
        run(&mut standing, 0.0, 5, &policy);
        assert_eq!(standing.good, 5);
        for action in [Action::Throttle, Action::Block] {
            let mut standing = Standing { action, ..Standing::default() };
            let limit = Limited::Closed(std::time::Duration::ZERO);
            assert!(matches!(standing.degrade(limit, &ladder), Limited::Closed(_)));
            assert_eq!(standing.action, action);
        }
    }

    #[test]
    fn a_record_of_seconds_raises_nothing() {
        let policy = Adaptive::default();
        let ladder = Ladder::new(&policy.tiers);
        let mut standing = Standing::default();
        run(&mut standing, 0.0, 1000, &policy);
        assert_eq!(standing.quota(&policy, &ladder, 0.0), Some(&policy.tiers.new));
        assert_eq!(standing.quota(&policy, &ladder, 1.0), Some(&policy.tiers.trusted));
    }

    #[test]
    fn who_is_doubted_for_hundreds_of_requests_has_less_room_and_gets_it_back() {
        let policy = Adaptive::default();
        let ladder = Ladder::new(&policy.tiers);
        let mut standing = Standing::default();
        run(&mut standing, 0.2, 60, &policy);
        assert_eq!(standing.quota(&policy, &ladder, 0.0), Some(&policy.tiers.new));
        run(&mut standing, 0.2, 1000, &policy);
        let narrow = standing.quota(&policy, &ladder, 1.0).unwrap().cells_per_second() * 60.0;
        assert!((50.0..120.0).contains(&narrow), "{narrow}");
        assert!(standing.is_narrowed(&policy));
        // It is no penalty: it is not kept when the client is forgotten, and not made worse by asking.
        assert!(standing.penalty(Timestamp::from_secs(1)).is_none());
        run(&mut standing, 0.0, 800, &policy);
        assert_eq!(standing.quota(&policy, &ladder, 1.0), Some(&policy.tiers.trusted));
    }

    #[test]
    fn a_penalty_leaves_no_doubt_behind() {
        let policy = Adaptive::default();
        let mut standing = Standing::default();
        run(&mut standing, 1.0, 3000, &policy);
        assert!(standing.doubt.narrows(policy.bands.throttle) == 0.0, "{standing:?}");
    }

    #[test]
    fn jitter_differs_by_client_and_epoch_and_stays_in_bounds() {
        let at = |client, secs| jitter(Key(client), Timestamp::from_secs(secs));
        assert!((at(1, 0) - at(2, 0)).abs() > 1e-6 || (at(3, 0) - at(2, 0)).abs() > 1e-6);
        assert!((at(1, 0) - at(1, 2 * EPOCH)).abs() > 1e-6);
        assert!((0..1000).all(|i| (-1.0..=1.0).contains(&at(i, i))));
    }

    #[test]
    fn a_delayed_penalty_begins_within_its_bound_and_not_at_the_same_request_for_all() {
        let policy = Adaptive { delay: 8, ..Adaptive::default() };
        let begins = |client: u64, policy: &Adaptive| {
            let mut standing = Standing::default();
            (1..100u32).find(|i| {
                let now = Timestamp::from_secs(1000);
                standing.update(Evidence::alone(1.0, 0.01, 0.0), Key(client), now, policy);
                assert!(*i < 40, "never");
                standing.action != Action::Allow
            })
        };
        let at_once = begins(7, &Adaptive::default()).unwrap();
        let begun: Vec<u32> = (0..200).map(|client| begins(client, &policy).unwrap()).collect();
        assert!(begun.iter().all(|n| (at_once..=at_once + 8).contains(n)), "{begun:?}");
        let different: std::collections::BTreeSet<_> = begun.iter().collect();
        assert_eq!(different.len(), 9, "{different:?}");
        assert_eq!(begins(3, &policy), begins(3, &policy));
    }

    #[test]
    fn a_penalty_survives() {
        let policy = Adaptive::default();
        let mut standing = Standing::default();
        run(&mut standing, 1.0, 10, &policy);
        let now = Timestamp::from_secs(1010);
        let (penalty, until) = standing.penalty(now).unwrap();
        assert!(until > now);
        let back = Standing::penalised(penalty);
        assert_eq!(back.action, Action::Block);
        assert_eq!(back.blocked_for(now), standing.blocked_for(now));
        assert!(Standing::default().penalty(now).is_none());
    }
}
