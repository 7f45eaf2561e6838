//! A command that is run after each change of the list, one run after the other.

use std::io;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;

/// A run that takes longer is ended.
const LONGEST: Duration = Duration::from_secs(60);
/// How long the last run may take once Tidegate is told to stop.
const FAREWELL: Duration = Duration::from_secs(5);

/// A command and the task that runs it.
pub(super) struct Hook {
    calls: Sender<()>,
    worker: JoinHandle<()>,
}

impl Hook {
    pub(super) fn new(command: &str) -> Self {
        // One call may wait: the run that it leads to sees every change until then.
        let (calls, waiting) = mpsc::channel(1);
        Self { calls, worker: tokio::spawn(run(command.to_owned(), waiting)) }
    }

    /// Has the command run, now or after the run that is under way.
    pub(super) fn call(&self) {
        let _ = self.calls.try_send(());
    }

    /// Waits for the last run.
    pub(super) async fn finish(self) {
        let Self { calls, mut worker } = self;
        drop(calls);
        if tokio::time::timeout(FAREWELL, &mut worker).await.is_err() {
            tracing::warn!("the command still runs and is ended");
            worker.abort();
        }
    }
}

async fn run(command: String, mut waiting: Receiver<()>) {
    while waiting.recv().await.is_some() {
        let mut shell = Command::new("sh");
        // Standard output is for changes.
        shell.arg("-c").arg(&command).stdin(Stdio::null()).stdout(io::stderr()).kill_on_drop(true);
        match tokio::time::timeout(LONGEST, shell.status()).await {
            Ok(Ok(status)) if status.success() => {}
            Ok(Ok(status)) => tracing::warn!(command, %status, "the command failed"),
            Ok(Err(error)) => tracing::warn!(command, %error, "the command can't be run"),
            Err(_) => tracing::warn!(command, "the command took more than a minute and was ended"),
        }
    }
}
