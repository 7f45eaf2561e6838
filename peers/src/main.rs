//! What one question costs in limitador, in memory, and here: as a limit by descriptor and as a decision by all models.
//!
//! All take turns in one run, so that what else the machine does meets them alike; the turn of middling
//! throughput is printed.
//!
//!     cargo run --release --manifest-path peers/Cargo.toml

use limitador::RateLimiter;
use limitador::limit::{Context, Expression, Limit};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use tidegate_behavior::Request;
use tidegate_engine::descriptors::Asked;
use tidegate_engine::domains::{DescriptorLimit, Node, Rate as Limited, Unit};
use tidegate_engine::{Engine, Policy, Setup};
use tidegate_lab::bench::{Load, Rate, drive, filled};
use tidegate_limiter::{Clock, SystemClock};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CLIENTS: usize = 100_000;
const TURNS: usize = 5;
const LENGTH: Duration = Duration::from_secs(1);
/// A limit that nobody reaches, a minute: what is measured is the question and not the denial.
const MOST: u32 = 1_000_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (load, clock) = (Load::default(), SystemClock::new());

    let theirs = RateLimiter::new(CLIENTS as u64 * 2);
    let expression: Expression = "descriptors[0].remote_address".try_into()?;
    theirs.add_limit(Limit::new("edge", u64::from(MOST), 60, Vec::<_>::new(), vec![expression]));
    let namespace = "edge".into();
    let limitador = |request: &Request<'_>| {
        let name = request.addr.map(|addr| addr.to_string()).unwrap_or_default();
        let mut context = Context::default();
        let descriptor = HashMap::from([("remote_address".to_owned(), name)]);
        context.list_binding("descriptors".to_owned(), vec![descriptor]);
        black_box(theirs.check_rate_limited_and_update(&namespace, &context, 1).is_ok());
    };

    let mut policy = Policy::new();
    let rate = Limited { cells: MOST, unit: Unit::Minute, multiplier: 1 };
    let limit = DescriptorLimit::new("edge.remote_address".into(), Some(rate));
    let node = Node { limit: Some(Arc::new(limit)), ..Node::default() };
    policy
        .domains
        .domain("edge")
        .add("remote_address", "", node)
        .ok_or("a descriptor named twice")?;
    let plain = Engine::new(policy, Setup { capacity: CLIENTS * 2, ..Setup::default() });
    let descriptor = |request: &Request<'_>| {
        let name = request.addr.map(|addr| addr.to_string()).unwrap_or_default();
        let entries = [("remote_address", name.as_str())].into_iter().collect();
        let asked = [Asked { entries, hits: 1, ..Asked::default() }];
        black_box(plain.limit_descriptors("edge", &asked, request.time).is_ok());
    };

    let learned = filled(&load, CLIENTS, &clock, Engine::default_model().ok());
    let decision = |request: &Request<'_>| {
        black_box(learned.check(request));
    };

    for n in 0..4 * CLIENTS as u64 {
        let request = load.request(n, CLIENTS, clock.now());
        limitador(&request);
        descriptor(&request);
    }
    // A peer that does nothing is quick.
    if theirs.get_counters(&namespace)?.len() < CLIENTS / 2 {
        return Err("limitador did not count the clients; see how its limit names them".into());
    }
    let mut turns: [(&str, Vec<Rate>); 3] = [
        ("limitador, in memory", Vec::new()),
        ("a limit by descriptor", Vec::new()),
        ("a decision by all models", Vec::new()),
    ];
    for _ in 0..TURNS {
        turns[0].1.push(drive(&load, &clock, CLIENTS, 1, LENGTH, limitador));
        turns[1].1.push(drive(&load, &clock, CLIENTS, 1, LENGTH, descriptor));
        turns[2].1.push(drive(&load, &clock, CLIENTS, 1, LENGTH, decision));
    }
    let mut first = None;
    for (name, rates) in &mut turns {
        rates.sort_by(|a, b| a.decisions_per_s.total_cmp(&b.decisions_per_s));
        let Rate { decisions_per_s: rate, p50_ns, p99_ns, .. } = rates[rates.len() / 2];
        let of = *first.get_or_insert(rate);
        println!(
            "{name:<25} {rate:>9.0} a second  {:>5.2} times limitador   p50 {p50_ns:>5} ns   p99 {p99_ns:>6} ns",
            rate / of
        );
    }
    Ok(())
}
