//! `tidegate train`: simulate, learn, write one model file.

use crate::bootstrap::{failed, gather, written};
use crate::cli::TrainArgs;
use crate::replay::percent;
use indicatif::{ProgressBar, ProgressStyle};
use miette::{IntoDiagnostic, WrapErr, miette};
use tidegate_engine::Engine;
use tidegate_lab::bootstrap::answers::Answers;
use tidegate_lab::bootstrap::gather::Gathered;
use tidegate_lab::bootstrap::{Assessment, assess, rows};
use tidegate_lab::train::{Plan, Without, collect, logistic, trees};
use tidegate_models::TrainingSet;
use tidegate_models::train::Params;

pub(crate) fn run(args: &TrainArgs) -> miette::Result<()> {
    let params = Params { trees: args.trees, depth: args.depth, ..Plan::default().params };
    let plan = Plan { seed: args.seed, rounds: args.rounds, params };
    // Before the minutes of simulation, for a log that can't be read should be told at once.
    let learned = if args.from_logs.is_empty() { None } else { Some(from_logs(args)?) };
    let mut set = if args.logs_only { TrainingSet::default() } else { simulated(&plan) };
    let simulated = set.len();
    if let Some((clients, thought)) = &learned {
        // Alone, the log is all there is; beside the simulation it must not undo it.
        let builtin = Engine::default_model().into_diagnostic()?;
        let other = (!args.logs_only).then_some(&builtin);
        rows::add(&mut set, clients, thought, other).into_diagnostic()?;
    }
    let abusive = set.labels.iter().filter(|label| **label).count();
    let model =
        if args.logistic { logistic(&set, &plan) } else { trees(&set, &plan) }.into_diagnostic()?;
    let mut about = if args.logs_only {
        "trained".to_owned()
    } else {
        format!(
            "trained on simulated traffic: {} rounds of all scenarios from seed {}",
            plan.rounds, plan.seed
        )
    };
    if let Some((clients, _)) = &learned {
        about += &format!(" on logs: {} clients", clients.clients.len());
    }
    let bytes = tidegate_models::file::save(&model, &about).into_diagnostic()?;
    std::fs::write(&args.out, &bytes)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot write {}", args.out.display()))?;
    if simulated > 0 {
        println!(
            "{} rows, {abusive} of them abusive, from {} hours of simulated traffic{}",
            set.len(),
            plan.simulated().as_secs() / 3600,
            if learned.is_some() { " and from logs" } else { "" }
        );
    } else {
        println!("{} rows, {abusive} of them abusive, from logs alone", set.len());
    }
    if learned.is_some() {
        let weight: f64 = set.weights.iter().map(|w| f64::from(*w)).sum();
        let of_log: f64 = set.weights.iter().skip(simulated).map(|w| f64::from(*w)).sum();
        println!(
            "{} rows of the logs weigh {} of all",
            set.len() - simulated,
            percent(of_log / weight.max(1e-9))
        );
    }
    println!("{}: {} bytes", args.out.display(), bytes.len());
    Ok(())
}

fn simulated(plan: &Plan) -> TrainingSet {
    let bar = progress_bar("simulating");
    let corpus = collect(plan, |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    corpus.set(Without::default())
}

/// What is thought of the clients of logs; prints it.
fn from_logs(args: &TrainArgs) -> miette::Result<(Gathered, Assessment)> {
    let answers = match &args.labels {
        // A file that was asked for by name must be there.
        Some(path) if !path.exists() => {
            return Err(miette!("{}: there is no such file of labels", path.display()));
        }
        Some(path) => Answers::read(path).into_diagnostic()?,
        None => Answers::default(),
    };
    let (clients, log) = gather(&args.from_logs, &args.read, &args.honeypot)?;
    let thought = assess(&clients, &answers, args.seed).map_err(|error| failed(&log, &error))?;
    println!("{}{}", log.complaints(), written(&clients, &thought).into_diagnostic()?);
    Ok((clients, thought))
}

/// A progress bar on standard error, hidden when that is no terminal.
pub(crate) fn progress_bar(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar.with_message(what)
}
