//! How good bootstrapped labels are where the truth is known: on simulated traffic.
//!
//! The first part of each site's traffic is the log; labels made of it are held against the truth,
//! and models trained on it are tried on the part that follows.

use super::gather::{Gathered, Gatherer};
use super::votes::HEURISTICS;
use super::{Assessment, BootstrapError, Prepared, Source, questions, rows};
use crate::simulate::dice::Dice;
use crate::simulate::{Scenario, Traffic, generate};
use serde::Serialize;
use std::collections::HashMap;
use tidegate_behavior::Features;
use tidegate_engine::Policy;
use tidegate_limiter::Key;
use tidegate_models::metrics::Ranking;
use tidegate_models::{AnyModel, Model, TrainingSet};

/// The share of a site's traffic that is the log.
const LOG: f64 = 0.6;
/// After how many answers labels are made anew.
const BATCH: usize = 10;
/// Every n-th request of the later part is scored.
const EVERY: usize = 7;

/// What to measure on.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seeds of the sites.
    pub seeds: Vec<u64>,
    /// Minutes of traffic a site.
    pub minutes: u32,
    /// What happens there.
    pub scenario: Scenario,
    /// Most answers of a person, for each site.
    pub answers: usize,
}

/// How labels of clients compare with the truth.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Quality {
    /// Clients rightly labelled abusive.
    pub hits: usize,
    /// Clients wrongly labelled abusive.
    pub false_alarms: usize,
    /// Abusive clients that are not labelled so.
    pub missed: usize,
}

impl Quality {
    /// Of the clients labelled abusive, the share that is.
    #[must_use]
    pub fn precision(&self) -> f64 {
        self.hits as f64 / (self.hits + self.false_alarms).max(1) as f64
    }

    /// Of the abusive clients, the share labelled so.
    #[must_use]
    pub fn recall(&self) -> f64 {
        self.hits as f64 / (self.hits + self.missed).max(1) as f64
    }

    /// The harmonic mean of both.
    #[must_use]
    pub fn f1(&self) -> f64 {
        let errors = self.false_alarms + self.missed;
        2.0 * self.hits as f64 / (2 * self.hits + errors).max(1) as f64
    }

    fn add(&mut self, labelled: bool, abusive: bool) {
        match (labelled, abusive) {
            (true, true) => self.hits += 1,
            (true, false) => self.false_alarms += 1,
            (false, true) => self.missed += 1,
            (false, false) => {}
        }
    }

    fn merge(&mut self, more: &Self) {
        self.hits += more.hits;
        self.false_alarms += more.false_alarms;
        self.missed += more.missed;
    }
}

/// What one heuristic was worth.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HeuristicRow {
    /// Its name.
    pub name: &'static str,
    /// Whether it speaks for abuse.
    pub abusive: bool,
    /// Clients of which it spoke.
    pub spoke: usize,
    /// Of those, the share on its side in truth.
    pub right: f64,
    #[serde(skip)]
    hits: usize,
}

/// Labels after so many answers a site.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Step {
    /// Answers.
    pub answers: usize,
    /// Asked the most informative first.
    pub active: Quality,
    /// Asked in any order.
    pub random: Quality,
}

/// How a model ranks the requests that come after the log.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ModelRow {
    /// What it was trained on.
    pub trained_on: &'static str,
    /// Area under the ROC curve.
    pub roc_auc: Option<f64>,
    /// Average precision.
    pub pr_auc: Option<f64>,
    /// Of abusive requests, the share above the score that 1 % of the harmless exceed.
    pub recall_at_1_percent: Option<f64>,
    /// Precision and recall at a score of one half.
    pub precision: Option<f64>,
    /// See `precision`.
    pub recall: Option<f64>,
}

/// The whole measurement, all sites together.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Sites.
    pub sites: usize,
    /// Clients of their logs.
    pub clients: usize,
    /// Of those, abusive in truth.
    pub abusive: usize,
    /// Heuristics and their label model alone.
    pub heuristics_alone: Quality,
    /// With look-alikes and learning.
    pub all: Quality,
    /// By source of the label, how many clients, and how many rightly.
    pub sources: Vec<(Source, usize, usize)>,
    /// Each heuristic.
    pub by_heuristic: Vec<HeuristicRow>,
    /// With answers.
    pub steps: Vec<Step>,
    /// Models on what follows the log.
    pub models: Vec<ModelRow>,
}

/// One site: its log, the truth about its clients, and labelled requests from later on.
struct Scene {
    log: Gathered,
    truth: Vec<bool>,
    later: Vec<(Features, bool)>,
}

