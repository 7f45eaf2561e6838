//! `tidegate replay`: what the learned limits would have done to recorded traffic.

use crate::cli::{LogArgs, ReadArgs, ReplayArgs};
use indicatif::{ProgressBar, ProgressStyle};
use miette::{IntoDiagnostic, WrapErr, miette};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tidegate_engine::{Action, Decision, Engine, Policy};
use tidegate_lab::formats::{Format, Lines, Parser, Record};
use tidegate_lab::replay::{LabelReport, Labels, Replay, Report, name, rfc3339};
use tidegate_lab::static_limits::ratio;

/// How many lines tell a format.
const SAMPLE: usize = 50;
/// How many unparsable lines are shown.
const SHOWN: usize = 10;
/// How many clients the table of the most denied has.
const ROWS: usize = 20;
/// After how many lines the progress bar moves.
const STRIDE: u64 = 8192;

pub(crate) fn run(args: &ReplayArgs) -> miette::Result<()> {
    let mut replay = start(&args.log)?;
    if let Some(path) = &args.labels {
        replay = replay.with_labels(labels(path)?);
    }
    let mut log = Log::open(&args.log.files, &args.log.read)?;
    let mut decisions = args.decisions.as_deref().map(Decisions::create).transpose()?;
    let begun = Instant::now();
    log.each(|line, record| {
        let decision = replay.feed(line, record);
        match &mut decisions {
            Some(out) => out.write(line, record, &decision, replay.engine()),
            None => Ok(()),
        }
    })?;
    if let Some(out) = decisions {
        out.finish()?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let report = replay.report(ROWS);
    let text = if args.json {
        let mut whole = serde_json::to_value(&report).into_diagnostic()?;
        if let Value::Object(fields) = &mut whole {
            fields.extend(log.facts(seconds));
        }
        serde_json::to_string_pretty(&whole).into_diagnostic()? + "\n"
    } else {
        written(&log, seconds, &report).into_diagnostic()?
    };
    print!("{text}");
    Ok(())
}

/// An engine as the options want it: the built-in model and the default policy unless a
/// configuration says otherwise. Nothing else of a configuration matters to a replay.
pub(crate) fn start(args: &LogArgs) -> miette::Result<Replay> {
    let (policy, configured) = match &args.read.config {
        Some(path) => {
            let resolved = tidegate_server::config::load(path)?;
            (resolved.policy, resolved.model)
        }
        None => (Policy::default(), None),
    };
    let model = match configured {
        Some(model) if args.model.is_none() => model,
        _ => crate::evaluate::model(args.model.as_deref())?,
    };
    Ok(Replay::new(policy, Some(model)))
}

pub(crate) fn labels(path: &Path) -> miette::Result<Labels> {
    let cannot = || format!("cannot read the labels {}", path.display());
    let file = File::open(path).into_diagnostic().wrap_err_with(cannot)?;
    Labels::read(BufReader::new(file)).into_diagnostic().wrap_err_with(cannot)
}

/// Text out of a log, made safe to show on a terminal.
pub(crate) fn shown(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = escaped.is_none().then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// Recorded requests, out of one file after the other.
pub(crate) struct Log {
    lines: Lines,
    paths: Vec<PathBuf>,
    format: Format,
    parser: Parser,
    parsed: u64,
    bad: u64,
    first_bad: Vec<Bad>,
}

/// A line that could not be read.
struct Bad {
    file: usize,
    line: u64,
    reason: String,
}

impl Log {
    pub(crate) fn open(files: &[PathBuf], args: &ReadArgs) -> miette::Result<Self> {
        let cannot = "cannot read the log";
        let mut lines = Lines::open(files).into_diagnostic().wrap_err(cannot)?;
        let maps: Vec<_> =
            args.map.iter().map(|map| map.parse()).collect::<Result<_, _>>().into_diagnostic()?;
        let sample = lines.sample(SAMPLE).into_diagnostic().wrap_err(cannot)?;
        let format = Format::choose(&args.format, &sample).into_diagnostic()?;
        let parser = Parser::new(&format, &maps).into_diagnostic()?;
        let paths = lines.paths().to_vec();
        Ok(Self { lines, paths, format, parser, parsed: 0, bad: 0, first_bad: Vec::new() })
    }

    /// Hands out each record with the number of its line, which counts from 1 over all files;
    /// blank lines at the end of a file do not count. A line that can't be read is counted.
    pub(crate) fn each(
        &mut self,
        mut take: impl FnMut(u64, &Record<'_>) -> miette::Result<()>,
    ) -> miette::Result<()> {
        let bar = self.bar();
        let (mut file, mut before, mut last) = (0, 0, 0);
        loop {
            if (self.parsed + self.bad).is_multiple_of(STRIDE) {
                bar.set_position(self.lines.progress().0);
            }
            let line = match self.lines.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => {
                    bar.finish_and_clear();
                    return Err(error).into_diagnostic().wrap_err("cannot read the log");
                }
            };
            if line.file != file {
                (file, before, last) = (line.file, before + last, 0);
            }
            last = last.max(line.number);
            let reason = if line.cut {
                "the line is longer than a mebibyte".to_owned()
            } else {
                match self.parser.parse_line(line.bytes) {
                    Ok(record) => {
                        self.parsed += 1;
                        take(before + line.number, &record)?;
                        continue;
                    }
                    Err(error) => error.to_string(),
                }
            };
            self.bad += 1;
            if self.first_bad.len() < SHOWN {
                self.first_bad.push(Bad { file, line: line.number, reason });
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// A progress bar on standard error, hidden when that is no terminal.
    fn bar(&self) -> ProgressBar {
        let total = self.lines.progress().1;
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let template = match total {
            Some(_) => "{wide_bar} {bytes}/{total_bytes} {eta}",
            None => "{spinner} {bytes} {bytes_per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar
    }

    fn path(&self, file: usize) -> String {
        match self.paths.get(file) {
            Some(path) if path.as_os_str() != "-" => path.display().to_string(),
            _ => "standard input".to_owned(),
        }
    }

    fn facts(&self, seconds: f64) -> [(String, Value); 5] {
        let bad: Vec<_> = self
            .first_bad
            .iter()
            .map(|b| json!({"file": self.path(b.file), "line": b.line, "reason": b.reason}))
            .collect();
        [
            ("format".into(), self.format.to_string().into()),
            ("unparsable".into(), self.bad.into()),
            ("first_unparsable".into(), bad.into()),
            ("seconds".into(), seconds.into()),
            ("lines_per_second".into(), self.speed(seconds).into()),
        ]
    }

    #[allow(clippy::cast_precision_loss)]
    fn speed(&self, seconds: f64) -> f64 {
        ((self.parsed + self.bad) as f64 / seconds.max(1e-9)).round()
    }

    /// The lines that could not be read, for people.
    pub(crate) fn complaints(&self) -> String {
        let mut out = String::new();
        if self.bad > 0 {
            let more = if self.bad > SHOWN as u64 { ", the first of them" } else { "" };
            let _ = writeln!(out, "{} could not be read{more}:", count(self.bad, "line"));
            for Bad { file, line, reason } in &self.first_bad {
                let _ = writeln!(out, "  {}:{line}: {}", self.path(*file), shown(reason));
            }
            if self.parsed == 0 {
                let _ = writeln!(
                    out,
                    "No line was read as {}: name the log's own format with --format.",
                    self.format
                );
            }
        }
        out
    }
}

/// One JSON object for each request, in the order of the log.
struct Decisions {
    path: PathBuf,
    out: BufWriter<File>,
}

impl Decisions {
    fn create(path: &Path) -> miette::Result<Self> {
        let file = File::create(path)
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot write the decisions {}", path.display()))?;
        Ok(Self { path: path.to_owned(), out: BufWriter::with_capacity(1 << 18, file) })
    }

    fn write(
        &mut self,
        line: u64,
        record: &Record<'_>,
        decision: &Decision,
        engine: &Engine,
    ) -> miette::Result<()> {
        let mild = matches!(decision.action, Action::Allow | Action::Raise);
        // An explanation costs more than a decision, so harmless requests have none.
        let reasons = if decision.allowed && mild { Vec::new() } else { engine.reasons(decision) };
        let client =
            if record.client.is_empty() { name(record, decision) } else { (*record.client).into() };
        let row = Row {
            line,
            time: rfc3339(decision.time),
            client,
            allowed: decision.allowed,
            action: decision.action.name(),
            risk: decision.risk,
            anomaly: decision.anomaly,
            limit_per_min: decision.limit_per_min,
            rule: engine.rule_name(decision.rule),
            reasons,
        };
        let written = serde_json::to_writer(&mut self.out, &row)
            .map_err(std::io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"));
        self.check(written)
    }

    fn finish(mut self) -> miette::Result<()> {
        let flushed = self.out.flush();
        self.check(flushed)
    }

    fn check(&self, result: std::io::Result<()>) -> miette::Result<()> {
        result
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot write the decisions {}", self.path.display()))
    }
}

/// One decision as it is written. An infinite limit becomes `null`.
#[derive(serde::Serialize)]
struct Row {
    line: u64,
    time: String,
    client: String,
    allowed: bool,
    action: &'static str,
    risk: f32,
    anomaly: Option<f32>,
    limit_per_min: f32,
    rule: String,
    reasons: Vec<String>,
}

fn written(log: &Log, seconds: f64, report: &Report) -> Result<String, std::fmt::Error> {
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
    if report.most_denied.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = report.most_denied.iter().map(|row| shown(&row.client)).collect();
    let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).clamp(6, 64);
    let times = report.most_denied.iter().filter_map(|row| row.first_denied.as_ref());
    let late = times.map(String::len).max().unwrap_or(0).max(12);
    let rows = report.most_denied.len();
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
    for (row, name) in report.most_denied.iter().zip(&names) {
        writeln!(
            out,
            "{name:<wide$} {:>9} {:>9}  {:<late$} {:>9.2} {:>9}  {}",
            row.requests,
            row.denied,
            row.first_denied.as_deref().unwrap_or(""),
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

/// A limit a minute, for people.
pub(crate) fn limit(per_minute: Option<f32>) -> String {
    per_minute.map_or_else(|| "none".into(), |limit| format!("{limit:.0}"))
}

/// A number of things.
pub(crate) fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A share, for people.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// Seconds in the two largest units.
fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// That a log has nothing of what was asked for.
pub(crate) fn nothing(log: &Log, what: &str) -> miette::Report {
    let complaints = log.complaints();
    if complaints.is_empty() { miette!("{what}") } else { miette!("{what}\n{complaints}") }
}
