//! A command that is run after each change of the list, one run after the other, and again after a
//! failure.

use std::io;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;

/// A run that takes longer is ended.
const LONGEST: Duration = Duration::from_secs(60);
/// The pause after the first failed run; it doubles with each that follows.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
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

    /// Waits for the last run; one that failed is tried once more.
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
        let (mut pause, mut goes_on) = (FIRST_PAUSE, true);
        while let Err(why) = try_once(&command).await {
            if !goes_on {
                tracing::warn!(command, why, "the command failed and is given up");
                return;
            }
            let seconds = pause.as_secs_f64();
            tracing::warn!(command, why, seconds, "the command failed; it is tried again");
            goes_on = !ends_within(pause, &mut waiting).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Waits for so long, or until nobody can call any more. Calls meanwhile need no run of their own: the
/// next try sees what they are about.
async fn ends_within(pause: Duration, waiting: &mut Receiver<()>) -> bool {
    let calls = async { while waiting.recv().await.is_some() {} };
    tokio::time::timeout(pause, calls).await.is_ok()
}

async fn try_once(command: &str) -> Result<(), String> {
    let mut shell = Command::new("sh");
    // Standard output is for changes.
    shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(io::stderr()).kill_on_drop(true);
    match tokio::time::timeout(LONGEST, shell.status()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(status.to_string()),
        Ok(Err(error)) => Err(format!("it can't be run: {error}")),
        Err(_) => Err("it took more than a minute and was ended".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn runs(file: &Path) -> usize {
        std::fs::read_to_string(file).unwrap_or_default().lines().count()
    }

    /// Waits until the command has run so often.
    async fn has_run(file: &Path, times: usize) {
        let run = async {
            while runs(file) < times {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), run).await.expect("too few runs");
    }

    #[tokio::test]
    async fn a_command_that_failed_is_tried_again_until_it_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("runs");
        let name = file.display();
        let hook = Hook::new(&format!("echo run >> {name}; test $(wc -l < {name}) -ge 3"));
        hook.call();
        has_run(&file, 3).await;
        // With success it is over, and the next call is one run.
        hook.call();
        has_run(&file, 4).await;
        hook.finish().await;
        assert_eq!(runs(&file), 4);
    }

    #[tokio::test]
    async fn calls_during_a_pause_make_no_storm_and_the_end_tries_once_more() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("runs");
        let hook = Hook::new(&format!("echo run >> {}; exit 7", file.display()));
        hook.call();
        // 250, 500, 1000 ms after the first.
        let begun = std::time::Instant::now();
        while runs(&file) < 3 {
            hook.call();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(begun.elapsed() >= FIRST_PAUSE * 3);
        hook.finish().await;
        assert_eq!(runs(&file), 4);
    }
}
