//! `tidegate bench`: what a decision costs on this machine, to size it.

use crate::cli::BenchArgs;
use crate::evaluate::model;
use miette::IntoDiagnostic;
use std::time::Duration;
use tidegate_lab::bench::{Rate, bench};

pub(crate) fn run(args: &BenchArgs) -> miette::Result<()> {
    let length = Duration::from_secs(args.seconds);
    let report = bench(args.clients as usize, length, Some(model(None)?));
    if args.json {
        println!("{}", serde_json::to_string(&report).into_diagnostic()?);
        return Ok(());
    }
    println!(
        "{} live clients, every request scored by the full model, {} s each\n",
        report.clients, args.seconds
    );
    let row = |name: &str, rate: &Rate| {
        println!(
            "{name:<16} {:>10.0} decisions/s   p50 {:>5} ns   p99 {:>6} ns",
            rate.decisions_per_s, rate.p50_ns, rate.p99_ns
        );
    };
    row("one thread", &report.one_thread);
    row(&format!("{} threads", report.threads), &report.all_threads);
    row("simulated sites", &report.sites);
    row("everything on", &report.everything);
    println!(
        "\n{:.2} times one thread; {} bytes of memory a client, all told",
        report.all_threads.decisions_per_s / report.one_thread.decisions_per_s,
        report.bytes_per_client
    );
    Ok(())
}
