//! From what is thought of clients to rows that a model is trained on.

use super::gather::Gathered;
use super::{Assessment, BootstrapError, Source};
use tidegate_models::{AnyModel, Model, TrainingSet};

/// Groups of the log lie beyond those of simulated runs.
const FIRST_GROUP: u32 = 1 << 31;
/// An answer weighs this much more than what was guessed.
const ANSWER_WORTH: f64 = 8.0;
/// What was judged without a single vote weighs so much.
const GUESS_WORTH: f64 = 0.25;
/// A row whose guessed label another model contradicts weighs so much.
const DOUBTED_WORTH: f64 = 0.05;
/// At least so much of the log's weight is on harmless rows, as hours without an attack are most.
const HARMLESS_SHARE: f64 = 0.9;
/// The log weighs as much as the simulation when so many of its clients are known or guessed well.
const CLIENTS_FOR_HALF: f64 = 20_000.0;

/// Adds the log's rows to simulated ones, which may be none. Each row counts for abuse by its
/// client's probability and against it by the rest, so that the doubtful teach little. Within each
/// side a cluster weighs by the square root of what it holds, as families do in the simulation.
///
/// Where `other`, a model that was trained on something else, contradicts a guess, the row hardly
/// counts (after Han et al., "Co-teaching", NeurIPS 2018): a label that was guessed wrongly must not
/// undo what was known. Answers are never doubted.
///
/// # Errors
/// When there are neither simulated rows nor abusive ones.
pub fn add(
    set: &mut TrainingSet,
    log: &Gathered,
    assessment: &Assessment,
    other: Option<&AnyModel>,
) -> Result<usize, BootstrapError> {
    let simulated: f64 = set.weights.iter().map(|w| f64::from(*w)).sum();
    let clusters = assessment.clusters.sizes.len();
    let mut totals = [vec![0.0; clusters], vec![0.0; clusters]];
    let mut rows = Vec::new();
    let mut certain = 0.0;
    for (at, client) in log.clients.iter().enumerate() {
        let (abuse, cluster) = (assessment.abuse[at], assessment.clusters.of[at]);
        let worth = match assessment.source[at] {
            Source::Answer => ANSWER_WORTH,
            Source::Heuristics => 1.0,
            Source::LookAlikes | Source::Learned => GUESS_WORTH,
        };
        let certainty = (2.0 * abuse - 1.0).abs();
        let mut kept = 0.0;
        for (features, weight) in &client.rows {
            let label = abuse >= 0.5;
            let doubted = assessment.source[at] != Source::Answer
                && other.is_some_and(|other| (other.score_one(features) >= 0.5) != label);
            let worth = if doubted { worth * DOUBTED_WORTH } else { worth };
            kept += worth;
            let weight = f64::from(*weight) * worth * certainty.powi(2);
            if weight > 0.0 {
                totals[usize::from(label)][cluster] += weight;
                rows.push((*features, label, weight, at, cluster));
            }
        }
        // A client is as certain as its rows are on average.
        certain += certainty * kept / client.rows.len().max(1) as f64;
    }
    let sides = totals.each_ref().map(|side| side.iter().copied().sum::<f64>());
    if simulated <= 0.0 && sides[1] <= 0.0 {
        return Err(BootstrapError::NoAbuse);
    }
    let scales = scales(&totals, sides, simulated, certain, rows.len());
    let before = set.len();
    for (features, label, weight, at, cluster) in rows {
        let weight = (weight * scales[usize::from(label)][cluster]) as f32;
        if weight > 0.0 && weight.is_finite() {
            let group = FIRST_GROUP.saturating_add(u32::try_from(at).unwrap_or(u32::MAX >> 1));
            set.push(features, label, weight, group);
        }
    }
    Ok(set.len() - before)
}

/// What the weights of each side's clusters are multiplied by.
fn scales(
    totals: &[Vec<f64>; 2],
    sides: [f64; 2],
    simulated: f64,
    certain: f64,
    rows: usize,
) -> [Vec<f64>; 2] {
    let share = certain / (certain + CLIENTS_FOR_HALF);
    let whole = if simulated > 0.0 { simulated * share / (1.0 - share) } else { rows as f64 };
    let harmless = (sides[0] / (sides[0] + sides[1]).max(1e-9)).max(HARMLESS_SHARE);
    let of_side = [whole * harmless, whole * (1.0 - harmless)];
    let mut scales = [Vec::new(), Vec::new()];
    for ((scales, totals), worth) in scales.iter_mut().zip(totals).zip(of_side) {
        let roots: f64 = totals.iter().map(|total| total.sqrt()).sum();
        *scales = totals
            .iter()
            .map(|total| worth * total.sqrt() / roots.max(1e-9) / total.max(1e-9))
            .collect();
    }
    scales
}
