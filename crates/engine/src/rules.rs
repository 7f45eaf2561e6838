//! Static rules: those that match a request, charged together or not at all.

use crate::decision::RuleRef;
use crate::engine::Engine;
use crate::pending::Permit;
use crate::policy::{MAX_MATCHES, Mode, OnError, Rule};
use crate::snapshot::{Identity, Snapshot, space};
use smallvec::SmallVec;
use std::time::Duration;
use tidegate_behavior::Request;
use tidegate_behavior::facts::Facts;
use tidegate_limiter::{
    Admission, Charge, Cost, Entry, Key, Limit, LimitState, Quota, Timestamp, check_all,
};

/// The state of one rule for one key.
#[derive(Clone, Debug, Default)]
pub(crate) struct RuleState {
    pub state: LimitState,
}

impl Entry for RuleState {
    type Residue = ();

    fn fresh(_key: Key, _now: Timestamp, _residue: Option<()>) -> Self {
        Self::default()
    }

    fn residue(&self, _now: Timestamp) -> Option<((), Timestamp)> {
        None
    }
}

/// What the limits said: the one that answers, and permits to release.
pub(crate) struct Held {
    pub rule: RuleRef,
    pub admission: Admission,
    pub permit: u32,
}

struct Match<'a> {
    position: u16,
    rule: &'a Rule,
    cost: Cost,
}

impl Engine {
    /// Holds a request that its own limit admits against every rule that matches it. `own` is the
    /// answer so far; what comes back is the denial, or whichever admission is nearest its limit.
    pub(crate) fn hold_against_rules(
        &self,
        snapshot: &Snapshot,
        request: &Request<'_>,
        who: &Identity,
        facts: &Facts,
        own: Held,
    ) -> Held {
        let path = request.path.split('?').next().unwrap_or("");
        let mut matches: SmallVec<[Match<'_>; MAX_MATCHES]> = SmallVec::new();
        let mut keys: SmallVec<[Key; MAX_MATCHES]> = SmallVec::new();
        let rules = snapshot.policy.rules.iter().enumerate();
        for (at, rule) in rules.filter(|(_, rule)| rule.matches(request.method, path)) {
            let position = u16::try_from(at).unwrap_or(u16::MAX);
            match snapshot.rule_key(at, request, who, facts.route.id, &self.keys) {
                Some(_) if matches.len() == MAX_MATCHES => break,
                Some(key) => {
                    matches.push(Match { position, rule, cost: Cost::milli(rule.cost_milli) });
                    keys.push(key);
                }
                None if rule.on_error == OnError::Closed && rule.mode == Mode::Enforce => {
                    return Held { rule: RuleRef::Static(position), admission: CLOSED, permit: 0 };
                }
                None => {}
            }
        }
        if matches.is_empty() {
            return own;
        }
        let now = request.time;
        let answer = self.rules.with_all(&keys, now, |states| {
            let mut charges: SmallVec<[Charge<'_>; MAX_MATCHES]> = SmallVec::new();
            for (state, matched) in states.iter_mut().zip(&matches) {
                let (limit, state) = (&matched.rule.limit, &mut state.state);
                charges.push(match matched.rule.mode {
                    Mode::Enforce => Charge::enforced(state, limit, matched.cost),
                    Mode::Shadow => Charge::shadow(state, limit, matched.cost),
                });
            }
            let all = check_all(&mut charges, now);
            // What the enforced ones deny never reaches one in shadow.
            for (charge, matched) in charges.iter().zip(&matches).filter(|_| all.admitted) {
                if matched.rule.mode == Mode::Shadow && !charge.admission.admitted {
                    let rule = RuleRef::Static(matched.position);
                    self.counters.would_deny(snapshot.slot(rule));
                }
            }
            all
        });
        let binding = answer.binding.and_then(|at| matches.get(at));
        let (Some(binding), true) = (binding, answer_matters(&answer.admission, &own.admission))
        else {
            let permit = self.permit(&matches, &keys, now);
            return Held { permit, ..own };
        };
        let permit = if answer.admitted { self.permit(&matches, &keys, now) } else { 0 };
        Held { rule: RuleRef::Static(binding.position), admission: answer.admission, permit }
    }

    /// Charges whatever goes by this name under a quota that the caller gives, apart from policy,
    /// rules and clients. A cost of zero only asks. The states are kept beside those of the rules, and
    /// the coldest of both are forgotten first.
    pub fn charge(&self, name: &[u8], quota: Quota, cost: Cost, now: Timestamp) -> Admission {
        let key = self.keys.key(space::NAMED, name);
        let limit = Limit::TokenBucket(quota);
        if cost == Cost::ZERO {
            let known = self.rules.read(key, |rule| rule.state.peek(&limit, cost, now));
            return known.unwrap_or_else(|| LimitState::default().peek(&limit, cost, now));
        }
        self.rules.with(key, now, |rule| rule.state.check(&limit, cost, now))
    }

    /// Keeps what concurrency rules must release when the request ends.
    fn permit(&self, matches: &[Match<'_>], keys: &[Key], charged: Timestamp) -> u32 {
        let held = matches
            .iter()
            .zip(keys)
            .filter(|(matched, _)| matches!(matched.rule.limit, Limit::Concurrency { .. }));
        self.permits.put(held.map(|(matched, &key)| Permit { key, cost: matched.cost, charged }))
    }
}

/// The answer of a rule that can't be evaluated and is closed.
const CLOSED: Admission = Admission {
    admitted: false,
    limit: 0,
    remaining: 0,
    retry_after: Duration::from_secs(60),
    reset_after: Duration::from_secs(60),
    wait: Duration::ZERO,
};

/// Whether a rule's answer, rather than the client's own limit, is the one to show.
fn answer_matters(rule: &Admission, own: &Admission) -> bool {
    let share = |a: &Admission| f64::from(a.remaining) / f64::from(a.limit.max(1));
    !rule.admitted || !rule.wait.is_zero() || share(rule) <= share(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Setup;
    use crate::policy::Policy;

    #[test]
    fn a_name_is_charged_for_itself_alone_and_asking_is_free() {
        let engine = Engine::new(Policy::default(), Setup { capacity: 1000, ..Setup::default() });
        let quota = Quota::new(2, Duration::from_secs(60), 2).unwrap();
        let now = Timestamp::from_secs(1_000);
        let charge = |name: &[u8], cells| engine.charge(name, quota, Cost::cells(cells), now);
        assert_eq!(charge(b"a", 0).remaining, 2);
        assert_eq!(engine.rules.len(), 0, "a question keeps nothing");
        assert_eq!(charge(b"a", 1).remaining, 1);
        assert_eq!(charge(b"a", 0).remaining, 1);
        let denied = charge(b"a", 2);
        assert!(!denied.admitted);
        assert_eq!(denied.retry_after, Duration::from_secs(30));
        assert_eq!(charge(b"a", 3).retry_after, Duration::MAX);
        assert_eq!(charge(b"a", 1).remaining, 0, "a denial consumes nothing");
        assert_eq!(charge(b"b", 2).remaining, 0);
    }
}
