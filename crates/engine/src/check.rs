//! The path of one request: identify, observe, features, score, decide, limit.
//!
//! Nothing here waits, allocates in the steady state, or fails.

use crate::client::Client;
use crate::company::{among, company};
use crate::decision::{Action, Decision, RuleRef, Ticket};
use crate::engine::Engine;
use crate::guests::Guest;
use crate::hand::{ByHand, Hand};
use crate::journal::Seen;
use crate::parts::Part;
use crate::policy::{Listing, Mode};
use crate::rules::Held;
use crate::snapshot::{Identity, Snapshot};
use crate::standing::{Evidence, Standing};
use std::time::Duration;
use tidegate_behavior::extract::extract;
use tidegate_behavior::facts::Facts;
use tidegate_behavior::memory::Trace;
use tidegate_behavior::profile::{Evident, Profile};
use tidegate_behavior::schema::in_calm;
use tidegate_behavior::{Features, Request, path};
use tidegate_limiter::{Admission, Bucket, Near, Quota, Timestamp};
use tidegate_models::Model;

impl Engine {
    /// Decides one request.
    pub fn check(&self, request: &Request<'_>) -> Decision {
        let now = request.time;
        let snapshot = self.current.load();
        if snapshot.policy.adaptive.enabled
            && self.watch.tick(now, &self.memory, || self.counters.totals())
        {
            self.drift.tick(now, || self.counters.risk());
        }
        let who = snapshot.identify(request, &self.keys);
        let by_hand = self.hands.of(who.client, now);
        // What is kept of client and network comes from main memory: it is fetched in two steps
        // while the request is read and its groups are looked up.
        let networks = self.memory.networks();
        self.clients.prefetch_index(who.client);
        networks.prefetch_index(who.network);
        let target = path::read(request.path);
        let near = [self.clients.near(who.client), networks.near(who.network)];
        near.into_iter().flatten().for_each(Near::fetch);
        let facts = self.memory.facts(request, target, snapshot.reputation(request));
        let around = self.memory.surroundings(&facts, who.client, who.network);
        let (mut decision, note, seen) = self.clients.with(who.client, now, |client| {
            let idle_seconds = client.seen(&who, now);
            let note = self.memory.observe(&mut client.profile, &facts, &around);
            let features = extract(&client.profile, &facts, &around);
            // The last word of a model that is not waited for, else that of the one at hand.
            let advised = self.advices.as_ref().and_then(|all| all.score(who.client, now));
            let advised = advised.filter(|_| snapshot.policy.adaptive.enabled);
            let record = self.record_of(&client.profile, &client.standing, &snapshot, now);
            let score = advised.or_else(|| judge(&snapshot, &features, record));
            self.counters.advised(advised.is_some());
            let evident = client.profile.evident(&facts).filter(|_| self.parts.has(Part::Evident));
            let score = score.map(|score| at_least(evident, score));
            let note = note.judged(&client.profile, score);
            // What the others on the route are thought to be changes the odds, whatever scored it.
            let own = client.profile.presence();
            let standing = &client.standing;
            let company = match self.parts.has(Part::Company) {
                true => company(&around, own, standing.risk, standing.stranger()),
                false => 1.0,
            };
            let score = score.map(|score| among(score, company));
            let suspicion = match self.parts.has(Part::Suspicion) {
                true => self.memory.suspicion(&client.profile, &facts),
                false => 0.0,
            };
            if snapshot.policy.adaptive.enabled {
                let (requests, doubt) = (client.profile.requests(), score.unwrap_or(0.0));
                client.standing.oddity =
                    self.oddities.look(client.standing.oddity, &features, requests, doubt);
            }
            let armed = self.armed(&snapshot, &facts, client);
            let before = client.standing.action;
            let evidence = score.map(|score| Evidence {
                score,
                idle_seconds,
                trust: trust(&client.profile, now),
                suspicion,
                company,
            });
            let mut learned = client.learned(&snapshot, request, evidence, &who, armed);
            if let Some(set) = &by_hand {
                learned.by_hand(set, &snapshot, now);
            }
            let guest = client.guest(self, &snapshot, &facts, &around, who.client);
            let spared = guest.filter(|_| self.parts.has(Part::Guests) && learned.punishes());
            let apart = spared.is_some();
            let bucket = match spared {
                Some(guest) => learned.spare(guest, &snapshot, now),
                None => &mut client.bucket,
            };
            let held = self.limit(&snapshot, request, &who, &facts, bucket, &learned);
            let mut decision =
                decision(&snapshot, request, &who, &facts, features, &learned, &held);
            decision.anomaly = client.standing.oddity.score();
            decision.spared = apart;
            decision.evident = evident;
            decision.suspicion = suspicion;
            decision.company = company;
            client.answered(&decision);
            let seen = Seen {
                name: who.name,
                before,
                after: client.standing.action,
                requests: client.profile.requests(),
                denied: client.denied,
            };
            (decision, note, seen)
        });
        self.memory.note(now, note);
        self.journal.take(&decision, seen);
        let slot = snapshot.slot(decision.rule);
        self.counters.decided(&decision, slot, snapshot.policy.mode);
        if facts.teaches() && (decision.allowed || decision.shadow) {
            // Kept until the outcome says whether there is such a route.
            decision.ticket.pending = self.paths.put(request.method, request.path);
        }
        decision
    }

