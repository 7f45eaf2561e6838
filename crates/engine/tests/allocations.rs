//! A decision allocates nothing once what it meets was met before; in a binary of its own, because
//! the allocator is replaced by one that counts.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tidegate_behavior::{Outcome, Request};
use tidegate_engine::policy::Adaptive;
use tidegate_engine::{Engine, Policy, Setup};
use tidegate_limiter::Timestamp;

const CLIENTS: u64 = 500;

/// Pages, calls and assets of clients that keep coming back, in no particular order; paths that do
/// not exist are among them.
fn request<'a>(paths: &'a [String], agents: &'a [String], n: u64) -> Request<'a> {
    let draw = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
    // Half of all comes from one client, which is denied for it.
    let client = if n.is_multiple_of(2) { 0 } else { draw % CLIENTS };
    Request {
        time: Timestamp::from_nanos(Timestamp::from_secs(100_000).as_nanos() + n * 1_000_000),
        addr: Some(IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + client as u32 * 61))),
        path: &paths[(draw >> 12) as usize % paths.len()],
        user_agent: &agents[client as usize % agents.len()],
        referer: if n.is_multiple_of(2) { "https://shop.example/shop" } else { "" },
        ..Request::default()
    }
}

/// How many of ten thousand decisions were denials, none of which allocated anything.
fn denied_without_allocating(enabled: bool) -> u32 {
    let setup = Setup { capacity: 4096, model: Engine::default_model().ok(), ..Setup::default() };
    assert!(setup.model.is_some());
    let adaptive = Adaptive { enabled, ..Adaptive::default() };
    let policy = Policy { adaptive, ..Policy::default() };
    let engine = Engine::new(policy, setup);
    let paths: Vec<String> = (0..300)
        .map(|i| match i % 4 {
            0 => format!("/assets/app-{i}.js"),
            1 => format!("/shop/{i}"),
            2 => format!("/api/v1/orders?page={i}"),
            _ => format!("/missing-{i}.php?q='"),
        })
        .collect();
    let agents: Vec<String> = (0..8).map(|i| format!("Mozilla/5.0 (X11) Browser/{i}")).collect();
    let outcome = |path: &str| Outcome {
        status: if path.starts_with("/missing") { 404 } else { 200 },
        bytes: 4096,
        duration: Some(Duration::from_millis(12)),
    };
    let mut n = 0;
    let mut decide = |learn: bool| {
        let request = request(&paths, &agents, n);
        n += 1;
        let decision = engine.check(&request);
        if learn {
            engine.outcome(&decision.ticket, &outcome(request.path), request.time);
        }
        decision
    };
    // Paths of routes that are not known yet are kept until their answer comes: each of their places is used.
    for i in 0..1_100u32 {
        let path =
            format!("/a-page-{i}-that-nobody-has-asked-for-so-far-and-will-not-ask-for-again");
        let addr = Some(IpAddr::V4(Ipv4Addr::from(0x0c00_0000 + i)));
        let time = Timestamp::from_secs(1);
        engine.check(&Request { time, addr, path: &path, ..Request::default() });
    }
    // Routes are learned, every client, agent and group is met, every ring goes round once.
    for _ in 0..20_000 {
        decide(true);
    }
    for _ in 0..20_000 {
        decide(false);
    }
    let (mut scored, mut denied) = (0, 0);
    let counted = allocation_counter::measure(|| {
        for _ in 0..10_000 {
            let decision = decide(false);
            scored += u32::from(decision.scored);
            denied += u32::from(!decision.allowed);
        }
    });
    assert_eq!(counted.count_total, 0, "{counted:?}");
    assert_eq!(scored, if enabled { 10_000 } else { 0 });
    // The counter counts: what is kept of a decision for people is a string.
    let counted = allocation_counter::measure(|| drop(decide(false).ticket.to_string()));
    assert!(counted.count_total > 0);
    denied
}

#[test]
fn a_decision_allocates_nothing_in_the_steady_state() {
    assert!(denied_without_allocating(true) > 0);
    // What a model makes of clients that ask by chance is its affair; of a fixed limit both answers come.
    let denied = denied_without_allocating(false);
    assert!((1..10_000).contains(&denied), "both answers are measured: {denied}");
}
