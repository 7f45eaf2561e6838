//! Training of the abuse classifier on simulated traffic, through the very code that serves.

use crate::limiter;
use crate::simulate::dice::Dice;
use crate::simulate::site::Style;
use crate::simulate::{Event, Scenario, Traffic, generate};
use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_behavior::schema::index;
use tidegate_behavior::{Answer, Features, Outcome};
use tidegate_engine::policy::Adaptive;
use tidegate_engine::{Decision, Mode, Policy};
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
        let params = Params {
            // Trees that may split on two fifths of the features err less alike, and need be fewer. So much that is
            // harmless looks like an attack that half as many found less of the abuse of others, and as many at 0.12
            // no more of it for more harm; at 0.3 they find what was simulated better, and nothing else.
            trees: 320,
            depth: 6,
            learning_rate: 0.2,
            columns: 0.4,
            without: LOOK_ALIKES.to_vec(),
            // A larger corpus is to give better estimates, not finer oddities of single sites. Of 4e-5,
            // 1e-5 and next to nothing the middle one found most of what it was not trained on.
            min_leaf_share: 1e-5,
            held_out: 0.2,
            seed: 1,
            ..Params::default()
        };
        Self { seed: FIRST_TRAINING_SEED, rounds: 560, params }
    }
}

/// How many come with the same fingerprint. Trees that split on it learn which software simulated sites
/// have, and little of other sites: without it as much of an attack is found on these and more elsewhere, at
/// less harm. It stays a feature, for people and for models of one's own.
pub(crate) const LOOK_ALIKES: [usize; 2] = [index::AGENT_SURGE, index::COHORT_SURGE];

/// Training draws its sites from here on; evaluation stays below, so the two never meet.
pub const FIRST_TRAINING_SEED: u64 = 1_000_000;

/// Minutes that runs last, in turn: a limiter may have been started a moment ago, or know its site. With a
/// day in one run of sixteen a forest took people who read for long for scrapers: on traffic of another
/// author it denied 1.3 to 1.8 times as much of what is harmless, and no more abuse.
const LENGTHS: [u32; 4] = [3, 8, 20, 60];

/// Most rows that one family gives in one run; of more, every n-th is kept and weighs n.
const MOST_ROWS: usize = 160;

/// How much all harmless rows together weigh against all abusive ones. Most scenarios hold an
/// attack and most hours of a real site hold none, so the simulated share of abuse is too high for
/// a probability that is to hold in production.
pub(crate) const HARMLESS_WORTH: f64 = 8.0;

/// How many times over harmless rows count where margins become probabilities, on top of that. To
/// weigh them so in boosting as well was tried and gave a worse forest: it learns the attacks from
/// too little weight.
const CALM: f64 = 20.0;

/// How many times over a flash crowd counts, on top of its share: it is rare, it is most of the traffic
/// while it lasts, and nothing harmless looks more like an attack.
const CROWD_WORTH: f64 = 3.0;

/// How many times over those count who try ids one by one: every site meets some, and most of what else asks so
/// often are programs that may.
const TAKER_WORTH: f64 = 3.0;

/// How many times over those count who send a form for what it does: they send so little that they drown.
const SENDER_WORTH: f64 = 3.0;

/// How many times over those count who hold what others want: they send little more.
const HOLDER_WORTH: f64 = 2.0;

/// How many times over those count who copy what is there: some are quick and from one machine, some slow and many,
/// and neither is to be learned at the cost of the other.
const COPIER_WORTH: f64 = 5.0;

/// How many times over a family counts.
fn worth(family: &str) -> f64 {
    match family {
        "crowd" => CROWD_WORTH,
        "scraper" => COPIER_WORTH,
        "enumeration" => TAKER_WORTH,
        "submitter" => SENDER_WORTH,
        "hoarder" => HOLDER_WORTH,
        _ => 1.0,
    }
}