    /// How far a client has proven itself, 0..1, where records speak.
    pub(crate) fn record_of(
        &self,
        profile: &Profile,
        standing: &Standing,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> f32 {
        if self.parts.has(Part::Record) { record(profile, standing, snapshot, now) } else { 0.0 }
    }

    /// Whether an anomaly, of the client, its route or the site, keeps the client's limit tighter.
    fn armed(&self, snapshot: &Snapshot, facts: &Facts, client: &Client) -> bool {
        snapshot.policy.adaptive.anomaly
            && (client.standing.oddity.is_odd() || self.watch.armed(facts.route.id, facts.time))
    }

    /// Holds the request against its learned limit and every static rule, all or nothing.
    fn limit(
        &self,
        snapshot: &Snapshot,
        request: &Request<'_>,
        who: &Identity,
        facts: &Facts,
        bucket: &mut Bucket,
        learned: &Learned<'_>,
    ) -> Held {
        let now = request.time;
        let cost = snapshot.costs[facts.target.kind as usize];
        let own = match learned.limit {
            Limited::Not => Admission::UNLIMITED,
            Limited::Closed(retry_after) => Admission {
                admitted: false,
                limit: 0,
                remaining: 0,
                retry_after,
                reset_after: retry_after,
                wait: Duration::ZERO,
            },
            Limited::To(quota) => bucket.peek(quota, cost, now),
        };
        let mut held = Held { rule: learned.rule, admission: own, permit: 0 };
        if own.admitted && learned.rule != RuleRef::AllowList && !snapshot.policy.rules.is_empty() {
            held = self.hold_against_rules(snapshot, request, who, facts, held);
        }
        if let Limited::To(quota) = learned.limit {
            if held.admission.admitted {
                bucket.commit(quota, cost, now);
            } else {
                bucket.settle(quota, now);
            }
        }
        held
    }
}

/// The least score of a client that tries log-ins or paths in vain. It throttles and does not block: to
/// deny what would be refused anyway harms nobody, and a program whose password is mended must get
/// through to show it.
const IN_VAIN: f32 = 0.7;

/// The least score of a client that probes. Four such requests block it.
const PROBING: f32 = 0.95;

/// The score of a client, and no less than what it does speaks for.
pub(crate) const fn at_least(evident: Option<Evident>, score: f32) -> f32 {
    match evident {
        Some(Evident::Probing) => score.max(PROBING),
        Some(Evident::InVain) => score.max(IN_VAIN),
        None => score,
    }
}

/// A client without a credential earns its full limit no sooner than this, seconds: good requests
/// alone are quickly made.
pub(crate) const TRUST_SECONDS: f32 = 120.0;

/// What the learned side says: how the client is limited, and why.
pub(crate) struct Learned<'a> {
    pub action: Action,
    pub risk: f32,
    pub limit: Limited<'a>,
    pub rule: RuleRef,
    pub score: Option<f32>,
}

/// How a client is limited.
pub(crate) enum Limited<'a> {
    Not,
    Closed(Duration),
    To(&'a Quota),
}

impl<'a> Learned<'a> {
    /// Whether the client has less than others for what it is thought to do.
    fn punishes(&self) -> bool {
        self.rule == RuleRef::Adaptive && matches!(self.action, Action::Throttle | Action::Block)
    }