fn scene(traffic: &Traffic) -> Scene {
    let cut = traffic.start.plus(traffic.length.mul_f64(LOG));
    let policy = Policy { reputation: traffic.reputation.clone(), ..Policy::default() };
    let mut gatherer = Gatherer::new(&policy, &[]);
    let mut counts: HashMap<Key, [u32; 2]> = HashMap::new();
    let mut later = Vec::new();
    let mut log = None;
    for (n, event) in traffic.events.iter().enumerate() {
        if event.time >= cut && log.is_none() {
            log = Some(gatherer.so_far());
        }
        let abusive = traffic.actor(event).abusive;
        let decision =
            gatherer.feed(&event.request(), Some(&event.outcome), |_| format!("{}", event.addr));
        if log.is_none() {
            counts.entry(decision.ticket.client).or_default()[usize::from(abusive)] += 1;
        } else if n % EVERY == 0 {
            later.push((decision.features, abusive));
        }
    }
    let log = log.unwrap_or_else(|| gatherer.so_far());
    let truth = log.clients.iter().map(|client| {
        counts.get(&client.key).is_some_and(|[harmless, abusive]| abusive > harmless)
    });
    Scene { truth: truth.collect(), log, later }
}

/// What one site gave.
struct Run {
    report: Report,
    scores: Vec<Vec<f32>>,
    labels: Vec<bool>,
}

