//! `tidegate label`: a person says what clients of a log are, the most informative ones first.

use crate::bootstrap::{failed, gather, words};
use crate::cli::{LabelArgs, LogArgs};
use crate::explain::{Story, nearest};
use crate::replay::{Log, count, shown, start};
use crate::train::progress_bar;
use miette::{IntoDiagnostic, WrapErr, miette};
use serde_json::json;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::BufRead as _;
use tidegate_engine::Engine;
use tidegate_lab::bootstrap::answers::{Answer, Answers};
use tidegate_lab::bootstrap::gather::Gathered;
use tidegate_lab::bootstrap::measure::{Plan, Quality, Report, measure};
use tidegate_lab::bootstrap::{Assessment, assess, questions};
use tidegate_lab::replay::rfc3339;
use tidegate_lab::simulate::Scenario;
use tidegate_lab::train::{Without, collect};
use tidegate_limiter::Key;

/// After so many answers the order is made anew.
const BATCH: usize = 10;
/// Steps of a client's story.
const STEPS: usize = 5;
/// The same log gives the same order.
pub(crate) const SEED: u64 = 0;

pub(crate) fn run(args: &LabelArgs) -> miette::Result<()> {
    if args.benchmark {
        return benchmark(args);
    }
    if args.files.iter().any(|file| file.as_os_str() == "-") {
        return Err(miette!(
            "the log is read more than once, which standard input can't be; name a file"
        ));
    }
    let mut answers = Answers::read(&args.labels).into_diagnostic()?;
    let (clients, log) = gather(&args.files, &args.read, &args.honeypot)?;
    if !args.answer.is_empty() {
        return record(args, &clients, &mut answers);
    }
    let thought = assess(&clients, &answers, SEED).map_err(|error| failed(&log, &error))?;
    if let Some(most) = args.next {
        return list(args, &clients, &thought, most as usize);
    }
    eprint!("{}", log.complaints());
    ask(args, &clients, thought, answers)
}

/// Records answers from the command line: all of them, or none when one is wrong.
fn record(args: &LabelArgs, clients: &Gathered, answers: &mut Answers) -> miette::Result<()> {
    for text in &args.answer {
        let (client, answer) = text
            .rsplit_once('=')
            .ok_or_else(|| miette!("`{text}` is no answer; write such as 192.0.2.7=abusive"))?;
        let answer = match answer {
            "abusive" | "a" => Answer::Abusive,
            "harmless" | "h" => Answer::Harmless,
            "unknown" | "s" => Answer::Unknown,
            _ => {
                return Err(miette!(
                    "`{answer}` says nothing of {client}; write abusive, harmless or unknown"
                ));
            }
        };
        if !clients.clients.iter().any(|seen| seen.name == client) {
            let near = nearest(client, clients.clients.iter().map(|seen| seen.name.as_str()));
            return Err(miette!(
                "no request of `{}` in the log; the nearest clients are {}",
                shown(client),
                near.join(", ")
            ));
        }
        answers.add(client, answer).into_diagnostic()?;
    }
    answers.write(&args.labels).into_diagnostic()?;
    println!("{}: {}", args.labels.display(), count(answers.len() as u64, "client"));
    Ok(())
}

/// Lists the clients that would be asked about.
fn list(
    args: &LabelArgs,
    clients: &Gathered,
    thought: &Assessment,
    most: usize,
) -> miette::Result<()> {
    let order = questions::order(thought, &clients.clients, most);
    if args.json {
        let rows: Vec<_> = order
            .iter()
            .map(|&at| {
                let seen = &clients.clients[at];
                json!({
                    "client": seen.name,
                    "requests": seen.requests,
                    "first": rfc3339(seen.first),
                    "last": rfc3339(seen.last),
                    "abuse": thought.abuse[at],
                    "source": thought.source[at],
                    "disagreement": questions::disagreement(thought, at),
                    "look_alikes": thought.clusters.sizes[thought.clusters.of[at]],
                    "user_agent": seen.agent,
                    "against": words(thought, at, true),
                    "for": words(thought, at, false),
                })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&rows).into_diagnostic()?);
        return Ok(());
    }
    for (n, &at) in (1..).zip(&order) {
        print!("{}", question(clients, thought, at, &format!("{n}.")));
    }
    Ok(())
}

/// What a person should know of a client to say what it is.
fn question(clients: &Gathered, thought: &Assessment, at: usize, number: &str) -> String {
    let seen = &clients.clients[at];
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{number} {}   abuse {:.2}   {}, {} to {}   one of {} alike",
        shown(&seen.name),
        thought.abuse[at],
        count(u64::from(seen.requests), "request"),
        rfc3339(seen.first),
        rfc3339(seen.last),
        thought.clusters.sizes[thought.clusters.of[at]]
    );
    let _ = writeln!(
        out,
        "   agent    {}",
        if seen.agent.is_empty() { "none".into() } else { shown(&seen.agent) }
    );
    for (title, abusive) in [("against", true), ("for", false)] {
        for words in words(thought, at, abusive) {
            let _ = writeln!(out, "   {title:<8} {words}");
        }
    }
    out
}

