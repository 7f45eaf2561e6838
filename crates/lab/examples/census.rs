//! Counts a simulation by family: `cargo run --example census -- SCENARIO SEED MINUTES`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use tidegate_lab::simulate::{Scenario, generate};

#[derive(Default)]
struct Row {
    events: usize,
    actors: BTreeSet<u32>,
    statuses: [usize; 4],
    largest: usize,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "mixed".to_owned());
    let mut number =
        |otherwise| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (seed, minutes) = (number(1), number(20));
    let Some(scenario) = Scenario::parse(&name) else {
        eprintln!(
            "no scenario {name}; there are: {}",
            Scenario::names().collect::<Vec<_>>().join(", ")
        );
        std::process::exit(2);
    };
    let begun = Instant::now();
    let traffic = generate(scenario, seed, minutes as u32);
    let took = begun.elapsed();
    let mut families: BTreeMap<&str, Row> = BTreeMap::new();
    let mut most: BTreeMap<u32, usize> = BTreeMap::new();
    for event in &traffic.events {
        let row = families.entry(traffic.actor(event).family).or_default();
        row.events += 1;
        row.actors.insert(event.actor);
        row.statuses[(event.outcome.status / 100).clamp(2, 5) as usize - 2] += 1;
        let count = most.entry(event.actor).or_default();
        *count += 1;
        row.largest = row.largest.max(*count);
    }
    println!("{} events in {took:.2?}", traffic.events.len());
    println!(
        "{:12} {:>8} {:>7} {:>8} {:>7} {:>7} {:>7} {:>7}",
        "family", "events", "actors", "largest", "2xx", "3xx", "4xx", "5xx"
    );
    for (family, Row { events, actors, statuses, largest }) in families {
        let [ok, moved, refused, failed] = statuses;
        println!(
            "{family:12} {events:8} {:7} {largest:8} {ok:7} {moved:7} {refused:7} {failed:7}",
            actors.len()
        );
    }
}
