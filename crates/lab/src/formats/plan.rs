//! Text formats compiled from nginx `log_format` strings; the named ones are strings as well.

use super::builder::Builder;
use super::error::{FormatError, LineError};
use super::field::{Field, Mapping, VARIABLES};
use super::record::Record;
use super::text::{is_port, unescape};
use super::time::DateCache;
use memchr::{memchr, memchr2};

const COMMON: &str =
    r#"$remote_addr $identity $remote_user [$time_local] "$request" $status $body_bytes_sent"#;
const COMBINED: &str = r#"$remote_addr $identity $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;
/// Envoy's default format string (Envoy documentation, "Access logging").
const ENVOY: &str = r#"[$time_iso8601] "$request" $status $response_flags $bytes_received $bytes_sent $duration_ms $upstream_service_time "$http_x_forwarded_for" "$http_user_agent" "$request_id" "$authority" "$upstream_host""#;
/// AWS documentation, "Access logs for your Application Load Balancer", up to the user agent;
/// the fields behind it differ in number from year to year.
const ALB: &str = r#"$type $time_iso8601 $elb $client $target $request_processing_time $target_processing_time $response_processing_time $status $target_status $bytes_received $bytes_sent "$absolute_request" "$http_user_agent""#;

/// A text format ready to read lines: variables and what ends each of them.
#[derive(Clone, Debug)]
pub(crate) struct TextPlan {
    /// What stands before the first variable.
    lead: String,
    steps: Vec<Step>,
    /// Whether a line may begin with `host:port ` (Apache's `vhost_combined`).
    vhost: bool,
}

#[derive(Clone, Debug)]
struct Step {
    name: String,
    field: Option<Field>,
    /// What stands between this variable and the next; empty behind the last.
    until: String,
    /// Whether `until` begins with the quote that closes this value, so that `\"` does not.
    quoted: bool,
}

impl TextPlan {
    pub(crate) fn common(mappings: &[Mapping]) -> Result<Self, FormatError> {
        Ok(Self { vhost: true, ..Self::compile(COMMON, mappings)? })
    }

    pub(crate) fn combined(mappings: &[Mapping]) -> Result<Self, FormatError> {
        Ok(Self { vhost: true, ..Self::compile(COMBINED, mappings)? })
    }

    pub(crate) fn envoy(mappings: &[Mapping]) -> Result<Self, FormatError> {
        Self::compile(ENVOY, mappings)
    }

    pub(crate) fn alb(mappings: &[Mapping]) -> Result<Self, FormatError> {
        Self::compile(ALB, mappings)
    }

    /// Compiles a `log_format` string.
    pub(crate) fn compile(format: &str, mappings: &[Mapping]) -> Result<Self, FormatError> {
        let mut plan = Self::syntax(format)?;
        plan.assign(mappings)?;
        Ok(plan)
    }

    /// Reads a `log_format` string into steps that stand for nothing yet.
    pub(crate) fn syntax(format: &str) -> Result<Self, FormatError> {
        let fault =
            |rest: &str, what: String| FormatError::Syntax { at: format.len() - rest.len(), what };
        let Some((lead, mut rest)) = split_literal(format) else {
            return Err(fault("", "there is no variable; write at least $remote_addr".into()));
        };
        let mut steps: Vec<Step> = Vec::new();
        let mut before = lead;
        loop {
            if let (Some(last), true) = (steps.last(), before.is_empty()) {
                let what = "no text between ${} and the next variable: their values can't be told apart; put a separator between them";
                return Err(fault(rest, what.replacen("{}", &last.name, 1)));
            }
            let (name, tail) = variable(rest)
                .ok_or_else(|| fault(rest, "expected a variable name after `$`".into()))?;
            // The one idiom with adjacent variables: a path, and a `?` and query if there are any.
            let tail = match name {
                "uri" | "document_uri" => tail.strip_prefix("$is_args$args").unwrap_or(tail),
                _ => tail,
            };
            let (until, next) = split_literal(tail).map_or((tail, None), |(l, r)| (l, Some(r)));
            steps.push(Step {
                name: name.to_owned(),
                field: None,
                until: until.to_owned(),
                quoted: before.ends_with('"') && until.starts_with('"'),
            });
            match next {
                Some(next) => (before, rest) = (until, next),
                None => return Ok(Self { lead: lead.to_owned(), steps, vhost: false }),
            }
        }
    }