    /// Goes by what an operator set for the client, unless a list names it.
    fn by_hand(&mut self, set: &'a ByHand, snapshot: &'a Snapshot, now: Timestamp) {
        if matches!(self.rule, RuleRef::AllowList | RuleRef::DenyList) {
            return;
        }
        self.rule = RuleRef::Override;
        (self.action, self.limit) = match &set.hand {
            Hand::Block => (Action::Block, Limited::Closed(set.until.since(now))),
            Hand::Limit(quota) => (Action::Allow, Limited::To(quota)),
            Hand::Release => (Action::Allow, Limited::To(&snapshot.policy.adaptive.tiers.trusted)),
        };
    }

    /// Goes by what is thought of a guest instead of its address; answers the guest's own debt.
    fn spare<'g>(
        &mut self,
        guest: &'g mut Guest,
        snapshot: &'a Snapshot,
        now: Timestamp,
    ) -> &'g mut Bucket {
        let trust = trust(&guest.profile, now);
        let policy = &snapshot.policy.adaptive;
        if let Some(quota) = guest.standing.quota(policy, &snapshot.ladder, trust) {
            self.limit = Limited::To(quota);
            (self.action, self.risk) = (guest.standing.action, guest.standing.risk);
        }
        &mut guest.bucket
    }
}

impl Limited<'_> {
    pub(crate) fn is_below(&self, quota: &Quota) -> bool {
        matches!(self, Self::To(own) if own.cells_per_second() < quota.cells_per_second())
    }

    #[allow(clippy::cast_possible_truncation, reason = "told to people, to seven digits")]
    fn per_minute(&self) -> f32 {
        match self {
            Self::Not => f32::INFINITY,
            Self::Closed(_) => 0.0,
            Self::To(quota) => (quota.cells_per_second() * 60.0) as f32,
        }
    }
}

/// The model's probability of abuse; `None` without a model, or when it gives no number.
fn score(snapshot: &Snapshot, features: &Features) -> Option<f32> {
    let model = snapshot.model.as_ref().filter(|_| snapshot.policy.adaptive.enabled)?;
    let score = model.score_one(features);
    score.is_finite().then(|| score.clamp(0.0, 1.0))
}

/// The score of a client, as far as it is due to what the client does itself if it has a record.
///
/// A rush makes everybody on its route, with its agent or new to the site look like a part of it,
/// and rightly so: of those who come with it most are. Whoever was there before and goes on as
/// before is a bystander. So a client with a good `record` (0..1) is asked about a second time as if
/// all were calm around it, and a lower answer counts by as much as the record does.
pub(crate) fn judge(snapshot: &Snapshot, features: &Features, record: f32) -> Option<f32> {
    let score = score(snapshot, features)?;
    // Most scores are low, and most that are not have no record, so the rest is seldom done.
    if score < snapshot.policy.adaptive.bands.throttle * 0.5 || record <= 0.0 {
        return Some(score);
    }
    let own = self::score(snapshot, &in_calm(features))?;
    Some(judged(score, own, record))
}

/// A score, lowered towards the one in calm (`own`) by as much as the record counts, 0..1.
pub(crate) fn judged(score: f32, own: f32, record: f32) -> f32 {
    score - (score - own).max(0.0) * record
}

/// How much of a good record counts yet, from 0 on. Somebody who vouches for the client with a
/// credential need not wait for trust.
pub(crate) fn trust(profile: &Profile, now: Timestamp) -> f32 {
    if profile.credentialed() {
        return 1.0;
    }
    now.since(profile.first_seen()).as_secs_f32() / TRUST_SECONDS
}

/// How far a client has proven itself, 0..1.
pub(crate) fn record(
    profile: &Profile,
    standing: &Standing,
    snapshot: &Snapshot,
    now: Timestamp,
) -> f32 {
    standing.proven(&snapshot.policy.adaptive) * trust(profile, now).min(1.0)
}

impl Client {
    /// Notes who the client is; answers how long it was away, in seconds.
    fn seen(&mut self, who: &Identity, now: Timestamp) -> f32 {
        self.named(who.name);
        now.since(self.profile.last_seen()).as_secs_f32()
    }

