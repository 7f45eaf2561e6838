//! Replays of logs that the console offers: what a server asks of whoever can do them.
//!
//! The server reads no log formats and makes no reports. Who embeds it may give it somebody who does
//! ([`Server::with_replayer`](crate::Server::with_replayer)); the console has no such page otherwise.

use serde::Serialize;
use std::fs::File;
use std::ops::ControlFlow;
use std::sync::Arc;
use tidegate_engine::Policy;
use tidegate_models::AnyModel;

/// Decides the requests of a log, and reports what it found.
pub trait Replayer: Send + Sync {
    /// The formats that have a name, besides `auto`, which finds out, and strings of nginx's
    /// `log_format`.
    fn formats(&self) -> Vec<&'static str>;

    /// Replays a log. It is called on a thread of its own, one log at a time, and calls `progress`
    /// several times a second; at a break it ends at once, with whatever error.
    ///
    /// # Errors
    /// What is wrong with the log or its format, where, and what to do: it is shown to an operator.
    fn replay(
        &self,
        task: Task,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Replayed, String>;
}

/// What is to be replayed, and how.
pub struct Task {
    /// The log, from its first byte; it has no name in any folder.
    pub log: File,
    /// What its owner calls it.
    pub name: String,
    /// `auto`, the name of a format, or a string of nginx's `log_format`.
    pub format: String,
    /// The policy in force when it began.
    pub policy: Arc<Policy>,
    /// The model in use then.
    pub model: Option<Arc<AnyModel>>,
    /// Most clients to be remembered at once.
    pub capacity: usize,
}

/// How far a replay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Bytes of the log that were read.
    pub read: u64,
    /// Bytes of the log.
    pub of: u64,
}

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replayed {
    /// How the log's lines are written.
    pub format: String,
    /// Lines that are not blank.
    pub lines: u64,
    /// Of those, lines that could not be read.
    pub unparsable: u64,
    /// The first of them.
    pub first_unparsable: Vec<Unparsable>,
    /// Requests that were decided.
    pub requests: u64,
    /// Of those, denied ones.
    pub denied: u64,
    /// Clients, as far as they can be told apart.
    pub clients: u64,
    /// Of those, clients with a denied request.
    pub clients_denied: u64,
    /// What was found, in sentences.
    pub words: Vec<String>,
    /// The whole report: a page that loads nothing, runs nothing and needs no other file.
    pub html: String,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unparsable {
    /// Its number, from 1.
    pub line: u64,
    /// Where in it, and what was expected there.
    pub reason: String,
}
