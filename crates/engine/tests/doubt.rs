//! Lasting doubt narrows a client's limit: little for little, for those who ask for much, and never for a few requests.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tidegate_behavior::{Outcome, Request};
use tidegate_engine::{Action, Decision, Engine, Policy, Setup};
use tidegate_limiter::Timestamp;
use tidegate_models::{AnyModel, Calibration, Trees};

/// An engine whose model gives every request this probability.
fn engine(score: f32) -> Engine {
    let bias = (score / (1.0 - score)).ln();
    let model = Trees::new(bias, &[], Calibration::default()).unwrap();
    let setup = Setup { model: Some(AnyModel::Trees(model)), ..Setup::default() };
    Engine::new(Policy::default(), setup)
}

/// What is decided about a client who asks this often for so many minutes.
fn decided(score: f32, gap: Duration, minutes: u64) -> Vec<(Decision, Vec<String>)> {
    decided_of(score, gap, minutes, |_| String::new())
}

/// The same of a client with this user agent at its n-th request.
fn decided_of(
    score: f32,
    gap: Duration,
    minutes: u64,
    agent: impl Fn(usize) -> String,
) -> Vec<(Decision, Vec<String>)> {
    let engine = engine(score);
    let mut now = Timestamp::from_secs(1_700_000_000);
    let end = now.plus(Duration::from_secs(60 * minutes));
    let mut all = Vec::new();
    while now < end {
        let user_agent = agent(all.len());
        let request = Request {
            time: now,
            addr: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9))),
            path: "/articles/9",
            user_agent: &user_agent,
            ..Request::default()
        };
        let decision = engine.check(&request);
        if decision.allowed {
            let outcome = Outcome { status: 200, bytes: 300, duration: None };
            engine.outcome(&decision.ticket, &outcome, now);
        }
        let reasons = engine.reasons(&decision);
        all.push((decision, reasons));
        now = now.plus(gap);
    }
    all
}

fn denied(all: &[(Decision, Vec<String>)]) -> usize {
    all.iter().filter(|(decision, _)| !decision.allowed).count()
}

const QUICK: Duration = Duration::from_millis(200);

#[test]
fn a_taker_who_looks_suspicious_by_a_little_is_held_to_less_than_a_new_client() {
    let all = decided(0.15, QUICK, 20);
    // Somewhat more than a hundred a minute, and a burst of eight minutes of it.
    assert!((1_200..2_500).contains(&denied(&all)), "{} of {}", denied(&all), all.len());
    assert!(all[..300].iter().all(|(decision, _)| decision.allowed));
    let (last, reasons) = all.last().unwrap();
    assert!((100.0..150.0).contains(&last.limit_per_min), "{}", last.limit_per_min);
    assert_eq!(last.action, Action::Allow, "no penalty");
    assert!(reasons[0].contains("its limit is narrowed"), "{reasons:?}");
    let (first, reasons) = &all[0];
    assert_eq!(first.limit_per_min, 1200.0);
    assert!(!reasons.iter().any(|reason| reason.contains("narrowed")), "{reasons:?}");
}

#[test]
fn whoever_asks_for_little_notices_nothing_nor_does_who_is_doubted_as_everybody_is() {
    assert_eq!(denied(&decided(0.15, Duration::from_secs(1), 20)), 0);
    assert_eq!(denied(&decided(0.03, QUICK, 20)), 0);
}

#[test]
fn new_names_for_the_same_taker_gain_it_little() {
    let plain = denied(&decided(0.15, QUICK, 20));
    // A new browser every ten requests, and every three hundred.
    for each in [10, 300] {
        let all = decided_of(0.15, QUICK, 20, |n| format!("browser {}", n / each));
        assert!(denied(&all) * 10 > plain * 9, "{each}: {} for {plain}", denied(&all));
    }
}
