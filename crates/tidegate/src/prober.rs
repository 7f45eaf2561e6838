//! `tidegate prober`: what an attacker who learns gets past the limiter, with each hardening measure
//! on and off.

use crate::cli::ProberArgs;
use crate::train::progress_bar;
use miette::IntoDiagnostic;
use tidegate_lab::prober::{Goal, Hardening, Row, probe};

pub(crate) fn run(args: &ProberArgs) -> miette::Result<()> {
    let model = crate::evaluate::model(args.model.as_deref())?;
    let seeds: Vec<u64> = (args.seed..args.seed.saturating_add(args.seeds)).collect();
    let bar = progress_bar("probing");
    let rows = probe(&seeds, &Goal::ALL, &Hardening::ALL, &model, |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&rows).into_diagnostic()?);
    } else {
        print(args, &rows);
    }
    Ok(())
}

fn print(args: &ProberArgs, rows: &[Row]) {
    println!(
        "An attacker who learns, on {} sites (from seed {}): 72 trials of 45 s, then 15 min of the best\n",
        args.seeds, args.seed
    );
    println!(
        "{:<12} {:<32} {:>5} {:>9} {:>9} {:>9} {:>8} {:>9} {:>7}",
        "goal",
        "hidden by",
        "sites",
        "first/h",
        "best/h",
        "requests",
        "denied",
        "addresses",
        "harm %"
    );
    for row in rows {
        println!(
            "{:<12} {:<32} {:>5} {:>9.0} {:>9.0} {:>9.0} {:>8.0} {:>9.0} {:>7.3}",
            row.goal.name(),
            row.hardening.words(),
            row.sites,
            row.first_per_hour,
            row.best_per_hour,
            row.search_requests,
            row.search_denied,
            row.search_addresses,
            row.harm * 100.0
        );
    }
}
