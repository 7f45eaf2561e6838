//! A call of a gateway that names what it limits: its descriptors held against their limits, all or none.
//!
//! Who asks by descriptors sends no request to look at. What models know of a client comes from
//! elsewhere (a proxy, an authoriser, an access log), and moves the limits that have rails.

use crate::check::trust;
use crate::decision::Action;
use crate::domains::{Count, Counts, DescriptorLimit, Rate};
use crate::engine::Engine;
use crate::policy::{Listing, MAX_MATCHES, Mode};
use crate::rules::RuleState;
use crate::snapshot::Snapshot;
use crate::standing::Standing;
use smallvec::SmallVec;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tidegate_behavior::address::canonical;
use tidegate_limiter::store::MAX_KEYS;
use tidegate_limiter::{Admission, Cost, Key, Limit, LimitState, Quota, Timestamp};

/// Most limits that one call is held against.
pub const MAX_DESCRIPTORS: usize = MAX_KEYS;

/// Most descriptors of one call, with limits or without.
const MOST_ASKED: usize = 256;

/// What one call asks about.
#[derive(Clone, Debug, Default)]
pub struct Asked<'a> {
    /// Keys and values, from the outermost.
    pub entries: SmallVec<[(&'a str, &'a str); 4]>,
    /// Cells; 0 peeks.
    pub hits: u32,
    /// Whether cells are given back instead of taken.
    pub back: bool,
    /// A rate that the caller demands instead of the configured one.
    pub instead: Option<Rate>,
}

/// What is said of one descriptor.
#[derive(Clone, Debug)]
pub struct Status {
    /// What it was held against.
    pub against: Against,
    /// Whether it denies the call.
    pub over: bool,
    /// Whole cells left.
    pub remaining: u32,
    /// Until nothing of what was admitted counts any more; until the call would be admitted, when it
    /// is over.
    pub reset: Duration,
    /// What the models made of its limit, if it has rails and they know the client.
    pub action: Option<Action>,
}

/// What a descriptor was held against.
#[derive(Clone, Debug)]
pub enum Against {
    /// Nothing: no limit is configured for it, or another one replaces it.
    Nothing,
    /// A limit of the configuration.
    Limit(Arc<DescriptorLimit>),
    /// The rate that the caller demanded.
    Demanded(Rate),
}

impl Against {
    /// The limit of the configuration, if it is one.
    #[must_use]
    pub fn limit(&self) -> Option<&DescriptorLimit> {
        match self {
            Self::Limit(limit) => Some(limit),
            Self::Nothing | Self::Demanded(_) => None,
        }
    }

    /// The rate, unless there is none.
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        match self {
            Self::Nothing => None,
            Self::Limit(limit) => limit.rate,
            Self::Demanded(rate) => Some(*rate),
        }
    }
}

/// The answer to a call.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Whether the call is denied; then nothing was charged.
    pub over: bool,
    /// Whether it would be, if not for shadow mode.
    pub shadow: bool,
    /// One for each descriptor, in their order.
    pub statuses: SmallVec<[Status; 4]>,
}

/// Why a call can't be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No domain.
    #[error("the domain is empty: name one of the configuration")]
    NoDomain,
    /// No descriptor.
    #[error("there are no descriptors: send at least one")]
    NoDescriptors,
    /// Too many to lock together.
    #[error("{0} descriptors are too many: send at most {MAX_DESCRIPTORS} with limits in one call")]
    TooMany(usize),
}

/// One descriptor that has a limit to be held against.
struct Held {
    /// Its place in the call.
    at: usize,
    key: Key,
    /// `None` admits nothing.
    limit: Option<Limit>,
    cost: Cost,
    kind: Kind,
    /// Charged after the fact, so beyond its end if need be.
    late: bool,
    counts: Option<Arc<Counts>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Enforced,
    Shadow,
    /// Denies only together with all others of its kind.
    Quota,
    /// Gives back.
    Back,
}

