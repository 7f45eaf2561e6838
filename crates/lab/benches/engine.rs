//! Full decisions of a million live clients beside governor's keyed check of the same, in one run.
//!
//! The two take turns, so that what else the machine does meets both alike, and the medians of the
//! turns are printed.

use governor::{Quota, RateLimiter};
use std::hint::black_box;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;
use tidegate_behavior::Request;
use tidegate_engine::Engine;
use tidegate_lab::bench::{Load, Rate, drive, filled};
use tidegate_limiter::{Clock, SystemClock};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CLIENTS: usize = 1_000_000;
const TURNS: usize = 5;
const LENGTH: Duration = Duration::from_secs(1);

fn main() {
    let (load, clock) = (Load::default(), SystemClock::new());
    let engine = filled(&load, CLIENTS, &clock, Engine::default_model().ok());
    let keyed = RateLimiter::dashmap(Quota::per_minute(NonZeroU32::MIN.saturating_add(59)));
    let ours = |request: &Request<'_>| {
        black_box(engine.check(request));
    };
    let theirs = |request: &Request<'_>| {
        let addr: Option<IpAddr> = request.addr;
        black_box(keyed.check_key(&addr).is_ok());
    };
    for n in 0..4 * CLIENTS as u64 {
        theirs(&load.request(n, CLIENTS, clock.now()));
    }
    let (mut one, mut two, mut governor) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        one.push(drive(&load, &clock, CLIENTS, 1, LENGTH, ours));
        governor.push(drive(&load, &clock, CLIENTS, 1, LENGTH, theirs));
        two.push(drive(&load, &clock, CLIENTS, 2, LENGTH, ours));
    }
    let (one, two, governor) = (median(&mut one), median(&mut two), median(&mut governor));
    for (name, rate) in [("tidegate", &one), ("tidegate, 2 threads", &two), ("governor", &governor)]
    {
        println!(
            "{name:<20} {:>9.0} decisions/s   p50 {:>5} ns   p99 {:>6} ns",
            rate.decisions_per_s, rate.p50_ns, rate.p99_ns
        );
    }
    let ratio = |a: u64, b: u64| a as f64 / b.max(1) as f64;
    println!(
        "{:.2} times governor at p50, {:.2} at p99; 2 threads {:.2} times one",
        ratio(one.p50_ns, governor.p50_ns),
        ratio(one.p99_ns, governor.p99_ns),
        two.decisions_per_s / one.decisions_per_s
    );
}

/// The turn of middling throughput.
fn median(turns: &mut [Rate]) -> Rate {
    turns.sort_by(|a, b| a.decisions_per_s.total_cmp(&b.decisions_per_s));
    turns[turns.len() / 2]
}
