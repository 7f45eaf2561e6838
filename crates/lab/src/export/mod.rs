//! Rows of features for models that are trained elsewhere, from simulated sites or from a log.
//!
//! A row is [`Decision::features`] of the engine that serves, so what a model is trained on is what
//! it will see. Rows of one client come in runs without a gap, so that a model can look at a
//! client's latest requests together.

mod table;

pub use table::{Table, TableError, read};

use crate::simulate::{Traffic, generate};
use crate::train::{self, HARMLESS_WORTH, observed, scene};
use std::collections::{BTreeMap, HashMap};
use tidegate_behavior::schema::Features;
use tidegate_engine::Decision;
use tidegate_limiter::{Key, Timestamp};

/// One request of one client.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What was known when it was decided.
    pub features: Features,
    /// Whether it was abuse, when somebody knows.
    pub label: Option<bool>,
    /// How much it counts in training.
    pub weight: f32,
    /// The client, as a hash.
    pub client: u64,
    /// What must stay together when rows are split: the simulated site, or the client of a log.
    pub group: u32,
    /// Which of the client's requests it is, from 0.
    pub sequence: u32,
    /// When it was.
    pub time: Timestamp,
}

impl Row {
    /// The row of a decision.
    #[must_use]
    pub fn new(decision: &Decision, sequence: u32) -> Self {
        let client = decision.ticket.client.0;
        Self {
            features: decision.features,
            label: None,
            weight: 1.0,
            client,
            group: (client >> 33) as u32,
            sequence,
            time: decision.time,
        }
    }
}

/// Counts the requests of each client of a log.
#[derive(Default)]
pub struct Sequences(HashMap<Key, u32, foldhash::fast::FixedState>);

impl Sequences {
    /// The number of this client's next request.
    pub fn next(&mut self, client: Key) -> u32 {
        let next = self.0.entry(client).or_default();
        let number = *next;
        *next = next.saturating_add(1);
        number
    }
}

/// How many runs it takes to simulate every scenario.
pub const ROUND: usize = train::ROUND.len();

/// What to simulate.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The first seed; each further run takes the next one.
    pub seed: u64,
    /// How many runs: every scenario in turn, each time on a site of its own.
    pub runs: usize,
}

/// Sites that nobody trains on and `evaluate` does not draw by default: for the judgement of models
/// that were made elsewhere.
pub const FIRST_HELD_OUT_SEED: u64 = 900_000;

/// Most clients of one family that are kept of one run.
const MOST_CLIENTS: usize = 12;
/// Rows of a client are kept by blocks of so many.
const BLOCK: u32 = 32;
/// The first blocks are kept all; of later ones each whose number is a power of two.
const FIRST_BLOCKS: u32 = 4;

/// Whether the block is kept, and for how many blocks it stands.
fn kept(block: u32) -> Option<u32> {
    if block < FIRST_BLOCKS {
        return Some(1);
    }
    block.is_power_of_two().then_some(block)
}

/// Rows of simulated sites, client by client, on all cores; they do not depend on how many there
/// are. `progress` is told of each run as it ends.
#[must_use]
pub fn simulate(plan: &Plan, progress: impl FnMut(usize, usize)) -> Vec<Row> {
    let work = |n: usize| {
        let (scenario, minutes) = scene(n as u64);
        let run = u32::try_from(n).unwrap_or(u32::MAX);
        watch(&generate(scenario, plan.seed + n as u64, minutes), run)
    };
    let (mut rows, mut families) = (Vec::new(), BTreeMap::new());
    crate::parallel::in_order(plan.runs, work, progress, |_, run| {
        for (family, clients) in run {
            let all: &mut Vec<_> = families.entry(family).or_default();
            all.push(rows.len()..rows.len() + clients.len());
            rows.extend(clients);
        }
    });
    balance(&mut rows, families.into_values());
    rows
}

/// Rows by family.
type Families = BTreeMap<&'static str, Vec<Row>>;

