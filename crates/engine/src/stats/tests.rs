//! Counts by rule, mode and risk, as an engine makes them.

use super::*;
use crate::engine::{Engine, Setup};
use crate::pattern::PathPattern;
use crate::policy::{OnError, Policy, Scope};
use tidegate_behavior::{Outcome, Request};
use tidegate_limiter::{Limit, Quota, Timestamp};

/// A rule about everything that lets one request a minute pass.
fn rule(name: &str, mode: Mode) -> Rule {
    let one = std::num::NonZeroU32::MIN;
    Rule {
        name: name.into(),
        path: PathPattern::any(),
        methods: Vec::new(),
        scope: Scope::Site,
        limit: Limit::TokenBucket(Quota::per_minute(one).with_burst(one)),
        cost_milli: 1000,
        mode,
        on_error: OnError::Open,
    }
}

fn policy(rules: Vec<Rule>, mode: Mode) -> Policy {
    Policy { rules, mode, ..Policy::default() }
}

fn engine(policy: Policy) -> Engine {
    Engine::new(policy, Setup { capacity: 1000, ..Setup::default() })
}

fn ask(engine: &Engine, second: u64) -> Decision {
    engine.check(&Request {
        time: Timestamp::from_secs(1_000_000 + second),
        addr: Some([192, 0, 2, 1].into()),
        path: "/a",
        ..Request::default()
    })
}

/// How often this rule answered: passed and denied.
fn answered(engine: &Engine, rule: &str, mode: Mode) -> [u64; 2] {
    let all = engine.answers();
    [false, true].map(|denied| {
        let of = |a: &&Answered| a.rule == rule && a.denied == denied && a.mode == mode;
        all.iter().filter(of).map(|answered| answered.requests).sum()
    })
}

#[test]
fn a_class_of_risk_holds_its_upper_bound() {
    assert_eq!([0.0, 0.01, 0.011, 0.5, 0.51, 1.0].map(class), [0, 0, 1, 7, 8, 12]);
    assert_eq!(class(f32::NAN), 0, "never out of bounds");
}

#[test]
fn a_rule_keeps_its_counts_when_a_reload_moves_it() {
    let engine = engine(policy(vec![rule("a", Mode::Enforce)], Mode::Enforce));
    let names = |engine: &Engine| {
        let mut names: Vec<_> = engine.answers().into_iter().map(|a| a.rule).collect();
        names.dedup();
        names
    };
    assert_eq!(names(&engine), ["adaptive", "a"], "they are told before they occur");
    ask(&engine, 0);
    ask(&engine, 1);
    assert_eq!(answered(&engine, "a", Mode::Enforce), [1, 1]);
    let rules = vec![rule("b", Mode::Enforce), rule("a", Mode::Enforce)];
    engine.reload(policy(rules, Mode::Enforce));
    ask(&engine, 2);
    assert_eq!(answered(&engine, "a", Mode::Enforce), [1, 2], "a has nothing left, b has");
    assert_eq!(answered(&engine, "b", Mode::Enforce), [0, 0]);
    // In shadow the same is counted apart.
    engine.reload(policy(vec![rule("a", Mode::Enforce)], Mode::Shadow));
    ask(&engine, 3);
    assert_eq!(answered(&engine, "a", Mode::Shadow), [0, 1]);
    let stats = engine.stats();
    assert_eq!((stats.denied, stats.shadow_denied), (3, 1));
    assert_eq!(stats.decided.iter().sum::<u64>(), 4);
    assert_eq!(stats.risk.iter().sum::<u64>(), 4);
}

#[test]
fn names_are_bounded_and_further_rules_share_one() {
    let engine = engine(policy(Vec::new(), Mode::Enforce));
    for round in 0..100 {
        engine.reload(policy(vec![rule(&format!("rule-{round}"), Mode::Enforce)], Mode::Enforce));
        ask(&engine, round * 120);
    }
    assert_eq!(answered(&engine, "rule-63", Mode::Enforce), [1, 0]);
    assert_eq!(answered(&engine, "rule-64", Mode::Enforce), [0, 0]);
    assert_eq!(answered(&engine, OTHER_RULES, Mode::Enforce), [36, 0]);
    let rules: std::collections::BTreeSet<_> =
        engine.answers().into_iter().map(|answered| answered.rule).collect();
    assert_eq!(rules.len(), MOST_NAMED + 2, "the named, the rest, and the learned limit");
}

