//! Training of the abuse classifier on simulated traffic, through the very code that serves.

use crate::simulate::dice::Dice;
use crate::simulate::{Scenario, Traffic, generate};
use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_behavior::Features;
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
    /// How trees are boosted.
    pub params: Params,
}

impl Default for Plan {
    fn default() -> Self {
        Self { seed: FIRST_TRAINING_SEED, rounds: 400, params: Params::default() }
    }
}

/// Training draws its sites from here on; evaluation stays below, so the two never meet.
pub const FIRST_TRAINING_SEED: u64 = 1_000_000;

/// Minutes that runs last, in turn: a limiter may have been started a moment ago, or know its site.
const LENGTHS: [u32; 4] = [2, 8, 16, 45];

/// Most rows that one family gives in one run; of more, every n-th is kept and weighs n.
const MOST_ROWS: usize = 160;

/// How much all harmless rows together weigh against all abusive ones. Most scenarios hold an
/// attack and most hours of a real site hold none, so the simulated share of abuse is too high for
/// a probability that is to hold in production.
const HARMLESS_WORTH: f64 = 25.0;

/// The rows of one family of actors, from all runs.
#[derive(Default)]
struct Rows {
    abusive: bool,
    /// Features, weight, and the run they are from.
    rows: Vec<(Features, f64, u32)>,
}

type Families = BTreeMap<&'static str, Rows>;

/// Collects rows from simulated sites, on all cores. `progress` is told of each run as it ends.
/// The rows and their order do not depend on how many cores there are.
#[must_use]
pub fn collect(plan: &Plan, mut progress: impl FnMut(u64, u64)) -> TrainingSet {
    let mut families = Families::new();
    let work = |n: usize| {
        let run = n as u64;
        let (scenario, minutes) = scene(run);
        // A seed decides the site and its harmless visitors, so every run has its own.
        let traffic = generate(scenario, plan.seed + run, minutes);
        watch(&traffic, u32::try_from(run).unwrap_or(u32::MAX))
    };
    let runs = usize::try_from(plan.runs()).unwrap_or(usize::MAX);
    let progress = |done: usize, of: usize| progress(done as u64, of as u64);
    crate::parallel::in_order(runs, work, progress, |_, rows| merge(&mut families, rows));
    balanced(families)
}

/// Adds the rows of the next run.
fn merge(families: &mut Families, run: Families) {
    for (name, Rows { abusive, rows }) in run {
        let family = families.entry(name).or_default();
        family.abusive = abusive;
        family.rows.extend(rows);
    }
}

/// The scenario of a run, and how many minutes it lasts.
fn scene(run: u64) -> (Scenario, u32) {
    let scenarios = Scenario::ALL.len() as u64;
    let at = |n: u64, of: usize| usize::try_from(n % of as u64).unwrap_or(0);
    // Another length for the same scenario in every round.
    let length = LENGTHS[at(run % scenarios + run / scenarios, LENGTHS.len())];
    (Scenario::ALL[at(run, Scenario::ALL.len())], length)
}

/// The share of a run that the limiter misses, because it is started while all goes on: in every
/// third run, for an attack may be under way, or be the reason for the start.
fn missed(run: u32) -> f64 {
    // Which runs, and how much of them, has nothing to do with scenario and length.
    let mut dice = Dice::new(u64::from(run), 3);
    if dice.below(3) == 0 { dice.between(0.0, 0.8) } else { 0.0 }
}

/// Runs one simulation through an engine without a model and keeps rows at which something new
/// may be learned: a client's 1st, 2nd, 3rd … request, ever more sparsely, so that one flood does
/// not outweigh a thousand visitors.
fn watch(traffic: &Traffic, run: u32) -> Families {
    // The limiter's own denials depend on the model that is to be trained, so nothing is denied.
    let policy = Policy {
        mode: Mode::Shadow,
        adaptive: Adaptive { enabled: false, ..Adaptive::default() },
        ..Policy::default()
    };
    let engine = Engine::new(policy, Setup { capacity: 1 << 17, ..Setup::default() });
    let mut kept = Families::new();
    let mut seen = vec![(0u32, 0u32); traffic.actors.len()];
    let met = traffic.start.plus(traffic.length.mul_f64(missed(run)));
    for event in traffic.events.iter().skip_while(|event| event.time < met) {
        let decision = engine.check(&event.request());
        engine.outcome(&decision.ticket, &event.outcome, event.time);
        let actor = traffic.actor(event);
        let (count, next) = &mut seen[actor.id as usize];
        if *count == *next {
            let mut features = decision.features;
            features[index::DENIED_SHARE] = 0.0;
            features[index::PERSISTENCE] = 0.0;
            let step = 1 + *count / 8;
            let family = kept.entry(actor.family).or_default();
            family.abusive = actor.abusive;
            // A row stands for the requests until the next one, but a client of ten thousand
            // requests must not outweigh a thousand clients of ten.
            family.rows.push((features, f64::from(step).powf(0.75), run));
            *next += step;
        }
        *count += 1;
    }
    for Rows { rows, .. } in kept.values_mut() {
        let stride = rows.len().div_ceil(MOST_ROWS).max(1);
        *rows = std::mem::take(rows).into_iter().step_by(stride).collect();
        rows.iter_mut().for_each(|(_, weight, _)| *weight *= stride as f64);
    }
    kept
}

