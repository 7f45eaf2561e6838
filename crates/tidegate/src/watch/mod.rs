//! `tidegate watch`: decisions on a live access log, published for those who have no place for Tidegate
//! in the path of a request.

mod clients;
mod command;
mod deny;
mod reader;
mod time;

use crate::cli::WatchArgs;
use clients::{Change, Clients, Subject};
use command::Hook;
use deny::DenyList;
use miette::{IntoDiagnostic, WrapErr, miette};
use reader::Reader;
use std::time::Duration;
use tidegate_engine::{Engine, Mode, Setup};
use tidegate_lab::formats::Record;
use tidegate_lab::replay::request;
use tidegate_limiter::{Clock as _, SystemClock, Timestamp};
use tidegate_server::config::Telemetry;
use tidegate_server::follow::{Follower, Look, follow, unless_stopped};
use tidegate_server::webhook::Webhook;
use tidegate_server::{Resolved, config, stop_signal};
use time::Time;
use tokio_util::sync::CancellationToken;

/// How often what is due is done: blocks end, and the list is written anew if it changed.
const BEAT: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &WatchArgs) -> miette::Result<()> {
    let _logging = crate::log::start(&Telemetry::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .into_diagnostic()
        .wrap_err("cannot start the runtime")?;
    let watched = runtime.block_on(watch(args));
    // A thread may wait for ever for a log that is a pipe, or on a disk that is gone.
    runtime.shutdown_background();
    watched
}

async fn watch(args: &WatchArgs) -> miette::Result<()> {
    let signal = stop_signal().into_diagnostic()?;
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        signal.await;
        told.cancel();
    });
    let args = args.clone();
    let begun = unless_stopped(&stop, move || begin(&args));
    let Some(begun) = begun.await.into_diagnostic()? else { return Ok(()) };
    let (follower, mut watcher) = begun?;
    let mut failure = None;
    let followed = follow(follower, &stop, |look| {
        if let Err(error) = watcher.take(look) {
            failure = Some(error);
            stop.cancel();
        }
    });
    followed.await.into_diagnostic().wrap_err("the log can't be followed any more")?;
    watcher.finish().await;
    failure.map_or(Ok(()), Err)
}

/// Finds the place in the log, and makes everything that stands behind it.
fn begin(args: &WatchArgs) -> miette::Result<(Follower, Watcher)> {
    if args.file.as_os_str() == "-" || args.file.is_dir() {
        let name = args.file.display();
        return Err(miette!("`{name}` can't be followed: name the file that the server writes"));
    }
    // Before the file is looked at for the first time: what is written from now on counts.
    let follower = match args.from_start {
        true => Follower::at_start(args.file.clone()),
        false => Follower::at_end(args.file.clone()),
    };
    if !args.file.exists() {
        tracing::warn!(file = %args.file.display(), "the log is not there yet; it is waited for");
    }
    Ok((follower, Watcher::new(args)?))
}

/// Everything between the log and those who are told.
struct Watcher {
    reader: Reader,
    engine: Engine,
    /// Whether the policy is in force; in shadow mode nobody is listed.
    enforce: bool,
    clients: Clients,
    deny: Option<DenyList>,
    hook: Option<Hook>,
    webhook: Option<Webhook>,
    time: Time,
    /// When what is due was done last.
    beat: Timestamp,
    /// Whether what stood in the log at the start is still being read.
    past: bool,
}

