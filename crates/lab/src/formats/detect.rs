//! `--format auto`: which known format fits a sample of lines.

use super::error::FormatError;
use super::{Format, NAMED, Parser};

/// How much of a line an error shows, in characters.
const SHOWN: usize = 200;

/// Finds the format that reads most lines of a sample; fifty lines are plenty. Blank lines do not
/// count, and of formats that all fit the richest is taken.
///
/// # Errors
/// An empty sample, or one of which no format reads more than half; the error then shows the first
/// line and where each format departs from it.
pub fn detect(sample: &[&[u8]]) -> Result<Format, FormatError> {
    let lines: Vec<&[u8]> =
        sample.iter().copied().filter(|line| !line.trim_ascii().is_empty()).collect();
    let Some(first) = lines.first() else { return Err(FormatError::EmptySample) };
    let mut tried = Vec::with_capacity(NAMED.len());
    for (name, format) in NAMED {
        let mut parser = Parser::new(&format, &[])?;
        let read = lines.iter().filter(|line| parser.parse_line(line).is_ok()).count();
        if read * 2 > lines.len() {
            return Ok(format);
        }
        tried.push(match parser.parse_line(first) {
            Err(error) => format!("  {name}: {error}"),
            Ok(_) => format!("  {name}: reads {read} of {} lines", lines.len()),
        });
    }
    let text = String::from_utf8_lossy(first);
    let line = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    Err(FormatError::Undetected { line, tried: tried.join("\n") })
}