    /// Turns the score into the client's limit; lists and overrides come before it.
    fn learned<'a>(
        &mut self,
        snapshot: &'a Snapshot,
        request: &Request<'_>,
        evidence: Option<Evidence>,
        who: &Identity,
        armed: bool,
    ) -> Learned<'a> {
        let now = request.time;
        let policy = &snapshot.policy.adaptive;
        let mut learned = Learned {
            action: Action::Allow,
            risk: 0.0,
            limit: Limited::To(&policy.tiers.new),
            rule: RuleRef::Adaptive,
            score: evidence.map(|evidence| evidence.score),
        };
        if let Some(evidence) = evidence {
            self.standing.update(evidence, who.client, now, policy);
            learned.limit = match self.standing.quota(policy, &snapshot.ladder, evidence.trust) {
                Some(quota) => Limited::To(quota),
                None => Limited::Closed(Duration::from_secs(
                    u64::from(self.standing.blocked_for(now)).max(1),
                )),
            };
            if armed && record(&self.profile, &self.standing, snapshot, now) < 1.0 {
                learned.limit = self.standing.degrade(learned.limit, &snapshot.ladder);
            }
            learned.action = self.standing.action;
            learned.risk = self.standing.risk;
        }
        let listed = snapshot.listing(request);
        if let Some(set) = snapshot.override_of(who.client) {
            learned.rule = RuleRef::Override;
            learned.action = Action::Allow;
            learned.limit = set.quota.as_ref().map_or(Limited::Not, Limited::To);
        }
        match listed {
            Some(Listing::Allow) => {
                (learned.rule, learned.action) = (RuleRef::AllowList, Action::Allow);
                learned.limit = Limited::Not;
            }
            Some(Listing::Deny) => {
                (learned.rule, learned.action) = (RuleRef::DenyList, Action::Block);
                learned.limit = Limited::Closed(policy.block_for.max(Duration::from_secs(1)));
            }
            None => {}
        }
        learned
    }

    /// Notes what was answered.
    fn answered(&mut self, decision: &Decision) {
        self.limit_per_min = decision.limit_per_min;
        self.denied = self.denied.saturating_add(u32::from(!decision.allowed));
    }
}

fn decision(
    snapshot: &Snapshot,
    request: &Request<'_>,
    who: &Identity,
    facts: &Facts,
    features: Features,
    learned: &Learned<'_>,
    held: &Held,
) -> Decision {
    let admission = &held.admission;
    Decision {
        allowed: admission.admitted,
        shadow: !admission.admitted && snapshot.policy.mode == Mode::Shadow,
        action: learned.action,
        risk: learned.risk,
        anomaly: None,
        limit_per_min: learned.limit.per_minute(),
        rule: held.rule,
        limit: admission.limit,
        remaining: admission.remaining,
        reset_after: admission.reset_after,
        retry_after: admission.retry_after,
        wait: admission.wait,
        ticket: Ticket {
            client: who.client,
            trace: Trace {
                network: who.network,
                route: facts.route.id,
                fingerprint: facts.fingerprint,
            },
            known: facts.route.known,
            admitted: admission.admitted,
            pending: 0,
            permit: held.permit,
        },
        time: request.time,
        features,
        scored: learned.score.is_some(),
        score: learned.score.unwrap_or(0.0),
        suspicion: 0.0,
        spared: false,
        evident: None,
        company: 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tidegate_behavior::schema::{COUNT, index};
    use tidegate_limiter::KeyHasher;
    use tidegate_models::trees::Node;
    use tidegate_models::{AnyModel, Calibration, Trees};

    /// A model that looks at one feature alone.
    fn snapshot(feature: usize) -> Snapshot {
        let split = Node::Split { feature, threshold: 4.0, left: 1, right: 2, value: 0.0 };
        let tree = vec![split, Node::Leaf(-4.0), Node::Leaf(4.0)];
        let model = AnyModel::Trees(Trees::new(0.0, &[tree], Calibration::default()).unwrap());
        let keys = KeyHasher::new(1, 2);
        Snapshot::new(Arc::default(), Some(Arc::new(model)), &keys, Vec::new())
    }

    #[test]
    fn a_record_speaks_against_what_others_do_and_not_against_what_the_client_does() {
        let features = [8.0; COUNT];
        let crowd = snapshot(index::COHORT_SURGE);
        let [none, half, whole] = [0.0, 0.5, 1.0].map(|r| judge(&crowd, &features, r).unwrap());
        assert!(none > 0.98 && whole < 0.02, "{none} {whole}");
        assert!((half - (none + whole) / 2.0).abs() < 1e-6, "{half}");
        let own = snapshot(index::RATE_10S);
        assert_eq!(judge(&own, &features, 1.0), judge(&own, &features, 0.0));
        // A low score is as it is.
        let calm = [0.0; COUNT];
        assert_eq!(judge(&crowd, &calm, 1.0), score(&crowd, &calm));
    }
}
