//! Without a model, or with the learned limit switched off, the engine is a classic limiter.
#![allow(clippy::unwrap_used)]

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;
use tidegate_behavior::{Method, Outcome, Request};
use tidegate_engine::pattern::PathPattern;
use tidegate_engine::policy::{OnError, Rule, Scope};
use tidegate_engine::{Action, Engine, Mode, Policy, RuleRef, Setup};
use tidegate_limiter::{Bucket, Cost, Limit, Quota, Timestamp};

const UNSCORED: &str = "no model scored this request: static limits alone";

fn per_minute(cells: u32, burst: u32) -> Quota {
    let whole = |n| NonZeroU32::new(n).unwrap();
    Quota::per_minute(whole(cells)).with_burst(whole(burst))
}

/// Sixty a minute for everybody, and a rule that lets a client log in twice a minute.
fn policy(enabled: bool) -> Policy {
    let mut policy = Policy::new();
    policy.adaptive.enabled = enabled;
    policy.adaptive.tiers.new = per_minute(60, 10);
    policy.rules.push(Rule {
        name: "login".into(),
        path: "/login".parse::<PathPattern>().unwrap(),
        methods: vec![Method::Post],
        scope: Scope::Client,
        limit: Limit::TokenBucket(per_minute(2, 2)),
        cost_milli: 1000,
        mode: Mode::Enforce,
        on_error: OnError::Open,
    });
    policy
}

/// Every way to be without a score.
fn engines() -> [Engine; 3] {
    let model = || Some(Engine::default_model().unwrap());
    [(true, None), (false, model()), (false, None)].map(|(on, model)| {
        Engine::new(policy(on), Setup { model, capacity: 1000, ..Setup::default() })
    })
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000).plus(Duration::from_millis(millis))
}

#[test]
fn the_new_tier_is_a_token_bucket_for_everybody() {
    for engine in engines() {
        let quota = engine.policy().adaptive.tiers.new;
        // A scanner, whom a model would block, and a visitor: the same path for the same limit.
        let clients: [(IpAddr, &str, u16); 2] =
            [([192, 0, 2, 1].into(), "/.env", 404), ([198, 51, 100, 1].into(), "/", 200)];
        let mut buckets = [Bucket::default(); 2];
        let (mut denied, mut millis) = (0, 0);
        for step in 0..2000u64 {
            // Bursts, and pauses of up to twelve seconds.
            millis += if step % 50 == 0 { step * 7919 % 12_000 } else { step * 31 % 400 };
            for ((addr, path, status), bucket) in clients.iter().zip(&mut buckets) {
                let request =
                    Request { time: at(millis), addr: Some(*addr), path, ..Request::default() };
                let decision = engine.check(&request);
                let expected = bucket.check(&quota, Cost::ONE, at(millis));
                assert_eq!(
                    (decision.allowed, decision.remaining, decision.retry_after),
                    (expected.admitted, expected.remaining, expected.retry_after),
                    "{path} in step {step}"
                );
                assert_eq!((decision.limit, decision.limit_per_min), (10, 60.0));
                assert_eq!((decision.rule, decision.action), (RuleRef::Adaptive, Action::Allow));
                assert_eq!((decision.risk, decision.scored, decision.anomaly), (0.0, false, None));
                assert_eq!(engine.reasons(&decision), [UNSCORED]);
                denied += u64::from(!decision.allowed);
                if decision.allowed {
                    let outcome = Outcome { status: *status, bytes: 99, duration: None };
                    engine.outcome(&decision.ticket, &outcome, at(millis + 5));
                }
            }
        }
        assert!((1000..3900).contains(&denied), "{denied} of 4000 denied: both answers must occur");
        let stats = engine.stats();
        assert_eq!((stats.unscored, stats.denied), (4000, denied));
        assert!(engine.clients(9).iter().all(|client| client.risk == 0.0));
    }
}

#[test]
fn static_rules_deny_and_say_so() {
    for engine in engines() {
        let addr = Some([192, 0, 2, 1].into());
        let request = |method, path, millis| {
            let time = at(millis);
            engine.check(&Request { time, addr, method, path, ..Request::default() })
        };
        for allowed in [true, true, false] {
            let decision = request(Method::Post, "/login", 0);
            assert_eq!((decision.allowed, decision.rule), (allowed, RuleRef::Static(0)));
            let why = if allowed { UNSCORED } else { "the rule `login` is used up" };
            assert_eq!(engine.reasons(&decision), [why]);
        }
        // The denial was charged to nobody: two of the ten are spent.
        let page = request(Method::Get, "/", 0);
        assert_eq!((page.allowed, page.rule, page.remaining), (true, RuleRef::Adaptive, 7));
        assert!(request(Method::Post, "/login", 30_000).allowed, "a cell drains in 30 s");
    }
}