impl Engine {
    /// Holds a call against the limits of its descriptors: all that deny are told, and if one does,
    /// none is charged.
    ///
    /// A limit that somebody peeks at (0 hits) is charged after the fact from then on: the charge that
    /// does not fit is denied and counts all the same, for what it pays for may have happened. Beyond its
    /// end nothing is charged any more.
    ///
    /// # Errors
    /// When the call names no domain or no descriptors, or too many.
    pub fn limit_descriptors(
        &self,
        domain: &str,
        asked: &[Asked<'_>],
        now: Timestamp,
    ) -> Result<Verdict, CallError> {
        if domain.is_empty() {
            return Err(CallError::NoDomain);
        }
        if asked.is_empty() {
            return Err(CallError::NoDescriptors);
        }
        if asked.len() > MOST_ASKED {
            return Err(CallError::TooMany(asked.len()));
        }
        let snapshot = self.current.load();
        let mut verdict = Verdict::default();
        let mut held: SmallVec<[Held; MAX_MATCHES]> = SmallVec::new();
        for (at, one) in asked.iter().enumerate() {
            let (status, found) = self.found(&snapshot, domain, one, now);
            verdict.statuses.push(status);
            held.extend(found.map(|found| Held { at, ..found }));
        }
        drop_replaced(&mut verdict.statuses, &mut held);
        let alike = join(&mut held);
        let keys: SmallVec<[Key; MAX_MATCHES]> = held.iter().map(|held| held.key).collect();
        if keys.len() > MAX_DESCRIPTORS {
            return Err(CallError::TooMany(keys.len()));
        }
        if !held.is_empty() {
            let (said, denied) = self.rules.with_all(&keys, now, |states| hold(&held, states, now));
            for (one, said) in held.iter().zip(&said) {
                count(one, said, denied);
                verdict.statuses[one.at].tell(one, said);
            }
            for (at, same) in alike {
                let Status { over, remaining, reset, .. } = verdict.statuses[same];
                let status = &mut verdict.statuses[at];
                (status.over, status.remaining, status.reset) = (over, remaining, reset);
            }
            verdict.over = denied;
        }
        if verdict.over && snapshot.policy.mode == Mode::Shadow {
            (verdict.over, verdict.shadow) = (false, true);
        }
        Ok(verdict)
    }

    /// What a descriptor is held against, before it is.
    fn found(
        &self,
        snapshot: &Snapshot,
        domain: &str,
        asked: &Asked<'_>,
        now: Timestamp,
    ) -> (Status, Option<Held>) {
        let domains = &snapshot.policy.domains;
        let mut status = Status {
            against: Against::Nothing,
            over: false,
            remaining: 0,
            reset: Duration::ZERO,
            action: None,
        };
        let cost = Cost::cells(asked.hits);
        let mut held = Held {
            at: 0,
            key: Key(0),
            limit: None,
            cost,
            kind: Kind::Enforced,
            late: false,
            counts: None,
        };
        if let Some(rate) = asked.instead.filter(|_| domains.has(domain)) {
            status.against = Against::Demanded(rate);
            held.limit = rate.quota(rate.cells).map(Limit::TokenBucket);
            held.key = snapshot.descriptor_key(domain, asked.entries.iter().copied(), &self.keys);
            held.kind = if asked.back { Kind::Back } else { Kind::Enforced };
            return (status, Some(held));
        }
        let Some(found) = domains.find(domain, &asked.entries) else { return (status, None) };
        let limit = found.limit;
        status.against = Against::Limit(Arc::clone(limit));
        let counts = domains.counted(&found);
        let Some(rate) = limit.rate else {
            status.remaining = u32::MAX;
            counts.add(Count::Total, asked.hits.into());
            counts.add(Count::Within, asked.hits.into());
            return (status, None);
        };
        if asked.hits == 0 {
            limit.counts.settled_later.store(true, Ordering::Relaxed);
        }
        held.kind = match () {
            () if asked.back => Kind::Back,
            () if limit.shadow => Kind::Shadow,
            () if limit.quota_mode => Kind::Quota,
            () => Kind::Enforced,
        };
        held.late = matches!(held.kind, Kind::Enforced | Kind::Quota)
            && limit.counts.settled_later.load(Ordering::Relaxed);
        let moved =
            limit.rails.is_some().then(|| self.moved(snapshot, limit, asked, now)).flatten();
        let quota = match moved {
            Some((quota, action)) => {
                status.action = Some(action);
                quota
            }
            None => rate.quota(rate.cells),
        };
        held.limit = quota.map(Limit::TokenBucket);
        let shared = |at: usize| found.shared.get(at).copied().flatten();
        let entries = asked.entries.iter().enumerate();
        let entries = entries.map(|(at, (key, value))| (*key, shared(at).unwrap_or(value)));
        held.key = snapshot.descriptor_key(domain, entries, &self.keys);
        held.counts = Some(counts);
        (status, Some(held))
    }

    /// Where the models have a limit with rails stand for the client that the descriptor names;
    /// `None` when nothing is known of it. No quota admits nothing.
    pub(crate) fn moved(
        &self,
        snapshot: &Snapshot,
        limit: &DescriptorLimit,
        asked: &Asked<'_>,
        now: Timestamp,
    ) -> Option<(Option<Quota>, Action)> {
        let rails = limit.rails.as_ref()?;
        let closed = || (rails.floor > 0).then_some(rails.ladder.risky);
        if !snapshot.policy.adaptive.enabled {
            return None;
        }
        // The client is the address that Envoy saw, else whoever the last value names: of other values a
        // client may choose what it likes.
        let seen = asked.entries.iter().find(|(key, _)| *key == "remote_address");
        let (_, name) = seen.or(asked.entries.last())?;
        let address = name.parse::<IpAddr>().ok().map(canonical);
        match address.and_then(|address| snapshot.policy.addresses.get(address)) {
            Some(Listing::Allow) => return Some((Some(*rails.ladder.rung(1.0)), Action::Allow)),
            Some(Listing::Deny) => return Some((closed(), Action::Block)),
            None => {}
        }
        let client = match address {
            Some(address) => snapshot.address_key(address, &self.keys),
            None => snapshot.credential_key(name, &self.keys),
        };
        let policy = &snapshot.policy.adaptive;
        self.clients.read(client, |client| {
            let mut standing: Standing = client.standing;
            standing.lapse(now);
            let quota = standing.quota(policy, &rails.ladder, trust(&client.profile, now));
            (quota.copied().or_else(closed), standing.action)
        })
    }
}

impl Status {
    fn tell(&mut self, held: &Held, said: &Admission) {
        self.over = !said.admitted && !matches!(held.kind, Kind::Shadow | Kind::Back);
        self.remaining = said.remaining;
        let period = self.against.rate().map_or(Duration::ZERO, |rate| rate.period());
        // What costs more than the limit ever holds would wait for ever.
        self.reset = if said.admitted { said.reset_after } else { said.retry_after.min(period) };
    }
}

/// Joins equal descriptors, for they have one state: the first one pays for all, less what is given back.
/// Returns which status is the same as which.
fn join(held: &mut SmallVec<[Held; MAX_MATCHES]>) -> SmallVec<[(usize, usize); MAX_MATCHES]> {
    let mut alike = SmallVec::new();
    let mut at = 1;
    while at < held.len() {
        let (before, rest) = held.split_at_mut(at);
        let Some(first) = before.iter_mut().find(|other| other.key == rest[0].key) else {
            at += 1;
            continue;
        };
        let (one, other) = (first.cost.ceil(), rest[0].cost.ceil());
        let cells = match (first.kind == Kind::Back, rest[0].kind == Kind::Back) {
            (true, false) => {
                (first.kind, first.late) = (rest[0].kind, rest[0].late);
                other.saturating_sub(one)
            }
            (false, true) => one.saturating_sub(other),
            _ => one.saturating_add(other),
        };
        first.cost = Cost::cells(u32::try_from(cells).unwrap_or(u32::MAX));
        alike.push((rest[0].at, first.at));
        held.remove(at);
    }
    alike
}

/// Leaves out the limits that another one of the same call replaces.
fn drop_replaced(statuses: &mut [Status], held: &mut SmallVec<[Held; MAX_MATCHES]>) {
    let limits = || statuses.iter().map(|status| status.against.limit());
    let replaced = |limit: &DescriptorLimit| {
        !limit.name.is_empty()
            && limits().flatten().any(|other| other.replaces.contains(&limit.name))
    };
    let replaced: SmallVec<[usize; 4]> =
        limits().enumerate().filter(|(_, it)| it.is_some_and(replaced)).map(|(at, _)| at).collect();
    for at in replaced {
        let status = &mut statuses[at];
        (status.against, status.remaining) = (Against::Nothing, 0);
        held.retain(|held| held.at != at);
    }
}

/// Holds each against its state; returns what each was answered, and whether the call is denied.
fn hold(
    held: &[Held],
    states: &mut [&mut RuleState],
    now: Timestamp,
) -> (SmallVec<[Admission; MAX_MATCHES]>, bool) {
    let peek = |(one, state): (&Held, &mut &mut RuleState)| match &one.limit {
        Some(limit) => state.state.peek(limit, one.cost, now),
        None => CLOSED,
    };
    let mut said: SmallVec<[Admission; MAX_MATCHES]> =
        held.iter().zip(states.iter_mut()).map(peek).collect();
    let over = |kind: Kind| {
        held.iter()
            .zip(&said)
            .filter(move |(one, _)| one.kind == kind)
            .map(|(one, said)| (one, !said.admitted))
    };
    let quotas = over(Kind::Quota).next().is_some() && over(Kind::Quota).all(|(_, over)| over);
    let denied = quotas || over(Kind::Enforced).any(|(_, over)| over);
    // Refused by what is charged before the fact: then nothing has happened that is to be paid for.
    let refused = over(Kind::Enforced).any(|(one, over)| over && !one.late)
        || (quotas && over(Kind::Quota).any(|(one, _)| !one.late));
    for ((one, state), said) in held.iter().zip(states).zip(&mut said) {
        let (Some(limit), state) = (&one.limit, &mut state.state) else { continue };
        match one.kind {
            Kind::Back if !denied => {
                state.commit(limit, Cost::ZERO, now);
                state.release(one.cost, now);
                *said = Admission { admitted: true, ..state.peek(limit, Cost::ZERO, now) };
            }
            Kind::Enforced | Kind::Quota if one.late && !refused => {
                if said.admitted {
                    state.commit(limit, one.cost, now);
                } else {
                    overdraw(state, limit, one.cost, now);
                }
            }
            Kind::Enforced | Kind::Shadow | Kind::Quota if !denied && said.admitted => {
                state.commit(limit, one.cost, now);
            }
            _ => state.settle(limit, now),
        }
    }
    (said, denied)
}

/// Charges more than fits, if there is room at all; owes at most what comes back in two periods.
fn overdraw(state: &mut LimitState, limit: &Limit, cost: Cost, now: Timestamp) {
    state.commit(limit, Cost::ZERO, now);
    let Limit::TokenBucket(quota) = limit else { return };
    let (burst, owed) = (u64::from(quota.burst().get()), state.debt().ceil());
    if owed < burst {
        let more = cost.ceil().min(burst * 2 - owed);
        state.commit(limit, Cost::cells(u32::try_from(more).unwrap_or(u32::MAX)), now);
    }
}

/// The answer of a limit of nothing.
const CLOSED: Admission = Admission {
    admitted: false,
    limit: 0,
    remaining: 0,
    retry_after: Duration::MAX,
    reset_after: Duration::ZERO,
    wait: Duration::ZERO,
};

/// From this share of a limit on, what is admitted is near it.
const NEAR: f64 = 0.8;

fn count(one: &Held, said: &Admission, denied: bool) {
    let Some(counts) = &one.counts else { return };
    if one.kind == Kind::Back {
        return;
    }
    let hits = one.cost.ceil();
    counts.add(Count::Total, hits);
    if !said.admitted {
        counts.add(Count::Over, hits);
        if one.kind == Kind::Shadow {
            counts.add(Count::Shadow, hits);
        }
    } else if !denied {
        counts.add(Count::Within, hits);
        let used = f64::from(said.limit.saturating_sub(said.remaining));
        let beyond = used - (f64::from(said.limit) * NEAR).floor();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of cells: no more than a `u32`, and not below zero"
        )]
        counts.add(Count::Near, (beyond.max(0.0) as u64).min(hits));
    }
}
