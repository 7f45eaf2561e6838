//! Models that are asked in the background: challengers, and those too slow to be waited for.
//!
//! Whoever decides a request only puts it into a bounded inbox. A thread (or, for a remote model, a
//! task) takes requests out in batches and asks the model. A challenger's answers are counted and
//! change nothing; an advisor's are given to the engine, which goes by them while they are fresh.

use crate::config::Asked;
use crate::kserve::{Breaker, Kserve};
use crate::tls::TlsError;
use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidegate_behavior::{Features, schema::COUNT};
use tidegate_engine::trial::{Questions, Tally};
use tidegate_engine::{Decision, Engine, Inbox, Sighting, Trial};
use tidegate_models::{AnyModel, Model};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Most requests that are asked about at once.
const BATCH: usize = 64;
/// How long an empty inbox is left alone: to be woken for each request would cost those who decide.
const PAUSE: Duration = Duration::from_millis(5);
/// How often the log says how a model fares.
const REPORT: Duration = Duration::from_secs(60);

/// What a model in the background is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It is compared with what is decided, and has no say.
    Challenger,
    /// Its last word on a client stands in for the score in line.
    Advisor,
}

impl Role {
    /// The word for the metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Challenger => "challenger",
            Self::Advisor => "advisor",
        }
    }
}

/// A model in the background, as those see it who decide requests and who watch.
pub(crate) struct Background {
    pub role: Role,
    /// What it is, in words.
    pub name: String,
    pub inbox: Inbox,
    pub trial: Trial,
    failures: Mutex<BTreeMap<&'static str, u64>>,
}

/// The other end: what asks the model.
pub(crate) struct Worker {
    background: Arc<Background>,
    requests: Receiver<Sighting>,
    engine: Arc<Engine>,
    scorer: Scorer,
}

enum Scorer {
    Local(AnyModel),
    Remote(Box<Kserve>),
}

impl Background {
    /// A model and what will ask it.
    pub(crate) fn new(
        role: Role,
        asked: Asked,
        engine: &Arc<Engine>,
    ) -> Result<(Arc<Self>, Worker), TlsError> {
        let (inbox, requests) = Inbox::new();
        let (steps, scorer) = match asked.model {
            crate::config::Where::File(model) => (model.steps(), Scorer::Local(model)),
            crate::config::Where::Kserve(config) => {
                (1, Scorer::Remote(Box::new(Kserve::new(config)?)))
            }
        };
        let background = Arc::new(Self {
            role,
            name: asked.origin.name,
            inbox,
            trial: Trial::new(steps),
            failures: Mutex::default(),
        });
        let engine = Arc::clone(engine);
        let worker = Worker { background: Arc::clone(&background), requests, engine, scorer };
        Ok((background, worker))
    }

    /// Tells the model of a decided request; never waits.
    pub(crate) fn offer(&self, decision: &Decision) {
        self.inbox.offer(decision);
    }

    /// Calls that failed, by kind.
    pub(crate) fn failures(&self) -> BTreeMap<&'static str, u64> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn failed(&self, kind: &'static str, requests: usize) {
        self.trial.unanswered(requests);
        *self.failures.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default() += 1;
    }

    fn report(&self) {
        let tally = self.trial.tally();
        let (offered, dropped) = self.inbox.counts();
        let [[neither, only_it], [only_decided, both]] = tally.actions;
        tracing::info!(
            role = self.role.name(),
            model = self.name,
            offered,
            dropped,
            compared = tally.compared,
            unanswered = tally.unanswered,
            limited_by_both = both,
            limited_by_neither = neither,
            limited_by_model_alone = only_it,
            limited_by_decision_alone = only_decided,
            mean_distance = distance(&tally),
            "a model in the background"
        );
    }
}

/// The mean distance of the two scores; 0 before the first.
pub(crate) fn distance(tally: &Tally) -> f64 {
    tally.distance / (tally.compared.max(1) as f64)
}