/// Measures on all sites, on all cores; the report does not depend on how many cores there are.
/// `simulated` are rows to mix the log with, `builtin` is the model to compare with.
///
/// # Errors
/// When a site's log can't be learned from.
pub fn measure(
    plan: &Plan,
    simulated: &TrainingSet,
    builtin: &AnyModel,
    progress: impl FnMut(usize, usize),
) -> Result<Report, BootstrapError> {
    let work = |n: usize| site(plan, plan.seeds[n], simulated, builtin);
    let mut report = Report::default();
    let mut scores: Vec<Vec<f32>> = vec![Vec::new(); TRAINED_ON.len()];
    let mut labels = Vec::new();
    let mut failed = None;
    crate::parallel::in_order(plan.seeds.len(), work, progress, |_, run| match run {
        Ok(run) => {
            report.merge(run.report);
            labels.extend(run.labels);
            scores.iter_mut().zip(run.scores).for_each(|(all, scores)| all.extend(scores));
        }
        Err(error) => failed = Some(error),
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let row = |(trained_on, scores): (&&'static str, &Vec<f32>)| {
        let ranking = Ranking::unweighted(scores, &labels);
        let at_half = ranking.at(0.5);
        ModelRow {
            trained_on,
            roc_auc: ranking.roc_auc(),
            pr_auc: ranking.average_precision(),
            recall_at_1_percent: ranking.recall_at(0.01).map(|(recall, _)| recall),
            precision: at_half.precision(),
            recall: at_half.recall(),
        }
    };
    let tried = TRAINED_ON.iter().zip(&scores).filter(|(_, scores)| scores.len() == labels.len());
    report.models = tried.map(row).collect();
    Ok(report)
}

const TRAINED_ON: [&str; 5] = [
    "the log alone",
    "the log alone, labelled by the truth",
    "simulated rows alone",
    "the log and simulated rows",
    "built in",
];

fn site(
    plan: &Plan,
    seed: u64,
    simulated: &TrainingSet,
    builtin: &AnyModel,
) -> Result<Run, BootstrapError> {
    let Scene { log, truth, later } = scene(&generate(plan.scenario, seed, plan.minutes));
    let prepared = Prepared::new(&log, seed)?;
    let nobody = vec![None; log.clients.len()];
    let first = prepared.assess(&nobody)?;
    let mut report = Report {
        sites: 1,
        clients: truth.len(),
        abusive: truth.iter().filter(|abusive| **abusive).count(),
        heuristics_alone: quality(&first.consensus.abuse, &truth),
        all: quality(&first.abuse, &truth),
        by_heuristic: by_heuristic(&first, &truth),
        ..Report::default()
    };
    for source in [Source::Heuristics, Source::LookAlikes, Source::Learned] {
        let of = || (0..truth.len()).filter(|at| first.source[*at] == source);
        let right = of().filter(|at| (first.abuse[*at] >= 0.5) == truth[*at]).count();
        report.sources.push((source, of().count(), right));
    }
    report.steps = steps(plan, seed, &prepared, &log, &truth)?;

    // A log with too little abuse to train on is left out of the comparison of models.
    let models = models(&prepared, &log, (&first, &truth), simulated, builtin).ok();
    let score = |model: &Option<AnyModel>| match model {
        Some(model) => later.iter().map(|(features, _)| model.score_one(features)).collect(),
        None => Vec::new(),
    };
    let scores = models.iter().flatten().map(score).collect();
    let labels = later.iter().filter(|_| models.is_some()).map(|(_, abusive)| *abusive);
    Ok(Run { report, scores, labels: labels.collect() })
}

/// A model for each of [`TRAINED_ON`]; none for those that need simulated rows where there are none.
fn models(
    prepared: &Prepared,
    log: &Gathered,
    (first, truth): (&Assessment, &[bool]),
    simulated: &TrainingSet,
    builtin: &AnyModel,
) -> Result<Vec<Option<AnyModel>>, BootstrapError> {
    let fit = |set: &TrainingSet| crate::train::trees(set, &crate::train::Plan::default());
    let mut alone = TrainingSet::default();
    rows::add(&mut alone, log, first, None)?;
    let mut models = vec![Some(fit(&alone)?)];
    let told: Vec<_> = truth.iter().map(|truth| Some(*truth)).collect();
    let mut told_alone = TrainingSet::default();
    rows::add(&mut told_alone, log, &prepared.assess(&told)?, None)?;
    models.push(Some(fit(&told_alone)?));
    if simulated.is_empty() {
        models.extend([None, None]);
    } else {
        let mut mixed = simulated.clone();
        rows::add(&mut mixed, log, first, Some(builtin))?;
        models.extend([Some(fit(simulated)?), Some(fit(&mixed)?)]);
    }
    models.push(Some(builtin.clone()));
    Ok(models)
}

/// Answers by the truth, asked for in both orders.
fn steps(
    plan: &Plan,
    seed: u64,
    prepared: &Prepared,
    log: &Gathered,
    truth: &[bool],
) -> Result<Vec<Step>, BootstrapError> {
    let mut dice = Dice::new(seed, 0xac);
    let mut shuffled: Vec<(u64, usize)> = (0..truth.len()).map(|at| (dice.bits(), at)).collect();
    shuffled.sort_unstable();
    let mut known = [vec![None; truth.len()], vec![None; truth.len()]];
    let mut steps = Vec::new();
    for answers in (0..=plan.answers).step_by(BATCH) {
        let active = prepared.assess(&known[0])?;
        let random = if answers == 0 { None } else { Some(prepared.assess(&known[1])?) };
        let random = random.as_ref().unwrap_or(&active);
        steps.push(Step {
            answers,
            active: quality(&active.abuse, truth),
            random: quality(&random.abuse, truth),
        });
        for at in questions::order(&active, &log.clients, BATCH) {
            known[0][at] = Some(truth[at]);
        }
        for (_, at) in shuffled.iter().skip(answers).take(BATCH) {
            known[1][*at] = Some(truth[*at]);
        }
    }
    Ok(steps)
}

fn quality(abuse: &[f64], truth: &[bool]) -> Quality {
    let mut quality = Quality::default();
    abuse.iter().zip(truth).for_each(|(abuse, truth)| quality.add(*abuse >= 0.5, *truth));
    quality
}

fn by_heuristic(assessment: &Assessment, truth: &[bool]) -> Vec<HeuristicRow> {
    let row = |(at, heuristic): (usize, &super::votes::Heuristic)| {
        let spoke = || assessment.votes.iter().zip(truth).filter(|(votes, _)| votes.contains(&at));
        HeuristicRow {
            name: heuristic.name,
            abusive: heuristic.abusive,
            spoke: spoke().count(),
            hits: spoke().filter(|(_, truth)| **truth == heuristic.abusive).count(),
            right: 0.0,
        }
    };
    HEURISTICS.iter().enumerate().map(row).collect()
}

impl Report {
    fn merge(&mut self, more: Self) {
        self.sites += more.sites;
        self.clients += more.clients;
        self.abusive += more.abusive;
        self.heuristics_alone.merge(&more.heuristics_alone);
        self.all.merge(&more.all);
        if self.by_heuristic.is_empty() {
            (self.by_heuristic, self.steps) = (more.by_heuristic, more.steps);
            self.sources = more.sources;
        } else {
            for (row, more) in self.by_heuristic.iter_mut().zip(more.by_heuristic) {
                row.spoke += more.spoke;
                row.hits += more.hits;
            }
            for (step, more) in self.steps.iter_mut().zip(more.steps) {
                step.active.merge(&more.active);
                step.random.merge(&more.random);
            }
            for (sum, more) in self.sources.iter_mut().zip(more.sources) {
                sum.1 += more.1;
                sum.2 += more.2;
            }
        }
        for row in &mut self.by_heuristic {
            row.right = row.hits as f64 / row.spoke.max(1) as f64;
        }
    }

    /// How many answers in the best order do as well as `answers` in any order, by F1.
    #[must_use]
    pub fn as_good_as_random(&self, answers: usize) -> Option<usize> {
        let goal = self.steps.iter().find(|step| step.answers == answers)?.random.f1();
        self.steps.iter().find(|step| step.active.f1() >= goal).map(|step| step.answers)
    }
}
