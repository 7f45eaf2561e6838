//! From the bytes of lines to records, in a format that may show only with the first lines.

use crate::cli::ReadArgs;
use miette::{IntoDiagnostic, WrapErr};
use std::path::Path;
use std::time::{Duration, Instant};
use tidegate_lab::formats::{Format, Lines, Mapping, Parser, Record};

/// How many lines tell a format.
const SAMPLE: usize = 50;
/// Lines that can't be read are told no more often than this.
const QUIET: Duration = Duration::from_secs(60);

pub(super) struct Reader {
    format: String,
    maps: Vec<Mapping>,
    parser: Option<Parser>,
    /// Lines that wait for the format to show.
    early: Vec<Vec<u8>>,
    read: u64,
    bad: u64,
    /// What was wrong with the latest of them, until it is told.
    wrong: Option<String>,
    told: Option<Instant>,
}

impl Reader {
    /// Takes the format from the lines that the log has already, if it is not named.
    pub(super) fn new(log: &Path, args: &ReadArgs) -> miette::Result<Self> {
        let maps = args.map.iter().map(|map| map.parse()).collect::<Result<_, _>>();
        let mut reader = Self {
            format: args.format.clone(),
            maps: maps.into_diagnostic()?,
            parser: None,
            early: Vec::new(),
            read: 0,
            bad: 0,
            wrong: None,
            told: None,
        };
        if args.format != "auto" {
            reader.choose(&[])?;
        } else if log.is_file() {
            // What was read of a pipe here would be lost.
            let cannot = "cannot read the log";
            let mut lines = Lines::open([log]).into_diagnostic().wrap_err(cannot)?;
            let sample = lines.sample(SAMPLE).into_diagnostic().wrap_err(cannot)?;
            if !sample.is_empty() {
                reader.choose(&sample)?;
            }
        }
        Ok(reader)
    }

    fn choose(&mut self, sample: &[&[u8]]) -> miette::Result<()> {
        let format = Format::choose(&self.format, sample).into_diagnostic()?;
        self.parser = Some(Parser::new(&format, &self.maps).into_diagnostic()?);
        tracing::info!(%format, "the log is read");
        Ok(())
    }

    /// Hands out the record of each line; one that can't be read is counted. Fails when the format of
    /// many lines can't be told.
    pub(super) fn each(
        &mut self,
        lines: &[Vec<u8>],
        mut take: impl FnMut(&Record<'_>),
    ) -> miette::Result<()> {
        if self.parser.is_none() {
            self.early.extend(lines.iter().filter(|line| !line.is_empty()).cloned());
            if self.early.is_empty() {
                return Ok(());
            }
            let early = std::mem::take(&mut self.early);
            let sample: Vec<&[u8]> = early.iter().take(SAMPLE).map(Vec::as_slice).collect();
            if let Err(error) = self.choose(&sample) {
                // The first of a log may be anything; with more of them it may yet show.
                if sample.len() >= SAMPLE {
                    return Err(error);
                }
                self.early = early;
                return Ok(());
            }
            return self.each(&early, take);
        }
        let Some(parser) = &mut self.parser else { return Ok(()) };
        for line in lines {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            match parser.parse_line(line) {
                Ok(record) => {
                    self.read += 1;
                    take(&record);
                }
                Err(error) => {
                    self.bad += 1;
                    self.wrong = Some(error.to_string());
                }
            }
        }
        Ok(())
    }

    /// Tells of lines that could not be read, if there are new ones and it was not just done.
    pub(super) fn complain(&mut self) {
        if self.told.is_none_or(|told| told.elapsed() >= QUIET)
            && let Some(latest) = self.wrong.take()
        {
            self.told = Some(Instant::now());
            tracing::warn!(lines = self.bad, latest, "lines of the log can't be read");
        }
    }

    /// Lines that were read, and those that could not be.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.read, self.bad)
    }
}
