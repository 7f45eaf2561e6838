//! Simulated traffic as files: a JSON log and the labels of its lines.

use super::{Event, Traffic};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tidegate_limiter::Timestamp;

/// A file of the simulation could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}; check that the folder exists, is writable and has room")]
pub struct WriteError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Writes `traffic.jsonl`, one request a line, and `labels.csv` (`line,actor,family,abusive`, one
/// row for every line of the log, counted from 1) into `dir`, which is made if need be.
///
/// # Errors
/// [`WriteError`] names the file that could not be written.
pub fn write(traffic: &Traffic, dir: &Path) -> Result<(), WriteError> {
    let failed = |path: PathBuf| move |source| WriteError { path, source };
    std::fs::create_dir_all(dir).map_err(failed(dir.to_owned()))?;
    let log = dir.join("traffic.jsonl");
    file(&log, |out| write_log(traffic, out)).map_err(failed(log))?;
    let labels = dir.join("labels.csv");
    file(&labels, |out| write_labels(traffic, out)).map_err(failed(labels))
}

fn file(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 18, File::create(path)?);
    fill(&mut out)?;
    out.flush()
}

pub(super) fn write_log(traffic: &Traffic, out: &mut impl Write) -> io::Result<()> {
    let mut line = Vec::with_capacity(1024);
    let mut clock = Clock::default();
    for event in &traffic.events {
        line.clear();
        write_event(event, &mut clock, &mut line)?;
        out.write_all(&line)?;
    }
    Ok(())
}

pub(super) fn write_labels(traffic: &Traffic, out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"line,actor,family,abusive\n")?;
    for (line, event) in (1u64..).zip(&traffic.events) {
        let actor = traffic.actor(event);
        writeln!(out, "{line},{},{},{}", actor.id, actor.family, actor.abusive)?;
    }
    Ok(())
}

fn write_event(event: &Event, clock: &mut Clock, line: &mut Vec<u8>) -> io::Result<()> {
    let (second, millis) = clock.read(event.time);
    write!(line, "{{\"time\":\"{second}.{millis:03}Z\",\"client_ip\":\"{}\"", event.addr)?;
    for (key, value) in [("user", &event.user), ("credential", &event.credential)] {
        if let Some(value) = value {
            write!(line, ",\"{key}\":")?;
            write_string(value, line);
        }
    }
    write!(line, ",\"method\":\"{}\",\"path\":", event.method.name())?;
    write_string(&event.path, line);
    write!(line, ",\"status\":{},\"bytes\":{}", event.outcome.status, event.outcome.bytes)?;
    for (key, value) in [("referer", &event.referer), ("user_agent", &event.user_agent)] {
        if !value.is_empty() {
            write!(line, ",\"{key}\":")?;
            write_string(value, line);
        }
    }
    if event.payload > 0 {
        write!(line, ",\"payload\":{}", event.payload)?;
    }
    if let Some(duration) = event.outcome.duration {
        write!(line, ",\"duration_ms\":{}", duration.as_millis())?;
    }
    line.extend_from_slice(b"}\n");
    Ok(())
}

/// A JSON string (RFC 8259 §7).
fn write_string(text: &str, line: &mut Vec<u8>) {
    line.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => line.extend_from_slice(&[b'\\', byte]),
            0..0x20 => line.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => line.push(byte),
        }
    }
    line.push(b'"');
}

/// RFC 3339 without the fraction, remembered for the events of one second.
#[derive(Default)]
struct Clock {
    at: Option<u64>,
    text: String,
}

impl Clock {
    fn read(&mut self, time: Timestamp) -> (&str, u64) {
        let secs = time.as_secs();
        if self.at != Some(secs) {
            self.at = Some(secs);
            let (year, month, day) = civil(secs / 86_400);
            let (hour, minute, second) = (secs / 3600 % 24, secs / 60 % 60, secs % 60);
            self.text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        }
        (&self.text, time.as_nanos() / 1_000_000 % 1000)
    }
}

/// Year, month and day of a day since 1970-01-01 (Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", 2013; years begin in March there).
fn civil(day: u64) -> (u64, u64, u64) {
    let shifted = day + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_civil() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(19_782), (2024, 2, 29));
        assert_eq!(civil(19_783), (2024, 3, 1));
        assert_eq!(civil(20_454), (2026, 1, 1));
    }

    #[test]
    fn strings_survive_a_json_parser() {
        for text in ["plain", "a\"b\\c", "line\nfeed\ttab\u{1}", "größe ✓", ""] {
            let mut line = Vec::new();
            write_string(text, &mut line);
            let read: String = serde_json::from_slice(&line).expect("a JSON string");
            assert_eq!(read, text);
        }
    }
}