/// Runs one simulation through an engine without a model and keeps rows of some clients.
fn watch(traffic: &Traffic, run: u32) -> Families {
    let mut sequences = Sequences::default();
    // In the order of their hashes, which has nothing to do with what they are.
    let mut clients: BTreeMap<&'static str, BTreeMap<u64, Vec<Row>>> = BTreeMap::new();
    for (event, decision) in observed(traffic, run) {
        let sequence = sequences.next(decision.ticket.client);
        let Some(blocks) = kept(sequence / BLOCK) else { continue };
        let actor = traffic.actor(event);
        let family = clients.entry(actor.family).or_default();
        let client = decision.ticket.client.0;
        let last = family.last_key_value().map(|(last, _)| *last);
        if family.len() >= MOST_CLIENTS && !family.contains_key(&client) {
            if last.is_none_or(|last| client > last) {
                continue;
            }
            family.pop_last();
        }
        let mut row = Row::new(&decision, sequence);
        row.label = Some(actor.abusive);
        row.group = run;
        // As in training: a client of ten thousand requests must not outweigh a thousand of ten.
        row.weight = (blocks as f32).powf(0.75);
        family.entry(client).or_default().push(row);
    }
    let whole = |rows: &Vec<Row>| rows.first().is_some_and(|row| row.sequence == 0);
    // One that was dropped and came again has lost its beginning.
    clients
        .into_iter()
        .map(|(name, rows)| (name, rows.into_values().filter(whole).flatten().collect()))
        .collect()
}

/// Weighs families so that each is heard, as training does: by the square root of what it sent, and
/// harmless ones together so much more than abusive ones. Weights are 1 on average.
fn balance(rows: &mut [Row], families: impl Iterator<Item = Vec<std::ops::Range<usize>>>) {
    let families: Vec<(bool, f64, Vec<std::ops::Range<usize>>)> = families
        .map(|parts| {
            let of = || parts.iter().flat_map(|part| &rows[part.clone()]);
            let total = of().map(|row| f64::from(row.weight)).sum::<f64>().max(1e-9);
            (of().any(|row| row.label == Some(true)), total, parts)
        })
        .collect();
    let side = |abusive: bool| {
        let totals = families.iter().filter(|family| family.0 == abusive);
        totals.map(|family| family.1.sqrt()).sum::<f64>().max(1e-9)
    };
    let sides = [side(false), side(true)];
    for (abusive, total, parts) in families {
        let worth = if abusive { 1.0 } else { HARMLESS_WORTH } / (1.0 + HARMLESS_WORTH);
        let share = total.sqrt() / sides[usize::from(abusive)];
        let scale = worth * share * rows.len() as f64 / total;
        for row in parts.into_iter().flatten() {
            rows[row].weight *= scale as f32;
        }
    }
}

/// The rows that a model of `steps` requests can be judged on, each as the range of its window: rows
/// whose latest requests are all there, or that have no more of them. `rows` are client by client.
#[must_use]
pub fn windows(rows: &[Row], steps: usize) -> Vec<std::ops::Range<usize>> {
    let mut run = 0;
    let mut windows = Vec::new();
    for at in 0..rows.len() {
        let follows = at > 0 && {
            let (row, before) = (&rows[at], &rows[at - 1]);
            (row.group, row.client) == (before.group, before.client)
                && row.sequence == before.sequence.saturating_add(1)
        };
        if !follows {
            run = at;
        }
        let length = at + 1 - run;
        if length >= steps {
            windows.push(at + 1 - steps..at + 1);
        } else if rows[run].sequence == 0 {
            windows.push(run..at + 1);
        }
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_in_runs_and_balance() {
        let rows = simulate(&Plan { seed: FIRST_HELD_OUT_SEED, runs: 6 }, |_, _| {});
        assert!(rows.len() > 1000, "{} rows", rows.len());
        let mean = rows.iter().map(|row| f64::from(row.weight)).sum::<f64>() / rows.len() as f64;
        assert!((mean - 1.0).abs() < 1e-3, "{mean}");
        let side = |label| -> f64 {
            rows.iter().filter(|r| r.label == Some(label)).map(|r| f64::from(r.weight)).sum()
        };
        assert!((side(false) / side(true) / HARMLESS_WORTH - 1.0).abs() < 1e-3);
        // Each row is a window of one, and most are the end of a window of sixteen.
        assert_eq!(windows(&rows, 1).len(), rows.len());
        let long = windows(&rows, 16);
        assert!(long.len() > rows.len() / 2, "{} of {}", long.len(), rows.len());
        for window in &long {
            let of = &rows[window.clone()];
            assert!(of.len() == 16 || of[0].sequence == 0);
            assert!(of.windows(2).all(|w| w[0].sequence + 1 == w[1].sequence));
            assert!(of.iter().all(|row| row.client == of[0].client && row.group == of[0].group));
            assert!(of.is_sorted_by_key(|row| row.time));
        }
    }

    #[test]
    fn blocks_are_kept_ever_more_sparsely() {
        let all: Vec<u32> = (0..20).filter(|block| kept(*block).is_some()).collect();
        assert_eq!(all, [0, 1, 2, 3, 4, 8, 16]);
        assert_eq!((kept(0), kept(8)), (Some(1), Some(8)));
    }
}