/// Asks until nobody answers any more.
fn ask(
    args: &LabelArgs,
    clients: &Gathered,
    mut thought: Assessment,
    mut answers: Answers,
) -> miette::Result<()> {
    println!(
        "{} of {}, {} answered; answers go to {}",
        count(clients.requests, "request"),
        count(clients.clients.len() as u64, "client"),
        answers.len(),
        args.labels.display()
    );
    let mut input = std::io::stdin().lock();
    let mut asked = 0;
    loop {
        let order = questions::order(&thought, &clients.clients, BATCH);
        if order.is_empty() {
            println!("Everybody was asked about.");
            return Ok(());
        }
        let stories = stories(args, clients, &order)?;
        for at in order {
            asked += 1;
            println!("");
            print!("{}", question(clients, &thought, at, &format!("{asked}.")));
            if let Some(story) = stories.get(&clients.clients[at].key) {
                print!("{story}");
            }
            let answer = loop {
                print!("abusive, harmless, skip or quit? [a/h/s/q] ");
                let mut line = String::new();
                let read =
                    input.read_line(&mut line).into_diagnostic().wrap_err("standard input")?;
                match line.trim() {
                    _ if read == 0 => return Ok(()),
                    "q" | "quit" => return Ok(()),
                    "a" | "abusive" => break Answer::Abusive,
                    "h" | "harmless" => break Answer::Harmless,
                    "s" | "skip" => break Answer::Unknown,
                    _ => {}
                }
            };
            answers.add(&clients.clients[at].name, answer).into_diagnostic()?;
            answers.write(&args.labels).into_diagnostic()?;
        }
        thought = assess(clients, &answers, SEED).into_diagnostic()?;
    }
}

/// The beginning of each client's story, as `explain` tells it.
fn stories(
    args: &LabelArgs,
    clients: &Gathered,
    order: &[usize],
) -> miette::Result<HashMap<Key, String>> {
    let log_args = LogArgs { files: args.files.clone(), read: args.read.clone(), model: None };
    let mut replay = start(&log_args)?;
    let mut told: HashMap<Key, Story> = HashMap::new();
    for seen in order.iter().filter_map(|at| clients.clients.get(*at)) {
        told.insert(seen.key, Story::new(seen.name.clone(), STEPS));
    }
    Log::open(&args.files, &args.read)?.each(|line, record| {
        let decision = replay.feed(line, record);
        if let Some(story) = told.get_mut(&decision.ticket.client) {
            story.tell(line, record, &decision, replay.engine());
        }
        Ok(())
    })?;
    let text = |story: Story| {
        let mut text = String::new();
        story.write(&mut text);
        text
    };
    Ok(told.into_iter().map(|(key, story)| (key, text(story))).collect())
}

fn benchmark(args: &LabelArgs) -> miette::Result<()> {
    let plan = Plan {
        seeds: (args.seed..args.seed.saturating_add(args.seeds)).collect(),
        minutes: args.minutes,
        scenario: Scenario::Mixed,
        answers: args.answers as usize,
    };
    let bar = progress_bar("simulating");
    let rounds = tidegate_lab::train::Plan { rounds: args.rounds, ..Default::default() };
    let corpus = collect(&rounds, |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    let simulated = corpus.set(Without::default());
    bar.finish_and_clear();
    let builtin = Engine::default_model().into_diagnostic()?;
    let bar = progress_bar("measuring");
    let report = measure(&plan, &simulated, &builtin, |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let report = report.into_diagnostic()?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).into_diagnostic()?);
    } else {
        print!("{}", measured(args, &report).into_diagnostic()?);
    }
    Ok(())
}

fn measured(args: &LabelArgs, report: &Report) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(
        out,
        "{} (seeds {} to {}), {} minutes each, scenario mixed, the first three fifths as log\n\
         {} clients, {} of them abusive\n",
        count(report.sites as u64, "unseen site"),
        args.seed,
        args.seed.saturating_add(args.seeds - 1),
        args.minutes,
        report.clients,
        report.abusive
    )?;
    let row = |out: &mut String, name: &str, quality: &Quality| {
        let (p, r, f) = (quality.precision(), quality.recall(), quality.f1());
        writeln!(out, "{name:<36} {p:>9.3} {r:>9.3} {f:>9.3}")
    };
    writeln!(out, "{:<36} {:>9} {:>9} {:>9}", "labels of clients", "precision", "recall", "F1")?;
    row(&mut out, "heuristics alone", &report.heuristics_alone)?;
    row(&mut out, "with look-alikes and learning", &report.all)?;
    for step in report.steps.iter().filter(|step| step.answers > 0) {
        row(&mut out, &format!("{} answers, most informative first", step.answers), &step.active)?;
        row(&mut out, &format!("{} answers, in any order", step.answers), &step.random)?;
    }
    if let Some(last) = report.steps.last()
        && let Some(enough) = report.as_good_as_random(last.answers)
    {
        let random = last.answers;
        writeln!(out, "{enough} answers do as well (by F1) as {random} in any order")?;
    }
    writeln!(out, "\n{:<20} {:<9} {:>8} {:>7}", "heuristic", "for", "clients", "right")?;
    for heuristic in report.by_heuristic.iter().filter(|heuristic| heuristic.spoke > 0) {
        let side = if heuristic.abusive { "abusive" } else { "harmless" };
        let (name, spoke, right) = (heuristic.name, heuristic.spoke, heuristic.right);
        writeln!(out, "{name:<20} {side:<9} {spoke:>8} {right:>7.3}")?;
    }
    writeln!(
        out,
        "\n{:<38} {:>8} {:>8} {:>10} {:>9} {:>8}",
        "trained on, tried on what follows",
        "ROC-AUC",
        "PR-AUC",
        "TPR at 1 %",
        "precision",
        "recall"
    )?;
    for model in &report.models {
        let figure = |value: Option<f64>| value.map_or_else(|| "–".into(), |v| format!("{v:.3}"));
        writeln!(
            out,
            "{:<38} {:>8} {:>8} {:>10} {:>9} {:>8}",
            model.trained_on,
            figure(model.roc_auc),
            figure(model.pr_auc),
            figure(model.recall_at_1_percent),
            figure(model.precision),
            figure(model.recall)
        )?;
    }
    Ok(out)
}
