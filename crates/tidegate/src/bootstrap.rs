//! What `train --from-logs` and `label` share: clients out of a log, and what is thought of them.

use crate::cli::ReadArgs;
use crate::replay::{Log, count, nothing, percent, shown};
use miette::miette;
use std::fmt::Write as _;
use std::path::PathBuf;
use tidegate_engine::Policy;
use tidegate_lab::bootstrap::gather::{Gathered, Gatherer};
use tidegate_lab::bootstrap::votes::HEURISTICS;
use tidegate_lab::bootstrap::{Assessment, BootstrapError, Source};
use tidegate_lab::replay::{name, request};

/// How many clients and clusters a report shows.
const ROWS: usize = 15;
const CLUSTERS: usize = 5;

/// Reads every client out of these logs.
pub(crate) fn gather(
    files: &[PathBuf],
    read: &ReadArgs,
    honeypots: &[String],
) -> miette::Result<(Gathered, Log)> {
    let policy = match &read.config {
        Some(path) => tidegate_server::config::load(path)?.policy,
        None => Policy::default(),
    };
    let mut gatherer = Gatherer::new(&policy, honeypots);
    let mut log = Log::open(files, read)?;
    log.each(|_, record| {
        let named = |decision: &_| name(record, decision);
        gatherer.feed(&request(record), record.outcome.as_ref(), named);
        Ok(())
    })?;
    let gathered = gatherer.finish();
    if gathered.clients.is_empty() {
        return Err(nothing(&log, "the log has no requests"));
    }
    Ok((gathered, log))
}

/// The words of the heuristics that spoke of a client, for one side.
pub(crate) fn words(assessment: &Assessment, at: usize, abusive: bool) -> Vec<&'static str> {
    let votes = assessment.votes.get(at).map_or(&[][..], Vec::as_slice);
    let heard = votes.iter().filter_map(|vote| HEURISTICS.get(*vote));
    heard.filter(|heuristic| heuristic.abusive == abusive).map(|h| h.words).collect()
}

/// What was found in a log, for people.
pub(crate) fn written(log: &Gathered, assessment: &Assessment) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    write!(out, "{} of ", count(log.requests, "request"))?;
    writeln!(out, "{}", count(log.clients.len() as u64, "client"))?;
    if log.left_out > 0 {
        writeln!(out, "{} of later clients were left out", count(log.left_out, "request"))?;
    }
    sources(&mut out, assessment)?;
    heuristics(&mut out, assessment)?;
    clusters(&mut out, log, assessment)?;
    suspicious(&mut out, log, assessment)?;
    Ok(out)
}

fn sources(out: &mut String, assessment: &Assessment) -> std::fmt::Result {
    writeln!(out, "\n{:<24} {:>9} {:>9} {:>9}", "labelled by", "abusive", "harmless", "doubtful")?;
    for (source, words) in [
        (Source::Answer, "a person"),
        (Source::Heuristics, "heuristics"),
        (Source::LookAlikes, "look-alikes"),
        (Source::Learned, "trees alone"),
    ] {
        let of = assessment.abuse.iter().zip(&assessment.source).filter(|(_, s)| **s == source);
        let mut sides = [0u64; 3];
        of.for_each(|(abuse, _)| {
            sides[match *abuse {
                x if x >= 0.8 => 0,
                x if x <= 0.2 => 1,
                _ => 2,
            }] += 1;
        });
        let [abusive, harmless, doubtful] = sides;
        writeln!(out, "{words:<24} {abusive:>9} {harmless:>9} {doubtful:>9}")?;
    }
    match &assessment.learned {
        Some(learned) => writeln!(
            out,
            "of those who look like the abusive ones {} had been labelled so",
            percent(learned.labelled)
        ),
        None => writeln!(out, "too few clients are labelled abusive to learn from them"),
    }
}