/// Weighs families so that each is heard: by the square root of what it sent, for a botnet sends a
/// hundred times what a log-in guesser does. Weights are 1 on average.
fn balanced(families: Families) -> TrainingSet {
    let total = |rows: &Rows| rows.rows.iter().map(|row| row.1).sum::<f64>().max(1e-9);
    let sides = [false, true].map(|side| {
        let of_side = families.values().filter(|rows| rows.abusive == side);
        of_side.map(|rows| total(rows).sqrt()).sum::<f64>().max(1e-9)
    });
    let rows: usize = families.values().map(|family| family.rows.len()).sum();
    let mut set = TrainingSet::default();
    for family in families.values() {
        let worth = if family.abusive { 1.0 } else { HARMLESS_WORTH } / (1.0 + HARMLESS_WORTH);
        let share = total(family).sqrt() / sides[usize::from(family.abusive)];
        let scale = worth * share * rows as f64 / total(family);
        for (features, weight, run) in &family.rows {
            set.push(*features, family.abusive, (weight * scale) as f32, *run);
        }
    }
    set
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

impl Plan {
    /// How many runs there are.
    #[must_use]
    pub const fn runs(&self) -> u64 {
        self.rounds * Scenario::ALL.len() as u64
    }

    /// How much time is simulated, all told.
    #[must_use]
    pub fn simulated(&self) -> Duration {
        let minutes: u64 = (0..self.runs()).map(|run| u64::from(scene(run).1)).sum();
        Duration::from_secs(minutes * 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_heard_and_weights_are_one_on_average() {
        let small = Plan { rounds: 1, ..Plan::default() };
        let mut families = Families::new();
        for run in 5..10 {
            let (scenario, _) = scene(run);
            merge(&mut families, watch(&generate(scenario, small.seed + run, 2), run as u32));
        }
        let most = families.values().map(|family| family.rows.len()).max().unwrap();
        assert!(most <= MOST_ROWS * 5, "{most} rows of one family in five runs");
        let sent = |families: &Families| -> Vec<f64> {
            let abusive = families.values().filter(|family| family.abusive);
            abusive.map(|family| family.rows.iter().map(|row| row.1).sum()).collect()
        };
        let raw = sent(&families);
        assert!(raw.len() >= 3, "{} abusive families", raw.len());
        let names: Vec<(bool, usize)> =
            families.values().map(|family| (family.abusive, family.rows.len())).collect();
        let set = balanced(families);
        let mean = set.weights.iter().map(|w| f64::from(*w)).sum::<f64>() / set.len() as f64;
        assert!((mean - 1.0).abs() < 1e-3, "{mean}");
        let side = |label: bool| -> f64 {
            let rows = set.weights.iter().zip(&set.labels).filter(|(_, l)| **l == label);
            rows.map(|(w, _)| f64::from(*w)).sum()
        };
        assert!((side(false) / side(true) / HARMLESS_WORTH - 1.0).abs() < 1e-3);
        // Rows stand family by family; a family's share is that of the root of what it sent.
        let (mut at, mut shares) = (0, Vec::new());
        for (abusive, rows) in names {
            let sum: f64 = set.weights[at..at + rows].iter().map(|w| f64::from(*w)).sum();
            if abusive {
                shares.push(sum);
            }
            at += rows;
        }
        let roots: f64 = raw.iter().map(|sum| sum.sqrt()).sum();
        for (share, sum) in shares.iter().zip(&raw) {
            let expected = side(true) * sum.sqrt() / roots;
            assert!((share / expected - 1.0).abs() < 1e-3, "{share} for {expected}");
        }
    }

    #[test]
    fn every_third_run_is_met_under_way() {
        let shares: Vec<f64> = (0..3000).map(missed).collect();
        let late = shares.iter().filter(|share| **share > 0.0).count();
        assert!((900..1100).contains(&late), "{late}");
        assert!(shares.iter().all(|share| (0.0..0.8).contains(share)));
        let mean = shares.iter().sum::<f64>() / late as f64;
        assert!((mean - 0.4).abs() < 0.03, "{mean}");
    }

    #[test]
    fn every_scenario_meets_every_length() {
        let scenes: std::collections::BTreeSet<_> = (0..Plan { rounds: 4, ..Plan::default() }
            .runs())
            .map(scene)
            .map(|(s, m)| (s.name(), m))
            .collect();
        assert_eq!(scenes.len(), Scenario::ALL.len() * LENGTHS.len());
    }
}