#[test]
fn no_name_is_told_twice_whatever_rules_are_called() {
    let rules = ["adaptive", "other", "deny-list"].map(|name| rule(name, Mode::Enforce));
    let engine = engine(policy(rules.into(), Mode::Enforce));
    ask(&engine, 0);
    let answers = engine.answers();
    for (at, one) in answers.iter().enumerate() {
        let same = |other: &&Answered| {
            (&other.rule, other.action, other.denied, other.mode)
                == (&one.rule, one.action, one.denied, one.mode)
        };
        assert_eq!(answers[at + 1..].iter().filter(same).count(), 0, "{one:?}");
    }
    assert_eq!(answers.iter().map(|answered| answered.requests).sum::<u64>(), 1);
}

#[test]
fn what_a_rule_in_shadow_would_deny_is_counted_and_passes() {
    let rules = vec![rule("strict", Mode::Shadow)];
    let engine = engine(policy(rules, Mode::Enforce));
    assert_eq!(engine.would_have_denied(), [("strict".to_owned(), 0)]);
    for second in 0..3 {
        assert!(ask(&engine, second).allowed);
    }
    assert_eq!(engine.would_have_denied(), [("strict".to_owned(), 2)]);
    assert_eq!(engine.stats().denied, 0);
    // What an enforced rule denies does not reach it.
    engine.reload(policy(
        vec![rule("strict", Mode::Shadow), rule("firm", Mode::Enforce)],
        Mode::Enforce,
    ));
    ask(&engine, 4);
    assert!(!ask(&engine, 5).allowed);
    assert_eq!(engine.would_have_denied(), [("strict".to_owned(), 3)]);
}

#[test]
fn outcomes_are_counted_by_the_risk_of_their_client() {
    let engine = engine(policy(Vec::new(), Mode::Enforce));
    let ticket = ask(&engine, 0).ticket;
    let now = Timestamp::from_secs(1_000_001);
    let learn = |ticket, status| {
        engine.outcome(ticket, &Outcome { status, bytes: 1, duration: None }, now);
    };
    [200, 404, 429, 503, 0].iter().for_each(|status| learn(&ticket, *status));
    // Of somebody who is not known any more.
    learn(&crate::Ticket { client: tidegate_limiter::Key(1), ..ticket }, 500);
    let stats = engine.stats();
    assert_eq!(stats.outcomes_by_risk[0], [2, 2, 1]);
    assert_eq!(stats.outcomes_by_risk[OUTCOME_ROWS - 1], [0, 0, 1]);
    assert_eq!((stats.outcomes, stats.client_errors, stats.server_errors), (6, 2, 2));
    engine.counters.outcome(404, Some(0.95));
    engine.counters.outcome(200, Some(1.0));
    assert_eq!(engine.stats().outcomes_by_risk[9], [1, 1, 0]);
}

#[test]
fn the_mean_risk_can_be_told() {
    let engine = engine(policy(Vec::new(), Mode::Enforce));
    let mut decision = ask(&engine, 0);
    for risk in [0.25, 0.75, 1.0] {
        decision.risk = risk;
        engine.counters.decided(&decision, ADAPTIVE, Mode::Enforce);
    }
    let stats = engine.stats();
    assert!((stats.risk_sum - 2.0).abs() < 1e-5, "{}", stats.risk_sum);
    assert_eq!(stats.risk.iter().sum::<u64>(), 4);
}

#[test]
fn tenths_hold_every_class() {
    let stats = Stats { risk: std::array::from_fn(|at| 1 << at), ..Stats::default() };
    let expected: [u64; 10] =
        std::array::from_fn(|at| if at == 0 { 0b1111 } else { 1 << (at + 3) });
    assert_eq!(stats.risk_tenths(), expected);
}