/// Whether what was asked for was not there or not allowed anyway.
pub(crate) const fn refused(outcome: &Outcome) -> bool {
    matches!(outcome.answer(), Answer::Refused | Answer::Missing)
}

/// How much a harmless row of such an answer counts: to deny what the site refuses harms nobody. Else
/// a program whose token has expired would speak for everybody who tries passwords.
const REFUSED_WORTH: f64 = 0.4;

/// The rows of one family of actors, from all runs.
#[derive(Default)]
struct Rows {
    abusive: bool,
    rows: Vec<Row>,
}

/// One row, how much it counts, and where it is from.
#[derive(Clone, Copy)]
struct Row {
    features: Features,
    weight: f64,
    run: u32,
    style: Style,
}

type Families = BTreeMap<&'static str, Rows>;

/// Everything that was collected, before it is decided what of it a model may learn from.
pub struct Corpus(Families);

/// What a model may not learn from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Without<'a> {
    /// A family of actors.
    pub family: Option<&'a str>,
    /// Sites of one style.
    pub style: Option<Style>,
    /// Features, by position; they are 0 in every row.
    pub features: &'a [usize],
}

impl Corpus {
    /// The rows to learn from. Families weigh as if those left out had never been.
    #[must_use]
    pub fn set(&self, without: Without<'_>) -> TrainingSet {
        balanced(&self.0, without)
    }
}

/// Collects rows from simulated sites, on all cores. `progress` is told of each run as it ends.
/// The rows and their order do not depend on how many cores there are.
#[must_use]
pub fn collect(plan: &Plan, mut progress: impl FnMut(u64, u64)) -> Corpus {
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
    Corpus(families)
}

/// Adds the rows of the next run.
fn merge(families: &mut Families, run: Families) {
    for (name, Rows { abusive, rows }) in run {
        let family = families.entry(name).or_default();
        family.abusive = abusive;
        family.rows.extend(rows);
    }
}

/// What a round of training simulates: every scenario once, and some more often. No two flash crowds are
/// alike, and an attack by as many looks most like them; who takes a catalogue away looks most like a
/// program that may.
pub(crate) const ROUND: [Scenario; Scenario::ALL.len() + AGAIN.len()] = {
    let mut round = [Scenario::Quiet; Scenario::ALL.len() + AGAIN.len()];
    let mut at = 0;
    while at < round.len() {
        let all = Scenario::ALL.len();
        round[at] = if at < all { Scenario::ALL[at] } else { AGAIN[at - all] };
        at += 1;
    }
    round
};

const AGAIN: [Scenario; 4] =
    [Scenario::FlashCrowd, Scenario::FlashCrowd, Scenario::Scrape, Scenario::Enumeration];

/// The scenario of a run, and how many minutes it lasts.
pub(crate) fn scene(run: u64) -> (Scenario, u32) {
    let scenarios = ROUND.len() as u64;
    let at = |n: u64, of: usize| usize::try_from(n % of as u64).unwrap_or(0);
    // Another length for the same scenario in every round.
    let length = LENGTHS[at(run % scenarios + run / scenarios, LENGTHS.len())];
    (ROUND[at(run, ROUND.len())], length)
}

/// The share of a run that the limiter misses, because it is started while all goes on: in every
/// third run, for an attack may be under way, or be the reason for the start.
fn missed(run: u32) -> f64 {
    // Which runs, and how much of them, has nothing to do with scenario and length.
    let mut dice = Dice::new(u64::from(run), 3);
    if dice.below(3) == 0 { dice.between(0.0, 0.8) } else { 0.0 }
}