impl Watcher {
    fn new(args: &WatchArgs) -> miette::Result<Self> {
        let resolved = match &args.read.config {
            Some(path) => config::load(path)?,
            None => Resolved::defaults()?,
        };
        let model = match resolved.model {
            Some(model) if args.model.is_none() => model,
            _ => crate::evaluate::model(args.model.as_deref())?,
        };
        let enforce = resolved.policy.mode == Mode::Enforce;
        if !enforce && args.deny_list.is_some() {
            tracing::warn!("the policy is in shadow mode: changes are told and nobody is listed");
        }
        let setup = Setup {
            capacity: resolved.capacity,
            secret: resolved.secret,
            model: Some(model),
            ..Setup::default()
        };
        let deny = args.deny_list.as_ref().map(|path| DenyList::new(path, args.deny_format));
        let webhook = args.webhook.as_deref().map(Webhook::new).transpose().into_diagnostic()?;
        Ok(Self {
            reader: Reader::new(&args.file, &args.read)?,
            engine: Engine::new(resolved.policy, setup),
            enforce,
            clients: Clients::default(),
            deny,
            hook: args.run.as_deref().map(Hook::new),
            webhook,
            time: Time::default(),
            beat: Timestamp::EPOCH,
            past: args.from_start,
        })
    }

    /// Takes in what one look at the log found. Fails where there is no use in going on.
    fn take(&mut self, look: &Look) -> miette::Result<()> {
        // Read anew each time: the machine may have slept, or its clock been set.
        self.clock(SystemClock::new().now());
        let now = self.time.now;
        let Self { reader, engine, clients, time, .. } = self;
        let mut changes = Vec::new();
        reader.each(&look.lines, |record| {
            time.line(record.time);
            changes.extend(decide(engine, clients, record, time));
        })?;
        if self.past {
            if !look.at_end {
                return Ok(());
            }
            // What is over by now is not worth a word.
            self.past = false;
            self.clients.end(now);
            changes = self.clients.all();
        }
        changes.iter().for_each(|change| self.tell(change));
        if now.since(self.beat) >= BEAT {
            self.beat = now;
            let over = self.clients.end(now);
            over.iter().for_each(|change| self.tell(change));
            self.publish(now)?;
            self.reader.complain();
        }
        Ok(())
    }

    fn clock(&mut self, clock: Timestamp) {
        let back = self.time.clock(clock);
        if back >= BEAT {
            tracing::warn!(seconds = back.as_secs(), "the clock was set back; decisions go on");
        }
    }

    fn tell(&self, change: &Change) {
        let change = &change.told(|time| self.time.told(time));
        println!("{change}");
        if let Some(webhook) = &self.webhook {
            // Text and numbers alone: nothing in it can fail to be written.
            webhook.send(serde_json::to_string(change).unwrap_or_default());
        }
    }

    /// Writes the list anew if it is another one, and then runs what is to be run.
    fn publish(&mut self, now: Timestamp) -> miette::Result<()> {
        let Some(deny) = &mut self.deny else { return Ok(()) };
        let listed = if self.enforce { self.clients.listed() } else { Default::default() };
        if deny.publish(listed, now)?
            && let Some(hook) = &self.hook
        {
            hook.call();
        }
        Ok(())
    }

    /// Leaves the list as it is.
    async fn finish(self) {
        let undelivered = match self.webhook {
            Some(webhook) => webhook.finish().await,
            None => 0,
        };
        if let Some(hook) = self.hook {
            hook.finish().await;
        }
        let (read, unreadable) = self.reader.counts();
        let listed = self.deny.map_or(0, |deny| deny.len());
        let untold = self.clients.overlooked();
        tracing::info!(
            read,
            unreadable,
            listed,
            untold,
            undelivered,
            "stopped; the list stays as it is"
        );
    }
}

/// Decides a request that was served already, and learns from what came of it as a replay does.
fn decide(
    engine: &Engine,
    clients: &mut Clients,
    record: &Record<'_>,
    time: &Time,
) -> Option<Change> {
    let mut request = request(record);
    request.time = time.engine;
    let decision = engine.check(&request);
    if !decision.denies() {
        match &record.outcome {
            Some(outcome) => engine.outcome(&decision.ticket, outcome, time.engine),
            None => engine.release(&decision.ticket),
        }
    }
    clients.heard(&decision, time.now, || {
        let subject = Subject::of(record, &decision, &engine.policy().identity);
        (subject, engine.reasons(&decision))
    })
}
