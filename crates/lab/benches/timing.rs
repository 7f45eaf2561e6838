//! Whether the time of a decision tells what is thought of the client: percentiles by what was
//! decided, on a simulated site under attack.

use std::collections::BTreeMap;
use std::time::Instant;
use tidegate_engine::{Action, Engine, Policy, Setup};
use tidegate_lab::simulate::{Scenario, generate};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a client can't see of a decision, in words.
fn kind(action: Action, allowed: bool, risk: f32) -> &'static str {
    match (action, allowed) {
        (Action::Block, _) => "blocked",
        (Action::Throttle | Action::Degrade, true) => "throttled, passes",
        (Action::Throttle | Action::Degrade, false) => "throttled, denied",
        _ if risk >= 0.25 => "allowed at some risk",
        _ => "allowed at low risk",
    }
}

fn main() {
    let model = match Engine::default_model() {
        Ok(model) => model,
        Err(error) => {
            eprintln!("the built-in model: {error}");
            std::process::exit(1);
        }
    };
    let mut times: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for seed in 0..4 {
        let traffic = generate(Scenario::Mixed, seed, 20);
        let setup = Setup { capacity: 1 << 17, model: Some(model.clone()), ..Setup::default() };
        let engine = Engine::new(Policy::default(), setup);
        for event in &traffic.events {
            let request = event.request();
            let began = Instant::now();
            let decision = std::hint::black_box(engine.check(&request));
            let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            if decision.allowed {
                engine.outcome(&decision.ticket, &event.outcome, event.time);
            }
            let kind = kind(decision.action, decision.allowed, decision.risk);
            times.entry(kind).or_default().push(took);
        }
    }
    println!(
        "{:<22} {:>10} {:>8} {:>8} {:>8}",
        "decision", "requests", "p50 ns", "p90 ns", "p99 ns"
    );
    for (kind, mut times) in times {
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        let (p50, p90, p99) = (at(0.5), at(0.9), at(0.99));
        println!("{kind:<22} {:>10} {p50:>8} {p90:>8} {p99:>8}", times.len());
    }
}