/// What an engine without a model sees of a simulation, from the moment on at which this run meets
/// it. All rows to train on are of this kind, whoever trains.
pub(crate) fn observed(traffic: &Traffic, run: u32) -> impl Iterator<Item = (&Event, Decision)> {
    // The limiter's own denials depend on the model that is to be trained, so nothing is denied.
    let policy = Policy {
        mode: Mode::Shadow,
        adaptive: Adaptive { enabled: false, ..Adaptive::default() },
        ..Policy::default()
    };
    let engine = limiter::before(traffic, policy, None);
    let met = traffic.start.plus(traffic.length.mul_f64(missed(run)));
    let events = traffic.events.iter().skip_while(move |event| event.time < met);
    events.map(move |event| {
        let decision = engine.check(&event.request());
        engine.outcome(&decision.ticket, &event.outcome, event.time);
        (event, decision)
    })
}

/// Runs one simulation through an engine without a model and keeps rows at which something new
/// may be learned: a client's 1st, 2nd, 3rd … request, ever more sparsely, so that one flood does
/// not outweigh a thousand visitors.
fn watch(traffic: &Traffic, run: u32) -> Families {
    let mut kept = Families::new();
    let mut seen = vec![(0u32, 0u32); traffic.actors.len()];
    for (event, decision) in observed(traffic, run) {
        let actor = traffic.actor(event);
        let (count, next) = &mut seen[actor.id as usize];
        if *count == *next {
            let step = 1 + *count / 8;
            let family = kept.entry(actor.family).or_default();
            family.abusive = actor.abusive;
            // A row stands for the requests until the next one, but a client of ten thousand
            // requests must not outweigh a thousand clients of ten.
            let mut weight = f64::from(step).powf(0.75);
            if !actor.abusive && refused(&event.outcome) {
                weight *= REFUSED_WORTH;
            }
            let (features, style) = (decision.features, traffic.style);
            family.rows.push(Row { features, weight, run, style });
            *next += step;
        }
        *count += 1;
    }
    for Rows { rows, .. } in kept.values_mut() {
        let stride = rows.len().div_ceil(MOST_ROWS).max(1);
        *rows = std::mem::take(rows).into_iter().step_by(stride).collect();
        rows.iter_mut().for_each(|row| row.weight *= stride as f64);
    }
    kept
}

/// Weighs families so that each is heard: by the square root of what it sent, for a botnet sends a
/// hundred times what a log-in guesser does. Weights are 1 on average, but for what some families
/// count on top.
fn balanced(families: &Families, without: Without<'_>) -> TrainingSet {
    struct Kept<'a> {
        abusive: bool,
        worth: f64,
        rows: Vec<&'a Row>,
    }
    let kept: Vec<Kept<'_>> = families
        .iter()
        .filter(|(name, _)| without.family != Some(**name))
        .map(|(name, family)| Kept {
            abusive: family.abusive,
            worth: worth(name),
            rows: family.rows.iter().filter(|row| without.style != Some(row.style)).collect(),
        })
        .filter(|family| !family.rows.is_empty())
        .collect();
    let total = |rows: &[&Row]| rows.iter().map(|row| row.weight).sum::<f64>().max(1e-9);
    let sides = [false, true].map(|side| {
        let of_side = kept.iter().filter(|family| family.abusive == side);
        of_side.map(|family| total(&family.rows).sqrt()).sum::<f64>().max(1e-9)
    });
    let count: usize = kept.iter().map(|family| family.rows.len()).sum();
    let mut set = TrainingSet::default();
    for Kept { abusive, worth, rows } in kept {
        let side = if abusive { 1.0 } else { HARMLESS_WORTH } / (1.0 + HARMLESS_WORTH);
        let share = worth * total(&rows).sqrt() / sides[usize::from(abusive)];
        let scale = side * share * count as f64 / total(&rows);
        for row in rows {
            let mut features = row.features;
            without.features.iter().for_each(|&at| features[at] = 0.0);
            set.push(features, abusive, (row.weight * scale) as f32, row.run);
        }
    }
    set
}

/// Trains the classifier: calibrated boosted trees.
///
/// # Errors
/// When the plan gives no rows of one kind, or a parameter is out of range.
pub fn trees(set: &TrainingSet, plan: &Plan) -> Result<AnyModel, ModelError> {
    boost(set, &Params { prior: CALM, ..plan.params.clone() }).map(AnyModel::Trees)
}

