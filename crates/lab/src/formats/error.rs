//! What can be wrong with a format, and what can be wrong with a line.

use super::field::KEYS;
use std::borrow::Cow;
use thiserror::Error;

/// A format, a mapping or a sample that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FormatError {
    /// A word that names no format.
    #[error(
        "unknown log format `{0}`: write auto, common, combined, json, envoy, alb, or an nginx \
         log_format string such as '$remote_addr [$time_local] \"$request\" $status'"
    )]
    UnknownFormat(String),
    /// A `log_format` string whose variables can't be told apart, or that names none.
    #[error("log_format, byte {at}: {what}")]
    Syntax {
        /// Byte offset into the string.
        at: usize,
        /// What is wrong there, and what to do about it.
        what: String,
    },
    /// A `log_format` string without something that every record needs.
    #[error("the log format has no {what}: add one of {variables}, or name it with --map")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// The variables that would give it.
        variables: &'static str,
    },
    /// A mapping that is not `key=field`.
    #[error("`{0}` is not a mapping: write key=field, such as client_ip=http.remote.addr")]
    Mapping(String),
    /// A mapping of a key that does not exist.
    #[error("unknown key `{0}` in a mapping: the keys are {keys}", keys = KEYS.map(|key| key.0).join(", "))]
    UnknownKey(String),
    /// A mapping to a variable that the format does not have.
    #[error("cannot map {key}: the format has no variable ${variable}; it has {known}")]
    UnknownVariable {
        /// The key of the mapping.
        key: &'static str,
        /// The variable that was asked for.
        variable: String,
        /// The variables of the format.
        known: String,
    },
    /// Nothing to detect a format from.
    #[error("cannot detect the log format of an empty input: name it with --format")]
    EmptySample,
    /// No known format fits the sample.
    #[error(
        "no known log format fits; name it with --format, an nginx log_format string will do\n  \
         line: {line}\n{tried}"
    )]
    Undetected {
        /// The first line of the sample, shortened.
        line: String,
        /// Each format that was tried and where the line departs from it, one a line.
        tried: String,
    },
}

/// Where a line departs from its format.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("byte {offset}: expected {expected}")]
pub struct LineError {
    /// Byte offset into the line.
    pub offset: usize,
    /// What was expected there.
    pub expected: Cow<'static, str>,
}

impl LineError {
    pub(crate) fn new(offset: usize, expected: impl Into<Cow<'static, str>>) -> Self {
        Self { offset, expected: expected.into() }
    }
}
