//! Log formats: bytes of a log line in, a borrowed record out.
//!
//! [`Format`] names a format, [`Parser`] is a format made ready for many lines, [`Record`] is what
//! a line says, [`Lines`] streams lines out of plain, gzip and zstd files.
//!
//! ```
//! use tidegate_lab::formats::{Format, Parser};
//!
//! let mut parser = Parser::new(&Format::Combined, &[])?;
//! let record = parser.parse_line(
//!     br#"192.0.2.7 - - [18/Jul/2023:13:44:16 +0000] "GET /cart?id=7 HTTP/2.0" 200 512 "-" "curl/8""#,
//! )?;
//! assert_eq!(record.path, "/cart?id=7");
//! assert_eq!(record.request().time.as_secs(), 1_689_687_856);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builder;
mod detect;
mod error;
mod field;
mod json;
mod plan;
mod reader;
mod record;
mod text;
mod time;

pub use detect::detect;
pub use error::{FormatError, LineError};
pub use field::Mapping;
pub use reader::{Line, Lines, MAX_LINE};
pub use record::Record;

use json::JsonPlan;
use plan::TextPlan;
use std::fmt;
use std::str::FromStr;
use time::DateCache;

/// How the lines of a log are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// The Common Log Format of Apache: client, identity, user, date, request, status, bytes.
    Common,
    /// Common with `Referer` and `User-Agent`; also nginx's default.
    Combined,
    /// One JSON object a line. Keys of Caddy, Traefik, Envoy and nginx-style logs are known.
    Json,
    /// Envoy's default text access log; the client is the last entry of `X-Forwarded-For`.
    Envoy,
    /// The access log of AWS Application Load Balancers.
    Alb,
    /// An nginx `log_format` string, such as `$remote_addr [$time_local] "$request" $status`.
    LogFormat(String),
}

/// The names that [`Format::parse`] accepts, in the order in which [`detect`] tries them.
pub(crate) const NAMED: [(&str, Format); 5] = [
    ("json", Format::Json),
    ("alb", Format::Alb),
    ("envoy", Format::Envoy),
    ("combined", Format::Combined),
    ("common", Format::Common),
];

impl Format {
    /// Reads `common`, `combined`, `json`, `envoy`, `alb` or an nginx `log_format` string.
    /// `auto` needs a sample: see [`Format::choose`].
    ///
    /// # Errors
    /// A name that is none of these, or a string that can't be compiled.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        if let Some((_, format)) = NAMED.iter().find(|(name, _)| *name == text) {
            return Ok(format.clone());
        }
        if !text.contains('$') {
            return Err(FormatError::UnknownFormat(text.to_owned()));
        }
        let format = Self::LogFormat(text.to_owned());
        // A mapping may yet name the client or the time, so only the syntax is checked here.
        TextPlan::syntax(text)?;
        Ok(format)
    }

    /// The names that [`Format::parse`] reads.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMED.iter().map(|(name, _)| *name)
    }

    /// Reads what a user may write after `--format`: `auto` looks at `sample`, anything else is
    /// left to [`Format::parse`].
    ///
    /// # Errors
    /// Those of [`detect`] and [`Format::parse`].
    pub fn choose(text: &str, sample: &[&[u8]]) -> Result<Self, FormatError> {
        if text == "auto" { detect(sample) } else { Self::parse(text) }
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        Self::parse(text)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LogFormat(text) => f.write_str(text),
            named => {
                let name = NAMED.iter().find(|(_, format)| format == named);
                f.write_str(name.map_or("", |(name, _)| name))
            }
        }
    }
}

/// A format made ready for many lines. Keep one for each thread: it remembers the last date.
#[derive(Clone, Debug)]
pub struct Parser {
    plan: Plan,
    dates: DateCache,
}

#[derive(Clone, Debug)]
enum Plan {
    Json(JsonPlan),
    Text(TextPlan),
}

impl Parser {
    /// Compiles `format`, with `mappings` in place of the usual field of each key they name.
    ///
    /// # Errors
    /// A `log_format` string with a fault, one without a time or a client, or a mapping to a
    /// variable that the format does not have.
    pub fn new(format: &Format, mappings: &[Mapping]) -> Result<Self, FormatError> {
        let plan = match format {
            Format::Json => Plan::Json(JsonPlan::new(mappings)),
            Format::Common => Plan::Text(TextPlan::common(mappings)?),
            Format::Combined => Plan::Text(TextPlan::combined(mappings)?),
            Format::Envoy => Plan::Text(TextPlan::envoy(mappings)?),
            Format::Alb => Plan::Text(TextPlan::alb(mappings)?),
            Format::LogFormat(text) => Plan::Text(TextPlan::compile(text, mappings)?),
        };
        Ok(Self { plan, dates: DateCache::default() })
    }

    /// Reads one line, without its line break. The record borrows from the line; only escaped or
    /// non-UTF-8 text is copied.
    ///
    /// # Errors
    /// Where the line departs from the format, and what was expected there. For a line that is
    /// not UTF-8 the offset counts three bytes for each replaced sequence.
    pub fn parse_line<'a>(&mut self, line: &'a [u8]) -> Result<Record<'a>, LineError> {
        // One check for the whole line is cheaper than one a field, and all that follows can cut
        // `&str`s out of it.
        match std::str::from_utf8(line) {
            Ok(line) => self.parse_str(line),
            Err(_) => self.parse_str(&String::from_utf8_lossy(line)).map(Record::into_owned),
        }
    }

    fn parse_str<'a>(&mut self, line: &'a str) -> Result<Record<'a>, LineError> {
        match &self.plan {
            Plan::Json(plan) => plan.parse(line, &mut self.dates),
            Plan::Text(plan) => plan.parse(line, &mut self.dates),
        }
    }
}

#[cfg(test)]
mod tests;