/// Trains the plain baseline on the same rows.
///
/// # Errors
/// When the plan gives no rows of one kind.
pub fn logistic(set: &TrainingSet, plan: &Plan) -> Result<AnyModel, ModelError> {
    const PASSES: usize = 4;
    let (fit, held) = plan.params.hold_out(set);
    let model = Logistic::train(&fit, PASSES, plan.params.seed)?;
    let margins: Vec<f32> = held.rows.iter().map(|row| model.margin(row)).collect();
    let calibration = Calibration::platt(&margins, &held.labels, &held.calm(CALM))?;
    Ok(AnyModel::Logistic(Box::new(model.with_calibration(calibration))))
}

impl Plan {
    /// How many runs there are.
    #[must_use]
    pub const fn runs(&self) -> u64 {
        self.rounds * ROUND.len() as u64
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
    fn every_family_is_heard_as_much_as_it_is_worth() {
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
            abusive.map(|family| family.rows.iter().map(|row| row.weight).sum()).collect()
        };
        let raw = sent(&families);
        assert!(raw.len() >= 3, "{} abusive families", raw.len());
        let names: Vec<(&str, bool, usize)> = families
            .iter()
            .map(|(name, family)| (*name, family.abusive, family.rows.len()))
            .collect();
        let corpus = Corpus(families);
        let set = corpus.set(Without::default());
        // Weights are 1 on average, of which a ninth is abuse, but for what a family counts on top.
        let (count, part) = (set.len() as f64, 1.0 / (1.0 + HARMLESS_WORTH));
        let harmless = set.weights.iter().zip(&set.labels).filter(|(_, label)| !**label);
        let harmless: f64 = harmless.map(|(weight, _)| f64::from(*weight)).sum();
        assert!((harmless / count / (1.0 - part) - 1.0).abs() < 1e-3, "{harmless} of {count}");
        // Rows stand family by family; a family's share is that of the root of what it sent.
        let roots: f64 = raw.iter().map(|sum| sum.sqrt()).sum();
        let (mut at, mut sent) = (0, raw.iter());
        for (name, abusive, rows) in names {
            let share: f64 = set.weights[at..at + rows].iter().map(|w| f64::from(*w)).sum();
            at += rows;
            if abusive {
                let expected = count * part * worth(name) * sent.next().unwrap().sqrt() / roots;
                assert!((share / expected - 1.0).abs() < 1e-3, "{name}: {share} for {expected}");
            }
        }
    }

    #[test]
    fn what_is_left_out_is_not_there() {
        let small = Plan { rounds: 1, ..Plan::default() };
        let mut families = Families::new();
        for run in 5..8 {
            let (scenario, _) = scene(run);
            merge(&mut families, watch(&generate(scenario, small.seed + run, 2), run as u32));
        }
        let rows = |name: &str| families[name].rows.len();
        let scanners = rows("scanner");
        let corpus = Corpus(families);
        let whole = corpus.set(Without::default());
        let less = corpus.set(Without { family: Some("scanner"), ..Without::default() });
        assert!(scanners > 0);
        assert_eq!(whole.len() - less.len(), scanners);
        let mean = less.weights.iter().map(|w| f64::from(*w)).sum::<f64>() / less.len() as f64;
        assert!((mean - 1.0).abs() < 1e-3, "{mean}");
        let of = |style| corpus.set(Without { style: Some(style), ..Without::default() }).len();
        assert_eq!(Style::ALL.map(of).iter().sum::<usize>(), 2 * whole.len());
        let masked = corpus.set(Without { features: &[3], ..Without::default() });
        assert!(masked.rows.iter().all(|row| row[3] == 0.0));
        assert_eq!(masked.len(), whole.len());
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
        let crowds = ROUND.iter().filter(|scenario| **scenario == Scenario::FlashCrowd).count();
        assert_eq!(crowds, 3);
    }
}
