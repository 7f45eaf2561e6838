//! `tidegate replay`: what the learned limits would have done to recorded traffic.

use crate::cli::{LogArgs, ReadArgs, ReplayArgs};
use crate::report::{Document, Target, terminal};
use indicatif::{ProgressBar, ProgressStyle};
use miette::{IntoDiagnostic, WrapErr, miette};
use serde::Serialize;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tidegate_engine::{Action, Decision, Engine, Policy};
use tidegate_lab::formats::{Format, Lines, Parser, Record};
use tidegate_lab::replay::{Labels, Replay, name, rfc3339};

/// What stands before what is wrong with reading.
const CANNOT: &str = "cannot read the log";
/// How many lines tell a format.
const SAMPLE: usize = 50;
/// How many unparsable lines are shown.
const SHOWN: usize = 10;
/// How many clients a report has of the most denied.
pub(crate) const ROWS: usize = 50;
/// After how many lines the progress bar moves.
const STRIDE: u64 = 8192;

pub(crate) fn run(args: &ReplayArgs) -> miette::Result<()> {
    let targets: Vec<Target> =
        args.report.iter().map(|path| Target::new(path)).collect::<miette::Result<_>>()?;
    let (mut replay, model) = started(&args.log)?;
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
    let policy = replay.engine().policy();
    let document = Document::new(&args.log, &policy, model, log.reading(), &report);
    for target in &targets {
        target.write(&document)?;
    }
    let text = if args.json {
        let timed = Timed { document, seconds, lines_per_second: log.speed(seconds) };
        serde_json::to_string_pretty(&timed).into_diagnostic()? + "\n"
    } else {
        let mut text = terminal::text(&log, seconds, &report).into_diagnostic()?;
        for target in &targets {
            let _ = writeln!(text, "\nThe report is in {}", target.path().display());
        }
        text
    };
    print!("{text}");
    Ok(())
}

/// A report with how long it took, which differs from run to run.
#[derive(Serialize)]
struct Timed<'a> {
    #[serde(flatten)]
    document: Document<'a>,
    seconds: f64,
    lines_per_second: f64,
}

/// An engine as the options want it: the built-in model and the default policy unless a
/// configuration says otherwise. Nothing else of a configuration matters to a replay.
pub(crate) fn start(args: &LogArgs) -> miette::Result<Replay> {
    started(args).map(|(replay, _)| replay)
}

/// The same, with where the model is from.
fn started(args: &LogArgs) -> miette::Result<(Replay, String)> {
    let (policy, configured) = match &args.read.config {
        Some(path) => {
            let resolved = tidegate_server::config::load(path)?;
            (resolved.policy, resolved.model)
        }
        None => (Policy::default(), None),
    };
    let (model, from) = match (configured, &args.model) {
        (Some(model), None) => (model, "of the configuration".to_owned()),
        (_, path) => {
            let from = path.as_ref().map_or("built in".into(), |path| path.display().to_string());
            (crate::evaluate::model(path.as_deref())?, from)
        }
    };
    Ok((Replay::new(policy, Some(model)), from))
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
    pub format: Format,
    parser: Parser,
    parsed: u64,
    pub bad: u64,
    first_bad: Vec<Bad>,
}

/// A line that could not be read.
struct Bad {
    file: usize,
    line: u64,
    reason: String,
}

/// How a log was read.
#[derive(Debug, Serialize)]
pub(crate) struct Reading {
    /// The files, in the order in which they were read.
    pub files: Vec<String>,
    /// How its lines are written.
    pub format: String,
    /// Lines that are not blank.
    pub lines: u64,
    /// Of those, lines that could not be read.
    pub unparsable: u64,
    /// The first of them.
    pub first_unparsable: Vec<Unparsable>,
}

/// A line that could not be read, for a report.
#[derive(Debug, Serialize)]
pub(crate) struct Unparsable {
    /// Its file.
    pub file: String,
    /// Its number there, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl Log {
    pub(crate) fn open(files: &[PathBuf], args: &ReadArgs) -> miette::Result<Self> {
        Self::of(Lines::open(files).into_diagnostic().wrap_err(CANNOT)?, args)
    }

    /// The same of a log that is open already.
    pub(crate) fn of(mut lines: Lines, args: &ReadArgs) -> miette::Result<Self> {
        let maps: Vec<_> =
            args.map.iter().map(|map| map.parse()).collect::<Result<_, _>>().into_diagnostic()?;
        let sample = lines.sample(SAMPLE).into_diagnostic().wrap_err(CANNOT)?;
        let format = Format::choose(&args.format, &sample).into_diagnostic()?;
        let parser = Parser::new(&format, &maps).into_diagnostic()?;
        let paths = lines.paths().to_vec();
        Ok(Self { lines, paths, format, parser, parsed: 0, bad: 0, first_bad: Vec::new() })
    }

    /// Hands out each record with the number of its line, which counts from 1 over all files;
    /// blank lines at the end of a file do not count. A line that can't be read is counted.
    pub(crate) fn each(
        &mut self,
        take: impl FnMut(u64, &Record<'_>) -> miette::Result<()>,
    ) -> miette::Result<()> {
        let bar = self.bar();
        let look = |read, _| {
            bar.set_position(read);
            ControlFlow::Continue(())
        };
        let done = self.each_watched(STRIDE, look, take);
        bar.finish_and_clear();
        done
    }

    /// The same; after every `stride` lines `look` is told how many bytes were read and of how many,
    /// and may end it.
    pub(crate) fn each_watched(
        &mut self,
        stride: u64,
        mut look: impl FnMut(u64, Option<u64>) -> ControlFlow<()>,
        mut take: impl FnMut(u64, &Record<'_>) -> miette::Result<()>,
    ) -> miette::Result<()> {
        let (mut file, mut before, mut last) = (0, 0, 0);
        loop {
            if (self.parsed + self.bad).is_multiple_of(stride) {
                let (read, of) = self.lines.progress();
                if look(read, of).is_break() {
                    return Err(miette!("stopped before the end of the log"));
                }
            }
            let next = self.lines.next_line().into_diagnostic().wrap_err(CANNOT)?;
            let Some(line) = next else { return Ok(()) };
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

    pub(crate) fn reading(&self) -> Reading {
        let first = self.first_bad.iter().map(|bad| Unparsable {
            file: self.path(bad.file),
            line: bad.line,
            reason: bad.reason.clone(),
        });
        Reading {
            files: (0..self.paths.len()).map(|file| self.path(file)).collect(),
            format: self.format.to_string(),
            lines: self.parsed + self.bad,
            unparsable: self.bad,
            first_unparsable: first.collect(),
        }
    }

    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn speed(&self, seconds: f64) -> f64 {
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
            out.extend(self.advice().map(|advice| advice + "\n"));
        }
        out
    }

    /// What to do when no line at all could be read.
    pub(crate) fn advice(&self) -> Option<String> {
        let none = self.parsed == 0 && self.bad > 0;
        none.then(|| {
            let format = &self.format;
            format!("No line was read as {format}: name the log's own format with --format.")
        })
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
pub(crate) fn span(seconds: u64) -> String {
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
