//! Training of the abuse classifier on simulated traffic, through the very code that serves.

use crate::simulate::{Scenario, Traffic, generate};
use std::time::Duration;
use tidegate_behavior::schema::index;
use tidegate_engine::policy::Adaptive;
use tidegate_engine::{Engine, Mode, Policy, Setup};
use tidegate_models::train::{Params, train as boost};
use tidegate_models::{AnyModel, Calibration, Logistic, Model, ModelError, TrainingSet};

/// What to train on, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The first seed; each further run takes the next one.
    pub seed: u64,
    /// How often every scenario is simulated, each time on a site of its own.
    pub rounds: u64,
    /// Minutes of traffic a run; a third of the runs take a fifth of that, a third twice as much.
    pub minutes: u32,
    /// How trees are boosted.
    pub params: Params,
}

impl Default for Plan {
    fn default() -> Self {
        Self { seed: FIRST_TRAINING_SEED, rounds: 60, minutes: 10, params: Params::default() }
    }
}

/// Training draws its sites from here on; evaluation stays below, so the two never meet.
pub const FIRST_TRAINING_SEED: u64 = 1_000_000;

/// Most rows of one label that one run gives; of more, every n-th is kept and weighs n.
const MOST_ROWS: usize = 1000;

/// How much more a harmless row weighs than the simulation makes it. Most scenarios hold an
/// attack and most hours of a real site hold none, so the simulated share of abuse is too high for
/// a probability that is to hold in production.
const HARMLESS_WORTH: f32 = 3.0;

/// Collects rows from simulated sites. `progress` is told of each run as it ends.
#[must_use]
pub fn collect(plan: &Plan, mut progress: impl FnMut(u64, u64)) -> TrainingSet {
    let mut set = TrainingSet::default();
    let scenarios = Scenario::ALL.len() as u64;
    let total = plan.rounds * scenarios;
    for run in 0..total {
        // A seed decides the site and its harmless visitors, so every run has its own.
        let scenario = Scenario::ALL[usize::try_from(run % scenarios).unwrap_or(0)];
        let minutes = match (run + run / scenarios) % 3 {
            // A limiter that was just started knows a site for no longer than this.
            0 => (plan.minutes / 5).max(1),
            1 => plan.minutes,
            _ => plan.minutes * 2,
        };
        let traffic = generate(scenario, plan.seed + run, minutes);
        rows(&traffic, u32::try_from(run).unwrap_or(u32::MAX), &mut set);
        progress(run + 1, total);
    }
    set
}

/// Runs one simulation through an engine without a model and keeps rows at which something new
/// may be learned: a client's 1st, 2nd, 3rd … request, ever more sparsely, so that one flood does
/// not outweigh a thousand visitors.
fn rows(traffic: &Traffic, group: u32, set: &mut TrainingSet) {
    // The limiter's own denials depend on the model that is to be trained, so nothing is denied.
    let policy = Policy {
        mode: Mode::Shadow,
        adaptive: Adaptive { enabled: false, ..Adaptive::default() },
        ..Policy::default()
    };
    let engine = Engine::new(policy, Setup { capacity: 1 << 17, ..Setup::default() });
    let mut kept = [Vec::new(), Vec::new()];
    let mut seen = vec![(0u32, 0u32); traffic.actors.len()];
    for event in &traffic.events {
        let decision = engine.check(&event.request());
        engine.outcome(&decision.ticket, &event.outcome, event.time);
        let actor = traffic.actor(event);
        let (count, next) = &mut seen[actor.id as usize];
        if *count == *next {
            let mut features = decision.features;
            features[index::DENIED_SHARE] = 0.0;
            features[index::PERSISTENCE] = 0.0;
            let step = 1 + *count / 8;
            // A row stands for the requests until the next one, but a client of ten thousand
            // requests must not outweigh a thousand clients of ten.
            #[allow(clippy::cast_precision_loss)]
            let weight = (step as f32).sqrt();
            kept[usize::from(actor.abusive)].push((features, weight));
            *next += step;
        }
        *count += 1;
    }
    for (rows, abusive, worth) in [(&kept[0], false, HARMLESS_WORTH), (&kept[1], true, 1.0)] {
        let stride = rows.len().div_ceil(MOST_ROWS).max(1);
        for (row, weight) in rows.iter().step_by(stride) {
            #[allow(clippy::cast_precision_loss)]
            set.push(*row, abusive, weight * worth * stride as f32, group);
        }
    }
}

/// Trains the classifier: calibrated boosted trees.
///
/// # Errors
/// When the plan gives no rows of one kind, or a parameter is out of range.
pub fn trees(set: &TrainingSet, plan: &Plan) -> Result<AnyModel, ModelError> {
    boost(set, &plan.params).map(AnyModel::Trees)
}

/// Trains the plain baseline on the same rows.
///
/// # Errors
/// When the plan gives no rows of one kind.
pub fn logistic(set: &TrainingSet, plan: &Plan) -> Result<AnyModel, ModelError> {
    const PASSES: usize = 4;
    let (fit, held) = set.split(plan.params.held_out, plan.params.seed);
    let model = Logistic::train(&fit, PASSES, plan.params.seed)?;
    let margins: Vec<f32> = held.rows.iter().map(|row| model.margin(row)).collect();
    let calibration = Calibration::platt(&margins, &held.labels, &held.weights)?;
    Ok(AnyModel::Logistic(Box::new(model.with_calibration(calibration))))
}

/// How long a run of this plan simulates, all told.
#[must_use]
pub fn simulated(plan: &Plan) -> Duration {
    let runs = plan.rounds * Scenario::ALL.len() as u64;
    Duration::from_secs(runs * u64::from(plan.minutes) * 64)
}
