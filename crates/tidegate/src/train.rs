//! `tidegate train`: simulate, learn, write one model file.

use crate::cli::TrainArgs;
use indicatif::{ProgressBar, ProgressStyle};
use miette::{IntoDiagnostic, WrapErr};
use tidegate_lab::train::{Plan, Without, collect, logistic, trees};
use tidegate_models::train::Params;

pub(crate) fn run(args: &TrainArgs) -> miette::Result<()> {
    let params = Params { trees: args.trees, depth: args.depth, ..Params::default() };
    let plan = Plan { seed: args.seed, rounds: args.rounds, params };
    let bar = progress_bar("simulating");
    let corpus = collect(&plan, |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    let set = corpus.set(Without::default());
    drop(corpus);
    bar.finish_and_clear();
    let abusive = set.labels.iter().filter(|label| **label).count();
    let model =
        if args.logistic { logistic(&set, &plan) } else { trees(&set, &plan) }.into_diagnostic()?;
    let about = format!(
        "trained on simulated traffic: {} rounds of all scenarios from seed {}",
        plan.rounds, plan.seed
    );
    let bytes = tidegate_models::file::save(&model, &about).into_diagnostic()?;
    std::fs::write(&args.out, &bytes)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot write {}", args.out.display()))?;
    println!(
        "{} rows, {abusive} of them abusive, from {} hours of simulated traffic",
        set.len(),
        plan.simulated().as_secs() / 3600
    );
    println!("{}: {} bytes", args.out.display(), bytes.len());
    Ok(())
}

/// A progress bar on standard error, hidden when that is no terminal.
pub(crate) fn progress_bar(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar.with_message(what)
}
