//! What a running server's console has replayed: the same as `tidegate replay --report`, in its process.

use crate::cli::{LogArgs, ReadArgs};
use crate::replay::{Log, ROWS};
use crate::report::{self, Document};
use miette::{IntoDiagnostic as _, WrapErr as _};
use std::ops::ControlFlow;
use std::path::PathBuf;
use tidegate_engine::Setup;
use tidegate_lab::formats::{Format, Lines};
use tidegate_lab::replay::Replay;
use tidegate_models::Model as _;
use tidegate_server::replays::{Progress, Replayed, Replayer, Task, Unparsable};

/// After how many lines it looks whether it is to go on.
const STRIDE: u64 = 256;

/// Replays by the policy that a server has in force.
pub(crate) struct OfServer {
    /// The server's configuration, for the commands that a report names.
    config: Option<PathBuf>,
}

impl OfServer {
    pub(crate) const fn new(config: Option<PathBuf>) -> Self {
        Self { config }
    }

    fn run(
        &self,
        task: Task,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> miette::Result<Replayed> {
        let Task { log, name, format, policy, model, capacity } = task;
        let read = ReadArgs { format, map: Vec::new(), config: self.config.clone() };
        let args = LogArgs { files: vec![name.clone().into()], read, model: None };
        let lines = Lines::of(name, log).into_diagnostic().wrap_err("cannot read the log")?;
        let mut log = Log::of(lines, &args.read)?;
        let from = model.as_ref().map_or("none", |model| model.kind());
        let from = format!("in use by the server ({from})");
        let setup = Setup { capacity, model: model.as_deref().cloned(), ..Setup::default() };
        let mut replay = Replay::with_setup(policy.as_ref().clone(), setup);
        log.each_watched(
            STRIDE,
            |read, of| progress(Progress { read, of: of.unwrap_or(read) }),
            |line, record| {
                replay.feed(line, record);
                Ok(())
            },
        )?;
        let found = replay.report(ROWS);
        let document = Document::new(&args, &policy, from, log.reading(), &found).in_force();
        let mut words = report::sentences(&document);
        words.extend(log.advice());
        let first = document.reading.first_unparsable.iter();
        Ok(Replayed {
            format: document.reading.format.clone(),
            lines: document.reading.lines,
            unparsable: document.reading.unparsable,
            first_unparsable: first
                .map(|bad| Unparsable { line: bad.line, reason: bad.reason.clone() })
                .collect(),
            requests: found.requests,
            denied: found.denied,
            clients: found.clients,
            clients_denied: found.clients_denied,
            words,
            html: report::page(&document),
        })
    }
}

impl Replayer for OfServer {
    fn formats(&self) -> Vec<&'static str> {
        Format::names().collect()
    }

    fn replay(
        &self,
        task: Task,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Replayed, String> {
        step_back();
        self.run(task, progress).map_err(|error| {
            let told: Vec<_> = error.chain().map(ToString::to_string).collect();
            told.join(": ")
        })
    }
}

/// Gives this thread what the threads that serve leave over. Elsewhere than on Linux it would be the
/// whole process that steps back.
fn step_back() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(19);
}
