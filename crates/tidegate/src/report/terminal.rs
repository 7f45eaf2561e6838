//! The report as it is printed on a terminal.

use crate::replay::{Log, count, limit, percent, shown, span};
use std::fmt::Write as _;
use tidegate_engine::Action;
use tidegate_lab::replay::{LabelReport, Report};
use tidegate_lab::static_limits::ratio;

/// How many clients are printed.
const PRINTED: usize = 20;

/// What was found, with the clients denied most.
pub(crate) fn text(log: &Log, seconds: f64, report: &Report) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let about = if report.clients_approximate { "about " } else { "" };
    write!(
        out,
        "{} of {about}{}",
        count(report.requests, "request"),
        count(report.clients, "client")
    )?;
    match (&report.from, &report.to) {
        (Some(from), Some(to)) => {
            writeln!(out, ", {from} to {to} ({})", span(report.span_seconds))?;
        }
        _ => writeln!(out)?,
    }
    writeln!(
        out,
        "format {}, {} unparsable, {seconds:.2} s, {} lines/s",
        log.format,
        count(log.bad, "line"),
        log.speed(seconds)
    )?;
    out.push_str(&log.complaints());
    if report.shadow {
        writeln!(out, "the policy is in shadow mode: what follows is what enforcement would say")?;
    }
    writeln!(
        out,
        "\nLearned limits deny {} ({}) of {}",
        count(report.denied, "request"),
        percent(ratio(report.denied, report.requests)),
        count(report.clients_denied, "client")
    )?;
    writeln!(out, "\n{:<10} {:>10} {:>9}", "action", "requests", "share")?;
    for action in Action::ALL {
        let requests = report.actions.get(action.name()).copied().unwrap_or(0);
        let share = percent(ratio(requests, report.requests));
        writeln!(out, "{:<10} {requests:>10} {share:>9}", action.name())?;
    }
    denied(&mut out, report)?;
    fixed(&mut out, report)?;
    if let Some(labels) = &report.labels {
        labelled(&mut out, labels)?;
    }
    Ok(out)
}

fn denied(out: &mut String, report: &Report) -> std::fmt::Result {
    let most = report.most_denied.get(..PRINTED).unwrap_or(&report.most_denied);
    if most.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = most.iter().map(|row| shown(&row.client)).collect();
    let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).clamp(6, 64);
    let late = most.iter().map(|row| row.first_denied.len()).max().unwrap_or(0).max(12);
    let rows = most.len();
    if rows as u64 == report.clients_denied {
        writeln!(out, "\nDenied clients")?;
    } else {
        writeln!(out, "\nThe {rows} most denied of {} clients", report.clients_denied)?;
    }
    writeln!(
        out,
        "{:<wide$} {:>9} {:>9}  {:<late$} {:>9} {:>9}  why",
        "client", "requests", "denied", "first denied", "peak risk", "limit/min"
    )?;
    for (row, name) in most.iter().zip(&names) {
        writeln!(
            out,
            "{name:<wide$} {:>9} {:>9}  {:<late$} {:>9.2} {:>9}  {}",
            row.requests,
            row.denied,
            row.first_denied,
            row.peak_risk,
            limit(row.limit_per_min),
            row.why.join("; ")
        )?;
    }
    Ok(())
}

fn fixed(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        out,
        "\nA fixed limit instead (a minute for each client, with a burst of as many)\n\
         {:>9} {:>10} {:>9} {:>9}   denied of clients the model takes for harmless",
        "limit/min", "denied", "share", "clients"
    )?;
    for row in &report.fixed {
        writeln!(
            out,
            "{:>9} {:>10} {:>9} {:>9}   {} ({})",
            row.limit_per_min,
            row.denied,
            percent(ratio(row.denied, report.requests)),
            row.clients,
            row.denied_harmless,
            percent(ratio(row.denied_harmless, row.denied))
        )?;
    }
    Ok(())
}

fn labelled(out: &mut String, labels: &LabelReport) -> std::fmt::Result {
    writeln!(out, "\nAgainst the labels of {}", count(labels.lines, "line"))?;
    writeln!(out, "precision {:.4}, recall {:.4}", labels.precision, labels.recall)?;
    writeln!(
        out,
        "false positives {} ({} of what is not abuse), false negatives {}",
        labels.false_positives,
        percent(labels.harm),
        labels.false_negatives
    )?;
    match labels.best_fixed {
        Some((limit, harm, caught)) => writeln!(
            out,
            "best fixed limit: {limit}/min stops {} of abuse and denies {} of the rest",
            percent(caught),
            percent(harm)
        )?,
        None => writeln!(out, "every fixed limit denies more than 0.2 % of what is not abuse")?,
    }
    let wide = labels.families.iter().map(|row| row.family.chars().count()).max().unwrap_or(0);
    let wide = wide.clamp(6, 40);
    writeln!(
        out,
        "\n{:<wide$} {:>7} {:>7} {:>10} {:>9} {:>7} {:>14}",
        "family", "abusive", "actors", "requests", "denied", "harmed", "first denial"
    )?;
    for row in &labels.families {
        writeln!(
            out,
            "{:<wide$} {:>7} {:>7} {:>10} {:>9} {:>7} {:>14}",
            shown(&row.family),
            if row.abusive { "yes" } else { "" },
            row.actors,
            row.requests,
            percent(ratio(row.denied, row.requests)),
            row.harmed,
            row.median_first_denial.map_or_else(|| "–".into(), |n| format!("request {n}"))
        )?;
    }
    Ok(())
}