impl Worker {
    /// Asks until told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let Self { background, requests, engine, scorer } = self;
        match scorer {
            Scorer::Local(model) => {
                // Nobody waits for a thread that outlives the server, however the server ended.
                let stop = stop.child_token();
                let _ended = stop.clone().drop_guard();
                let work = move || local(&background, &requests, &engine, &model, &stop);
                // A fault of a model's library must not take the server down without a word.
                if tokio::task::spawn_blocking(work).await.is_err() {
                    tracing::error!("the model in the background failed; it is asked no more");
                }
            }
            Scorer::Remote(model) => {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = remote(&background, requests, &engine, *model) => {}
                }
            }
        }
    }
}

/// The next requests, as many as are there.
fn take(requests: &Receiver<Sighting>, batch: &mut Vec<Sighting>) {
    batch.clear();
    batch.extend(requests.try_iter().take(BATCH));
}

/// Says in the log now and then how the model fares.
struct Reporter(Instant);

impl Reporter {
    fn tick(&mut self, background: &Background) {
        if self.0.elapsed() >= REPORT {
            self.0 = Instant::now();
            background.report();
        }
    }
}

fn local(
    background: &Background,
    requests: &Receiver<Sighting>,
    engine: &Engine,
    model: &AnyModel,
    stop: &CancellationToken,
) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut reporter = Reporter(Instant::now());
    let ask = |questions: &Questions| match model {
        AnyModel::Onnx(onnx) => onnx.scores(&questions.windows()).ok(),
        model => {
            let last = |window: &[Features]| window.last().copied().unwrap_or([0.0; COUNT]);
            let windows = questions.windows();
            Some(windows.into_iter().map(|w| model.score_one(&last(w))).collect())
        }
    };
    while !stop.is_cancelled() {
        take(requests, &mut batch);
        if batch.is_empty() {
            std::thread::sleep(PAUSE);
            continue;
        }
        let policy = engine.policy();
        let questions = background.trial.questions(&batch);
        match ask(&questions) {
            Some(scores) => {
                let (which, again) = background.trial.doubts(&batch, &questions, &scores, &policy);
                let own = if again.is_empty() { None } else { ask(&again) };
                let calm: Vec<_> = which.into_iter().zip(own.unwrap_or_default()).collect();
                let judged = background.trial.answers(&batch, &scores, &calm, &policy);
                advise(background, engine, &batch, &judged);
            }
            None => background.failed("wrong", batch.len()),
        }
        reporter.tick(background);
    }
}

async fn remote(
    background: &Background,
    requests: Receiver<Sighting>,
    engine: &Engine,
    mut model: Kserve,
) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut breaker = Breaker::default();
    let mut reporter = Reporter(Instant::now());
    loop {
        take(&requests, &mut batch);
        reporter.tick(background);
        if batch.is_empty() {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        if !breaker.asks(Instant::now()) {
            background.failed("paused", batch.len());
            continue;
        }
        let policy = engine.policy();
        let rows: Vec<&Features> = batch.iter().map(|sighting| &sighting.features).collect();
        let answer = model.scores(&rows).await;
        breaker.heard(answer.is_ok(), Instant::now());
        match answer {
            Ok(scores) => {
                let questions = background.trial.questions(&batch);
                let (which, again) = background.trial.doubts(&batch, &questions, &scores, &policy);
                let mut calm = Vec::new();
                if !again.is_empty() {
                    let windows = again.windows();
                    let rows: Vec<&Features> = windows.iter().filter_map(|w| w.last()).collect();
                    if let Ok(own) = model.scores(&rows).await {
                        calm = which.into_iter().zip(own).collect();
                    }
                }
                let judged = background.trial.answers(&batch, &scores, &calm, &policy);
                advise(background, engine, &batch, &judged);
            }
            Err(failure) => {
                background.failed(failure.kind(), batch.len());
                if !breaker.asks(Instant::now()) {
                    tracing::warn!(
                        model = background.name,
                        error = %failure,
                        "the remote model fails; it is left alone for a while, and the model in line decides"
                    );
                }
            }
        }
    }
}

/// Gives the answers to the engine, if they are to have a say.
fn advise(background: &Background, engine: &Engine, batch: &[Sighting], scores: &[f32]) {
    if background.role == Role::Advisor {
        for (sighting, score) in batch.iter().zip(scores) {
            engine.advise(sighting.client, *score, sighting.time);
        }
    }
}