    /// Gives each step its field: mappings first, then the best variable for each slot.
    fn assign(&mut self, mappings: &[Mapping]) -> Result<(), FormatError> {
        let mut mapped = [false; Field::SLOTS];
        for mapping in mappings {
            let step = self.steps.iter_mut().find(|step| step.name == mapping.source);
            let Some(step) = step else {
                return Err(FormatError::UnknownVariable {
                    key: mapping.key,
                    variable: mapping.source.clone(),
                    known: names(self.steps.iter().map(|step| step.name.as_str())),
                });
            };
            if !mapped[mapping.field.slot()] {
                step.field = Some(mapping.field);
                mapped[mapping.field.slot()] = true;
            }
        }
        let mut taken = mapped;
        for (name, field) in VARIABLES {
            let slot = field.slot();
            let idle = match field {
                // `$uri` is rewritten and `$request` is as sent; both are not needed.
                Field::Path if name != "request_uri" => {
                    !taken[Field::RequestLine.slot()] && !taken[slot]
                }
                Field::Query => {
                    self.steps
                        .iter()
                        .any(|step| step.field == Some(Field::Path) && step.name != "request_uri")
                        && !taken[slot]
                }
                Field::DurationShare => !mapped[slot],
                _ => !taken[slot],
            };
            let free = |step: &&mut Step| step.field.is_none() && step.name == name;
            if let (true, Some(step)) = (idle, self.steps.iter_mut().find(free)) {
                step.field = Some(field);
                taken[slot] = true;
            }
        }
        if !taken[Field::Time.slot()] {
            let variables = "$time_local, $time_iso8601, $msec";
            return Err(FormatError::Missing { what: "time", variables });
        }
        if ![Field::Client, Field::Credential, Field::ForwardedFor].iter().any(|f| taken[f.slot()])
        {
            let variables = "$remote_addr, $http_x_forwarded_for, $http_x_api_key";
            return Err(FormatError::Missing { what: "client", variables });
        }
        Ok(())
    }

    /// Reads one line. What follows the last text of the format is ignored.
    pub(crate) fn parse<'a>(
        &self,
        line: &'a str,
        dates: &mut DateCache,
    ) -> Result<Record<'a>, LineError> {
        let mut at = if self.vhost { vhost(line) } else { 0 };
        if !line.as_bytes().get(at..).is_some_and(|rest| rest.starts_with(self.lead.as_bytes())) {
            return Err(LineError::new(at, format!("`{}`", self.lead)));
        }
        at += self.lead.len();
        let mut record = Builder::default();
        for step in &self.steps {
            let end = step.end(line.as_bytes(), at).ok_or_else(|| {
                LineError::new(at, format!("${} and then `{}`", step.name, step.until))
            })?;
            if let Some(field) = step.field {
                let text = line.get(at..end).unwrap_or_default();
                record
                    .text(field, unescape(text), dates)
                    .map_err(|expected| LineError::new(at, expected))?;
            }
            at = end + step.until.len();
        }
        record.finish().ok_or_else(|| LineError::new(0, "a time"))
    }
}

impl Step {
    /// Where the value that begins at `start` ends.
    #[inline]
    fn end(&self, line: &[u8], start: usize) -> Option<usize> {
        let until = self.until.as_bytes();
        let Some(&first) = until.first() else { return Some(self.last_end(line, start)) };
        let mut at = start;
        loop {
            let rest = line.get(at..)?;
            let found = if self.quoted { memchr2(b'"', b'\\', rest) } else { memchr(first, rest) };
            at += found?;
            let rest = line.get(at..)?;
            if rest.starts_with(until) {
                return Some(at);
            }
            at += if self.quoted && rest.first() == Some(&b'\\') { 2 } else { 1 };
        }
    }

    /// The end of the last value: of the line for text that may have spaces, else of the word.
    fn last_end(&self, line: &[u8], start: usize) -> usize {
        let rest = line.get(start..).unwrap_or_default();
        match self.field {
            Some(
                Field::Time
                | Field::User
                | Field::Credential
                | Field::Path
                | Field::RequestLine
                | Field::AbsoluteRequestLine
                | Field::Referer
                | Field::UserAgent
                | Field::ForwardedFor,
            ) => start + rest.trim_ascii_end().len(),
            _ => start + memchr(b' ', rest).unwrap_or(rest.len()),
        }
    }
}

/// The length of a leading `host:port `; 0 if the line begins with a client.
#[inline]
fn vhost(line: &str) -> usize {
    let word = line.get(..memchr(b' ', line.as_bytes()).unwrap_or(0)).unwrap_or_default();
    match word.rsplit_once(':') {
        Some((_, port)) if is_port(port) && word.parse::<std::net::Ipv6Addr>().is_err() => {
            word.len() + 1
        }
        _ => 0,
    }
}

/// The text before the first `$`, and the rest from it on.
fn split_literal(format: &str) -> Option<(&str, &str)> {
    format.find('$').and_then(|at| format.split_at_checked(at))
}

/// The name of the variable that `text` begins with, `$name` or `${name}`, and what follows it.
fn variable(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('$')?;
    let braced = text.strip_prefix('{');
    let body = braced.unwrap_or(text);
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (name, rest) = body.split_at(body.find(|c| !word(c)).unwrap_or(body.len()));
    let rest = if braced.is_some() { rest.strip_prefix('}')? } else { rest };
    (!name.is_empty()).then_some((name, rest))
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("${name}")).collect::<Vec<_>>().join(", ")
}