fn heuristics(out: &mut String, assessment: &Assessment) -> std::fmt::Result {
    writeln!(
        out,
        "\n{:<20} {:<9} {:>8} {:>7} {:>7}  says of a client that it",
        "heuristic", "for", "clients", "odds", "agrees"
    )?;
    for (at, heuristic) in HEURISTICS.iter().enumerate() {
        let heard =
            || assessment.votes.iter().zip(&assessment.abuse).filter(|(v, _)| v.contains(&at));
        let clients = heard().count();
        if clients == 0 {
            continue;
        }
        let agreed = heard().filter(|(_, abuse)| (**abuse >= 0.5) == heuristic.abusive).count();
        #[allow(clippy::cast_precision_loss)]
        let agreed = percent(agreed as f64 / clients as f64);
        writeln!(
            out,
            "{:<20} {:<9} {clients:>8} {:>7.1} {:>7}  {}",
            heuristic.name,
            if heuristic.abusive { "abusive" } else { "harmless" },
            assessment.consensus.odds.get(at).copied().unwrap_or(1.0),
            agreed.trim_end_matches(" %").split('.').next().unwrap_or("").to_owned() + " %",
            heuristic.words
        )?;
    }
    Ok(())
}

fn clusters(out: &mut String, log: &Gathered, assessment: &Assessment) -> std::fmt::Result {
    let clusters = &assessment.clusters;
    let mut odd: Vec<usize> = (0..clusters.sizes.len()).collect();
    // Small and far from everybody else.
    odd.retain(|cluster| {
        clusters.sizes[*cluster] * 20 <= log.clients.len() && clusters.sizes[*cluster] > 0
    });
    odd.sort_by(|a, b| clusters.oddity[*b].total_cmp(&clusters.oddity[*a]));
    odd.truncate(CLUSTERS);
    if odd.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n{:>8} {:>9}  clusters least like the rest, and what sets them apart",
        "clients", "abusive"
    )?;
    for cluster in odd {
        let members = || (0..log.clients.len()).filter(|at| clusters.of[*at] == cluster);
        let abusive = members().filter(|at| assessment.abuse[*at] >= 0.5).count();
        let apart: Vec<String> = clusters
            .apart(cluster, 3)
            .map(|(feature, high)| format!("{} {feature}", if high { "much" } else { "little" }))
            .collect();
        writeln!(out, "{:>8} {abusive:>9}  {}", clusters.sizes[cluster], apart.join(", "))?;
    }
    Ok(())
}

fn suspicious(out: &mut String, log: &Gathered, assessment: &Assessment) -> std::fmt::Result {
    let mut most: Vec<usize> =
        (0..log.clients.len()).filter(|at| assessment.abuse[*at] >= 0.5).collect();
    let found = most.len();
    most.sort_by(|a, b| {
        let worth =
            |at: &usize| assessment.abuse[*at] * f64::from(log.clients[*at].requests).ln_1p();
        worth(b).total_cmp(&worth(a)).then(a.cmp(b))
    });
    most.truncate(ROWS);
    if most.is_empty() {
        return writeln!(out, "\nNo client is taken for abusive");
    }
    writeln!(
        out,
        "\nThe {} most suspicious of {}",
        most.len(),
        count(found as u64, "abusive client")
    )?;
    let names: Vec<String> = most.iter().map(|at| shown(&log.clients[*at].name)).collect();
    let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).clamp(6, 64);
    writeln!(out, "{:<wide$} {:>9} {:>6}  why", "client", "requests", "abuse")?;
    for (at, name) in most.into_iter().zip(names) {
        let why = words(assessment, at, true);
        let why =
            if why.is_empty() { "looks like those who are".to_owned() } else { why.join("; ") };
        writeln!(
            out,
            "{name:<wide$} {:>9} {:>6.2}  {why}",
            log.clients[at].requests, assessment.abuse[at]
        )?;
    }
    Ok(())
}

/// An error of the lab, with what could not be read of the log.
pub(crate) fn failed(log: &Log, error: &BootstrapError) -> miette::Report {
    let complaints = log.complaints();
    if complaints.is_empty() { miette!("{error}") } else { miette!("{error}\n{complaints}") }
}
