//! A configuration error that points at its line.

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode, SourceSpan};
use serde::de::DeserializeOwned;
use serde_saphyr::Location;
use std::fmt;
use std::path::{Path, PathBuf};

/// What is wrong in a configuration file, where, and what to write instead.
///
/// Printed by `miette` it shows the offending line; printed plainly it is one line with the file,
/// the line, the column and the remedy.
pub struct ConfigError(Box<Inner>);

struct Inner {
    path: PathBuf,
    place: Option<(u64, u64)>,
    message: String,
    help: String,
    source: NamedSource<String>,
    span: Option<SourceSpan>,
}

/// The text being resolved, for errors that point into it.
pub(super) struct Source<'a> {
    pub path: &'a Path,
    pub text: &'a str,
}

impl Source<'_> {
    /// Whether there is nothing but comments.
    pub(super) fn is_empty(&self) -> bool {
        self.text.lines().all(|line| {
            let line = line.trim_start();
            line.is_empty() || line.starts_with('#')
        })
    }

    /// Parses the text; nothing is checked but its form. `help` says where the keys are listed.
    pub(super) fn parse<T: DeserializeOwned>(&self, help: &str) -> Result<T, ConfigError> {
        serde_saphyr::from_str(self.text).map_err(|e| {
            let at = e.location().unwrap_or(Location::UNKNOWN);
            let message = e.without_snippet().to_string();
            // The place is printed in front, like that of every other error.
            let mut message = message.split(" at line ").next().unwrap_or(&message).to_owned();
            let span = if at.line() > 0 { self.span(at) } else { (0, 0).into() };
            let value =
                self.text.get(span.offset()..span.offset() + span.len()).unwrap_or("").trim();
            if !value.is_empty() && !message.contains(value) {
                message = format!("`{value}`: {message}");
            }
            self.error(at, message, help)
        })
    }

    /// An error at a place of the text.
    pub(super) fn error(
        &self,
        at: Location,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> ConfigError {
        let known = at.line() > 0;
        ConfigError(Box::new(Inner {
            path: self.path.to_owned(),
            place: known.then(|| (at.line(), at.column())),
            message: message.into(),
            help: help.into(),
            source: NamedSource::new(self.path.display().to_string(), self.text.to_owned()),
            span: known.then(|| self.span(at)),
        }))
    }

    /// The same without the line's text, where a secret stands.
    pub(super) fn error_about_secret(
        &self,
        at: Location,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> ConfigError {
        let ConfigError(mut error) = self.error(at, message, help);
        error.span = None;
        ConfigError(error)
    }

    fn span(&self, at: Location) -> SourceSpan {
        let start: usize = self
            .text
            .split_inclusive('\n')
            .take(usize::try_from(at.line() - 1).unwrap_or(usize::MAX))
            .map(str::len)
            .sum();
        let line = self.text.get(start..).unwrap_or("").lines().next().unwrap_or("");
        let column = usize::try_from(at.column().saturating_sub(1)).unwrap_or(0);
        let before: usize = line.chars().take(column).map(char::len_utf8).sum();
        let rest = line.get(before..).unwrap_or("");
        // To the end of the value: a comment behind it is not what is wrong.
        let value = rest.split(" #").next().unwrap_or(rest).trim_end();
        (start + before, value.len().max(1)).into()
    }
}

impl ConfigError {
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        Self(Box::new(Inner {
            path: path.to_owned(),
            place: None,
            message: format!("the configuration file can't be read: {error}"),
            help:
                "give the path of a readable YAML file; examples/tidegate.yaml is one to start from"
                    .into(),
            source: NamedSource::new(path.display().to_string(), String::new()),
            span: None,
        }))
    }

    /// The line, from 1, when the error stands in one.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        self.0.place.map(|(line, _)| line)
    }

    /// The column, from 1, when the error stands in a line.
    #[must_use]
    pub fn column(&self) -> Option<u64> {
        self.0.place.map(|(_, column)| column)
    }

    /// What is wrong, without its place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to write instead.
    #[must_use]
    pub fn remedy(&self) -> &str {
        &self.0.help
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.path.display())?;
        if let Some((line, column)) = self.0.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}; {}", self.0.message, self.0.help)
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {}

impl Diagnostic for ConfigError {
    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        Some(Box::new(&self.0.help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.span.map(|_| &self.0.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.0.span?;
        let label = LabeledSpan::new_with_span(Some(self.0.message.clone()), span);
        Some(Box::new(std::iter::once(label)))
    }
}
