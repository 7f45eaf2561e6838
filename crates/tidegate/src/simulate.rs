//! `tidegate simulate`: labelled traffic as a log file and its labels.

use crate::cli::SimulateArgs;
use crate::evaluate::scenario;
use std::collections::BTreeMap;
use tidegate_lab::simulate::{generate, write};

pub(crate) fn run(args: &SimulateArgs) -> miette::Result<()> {
    let traffic = generate(scenario(&args.scenario)?, args.seed, args.minutes);
    write(&traffic, &args.out).map_err(|e| miette::miette!("{e}"))?;
    let mut families: BTreeMap<(bool, &str), u64> = BTreeMap::new();
    for event in &traffic.events {
        let actor = traffic.actor(event);
        *families.entry((actor.abusive, actor.family)).or_default() += 1;
    }
    println!("{} requests in {}", traffic.events.len(), args.out.join("traffic.jsonl").display());
    println!("labels in {}", args.out.join("labels.csv").display());
    for ((abusive, family), requests) in families {
        println!("  {family:<12} {requests:>8} requests{}", if abusive { "  abusive" } else { "" });
    }
    Ok(())
}
