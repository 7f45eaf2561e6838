//! Learning from some abusive clients, some harmless ones and many of whom nothing is known.
//!
//! Whoever no heuristic caught is not thereby harmless. Elkan & Noto ("Learning Classifiers from
//! Only Positive and Unlabeled Data", KDD 2008): a classifier that tells the labelled positives
//! from all others gives, divided by its mean `c` over positives that it was not trained on, the
//! probability of being positive; each unlabelled row then trains twice, as a positive of weight
//! (1 − c)/c · g/(1 − g) and as a negative of the rest. The classifier is the boosted trees that
//! serve. Everybody is scored by trees that were trained on others.
//!
//! The method assumes that labelled positives are drawn from all of them at random. Heuristics catch
//! the clumsy ones first, so abuse that looks like none that was labelled is underrated: that is
//! what questions to a person are for.

use crate::simulate::dice::Dice;
use tidegate_behavior::Features;
use tidegate_models::train::{Params, boost, compile};
use tidegate_models::{Model, ModelError, TrainingSet, Trees, sigmoid};

/// Below this many abusive clients nothing is learned from them.
pub const FEWEST: usize = 8;
const FOLDS: usize = 3;

/// What is known of a client before learning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Side {
    /// Abuse, with a weight.
    Abusive(f32),
    /// None, with a weight.
    Harmless(f32),
    /// Nothing.
    Unknown,
}

/// What was learned.
#[derive(Clone, Debug)]
pub struct Estimate {
    /// The probability of abuse of each client, by trees that did not see it.
    pub abuse: Vec<f64>,
    /// `c`: the share of abusive clients that are labelled, as far as they look like those.
    pub labelled: f64,
}

/// Estimates the probability of abuse of every client. `None` when too few are labelled abusive.
///
/// # Errors
/// When trees can't be trained on these rows.
pub fn estimate(
    rows: &[Features],
    sides: &[Side],
    seed: u64,
) -> Result<Option<Estimate>, ModelError> {
    let abusive = |side: &Side| matches!(side, Side::Abusive(_));
    if sides.iter().filter(|side| abusive(side)).count() < FEWEST
        || sides.iter().all(abusive)
        || rows.len() != sides.len()
    {
        return Ok(None);
    }
    let mut dice = Dice::new(seed, 0xe1);
    let folds = folds(sides, &mut dice);
    // First: labelled against all others.
    let found = crossed(rows, &folds, |set, at| match sides[at] {
        Side::Abusive(weight) => set.push(rows[at], true, weight, 0),
        Side::Harmless(_) | Side::Unknown => set.push(rows[at], false, 1.0, 0),
    })?;
    let positives = || found.iter().zip(sides).filter(|(_, side)| abusive(side));
    let labelled = positives().map(|(g, _)| g).sum::<f64>() / positives().count() as f64;
    let labelled = labelled.clamp(0.05, 0.999);
    // Then: with everybody of whom nothing is known on both sides.
    let share = |g: f64| ((1.0 - labelled) / labelled * g / (1.0 - g).max(1e-6)).clamp(0.0, 1.0);
    let abuse = crossed(rows, &folds, |set, at| match sides[at] {
        Side::Abusive(weight) => set.push(rows[at], true, weight, 0),
        Side::Harmless(weight) => set.push(rows[at], false, weight, 0),
        Side::Unknown => {
            let share = share(found[at]) as f32;
            for (label, weight) in [(true, share), (false, 1.0 - share)] {
                if weight > 1e-3 {
                    set.push(rows[at], label, weight, 0);
                }
            }
        }
    })?;
    Ok(Some(Estimate { abuse, labelled }))
}

/// A fold for every client, each with as many abusive ones.
fn folds(sides: &[Side], dice: &mut Dice) -> Vec<usize> {
    let mut next = [dice.below(FOLDS), dice.below(FOLDS)];
    let mut order: Vec<(u64, usize)> = (0..sides.len()).map(|at| (dice.bits(), at)).collect();
    order.sort_unstable();
    let mut folds = vec![0; sides.len()];
    for (_, at) in order {
        let next = &mut next[usize::from(matches!(sides[at], Side::Abusive(_)))];
        folds[at] = *next;
        *next = (*next + 1) % FOLDS;
    }
    folds
}

/// Scores every row by trees trained on the other folds.
fn crossed(
    rows: &[Features],
    folds: &[usize],
    mut push: impl FnMut(&mut TrainingSet, usize),
) -> Result<Vec<f64>, ModelError> {
    let mut scores = vec![0.0; rows.len()];
    for fold in 0..FOLDS {
        let mut set = TrainingSet::default();
        (0..rows.len()).filter(|at| folds[*at] != fold).for_each(|at| push(&mut set, at));
        let trees = small(&set)?;
        for at in (0..rows.len()).filter(|at| folds[*at] == fold) {
            scores[at] = f64::from(sigmoid(trees.margin(&rows[at])));
        }
    }
    Ok(scores)
}

/// Few and shallow trees: there are few clients, and their labels may be wrong.
fn small(set: &TrainingSet) -> Result<Trees, ModelError> {
    let params = Params {
        trees: 40,
        depth: 4,
        learning_rate: 0.15,
        min_leaf_weight: 1.0,
        bins: 32,
        ..Params::default()
    };
    compile(&boost(set, &params)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_behavior::schema::COUNT;

    /// Three hundred abusive clients of a thousand, told by two features; every third is labelled.
    fn pool() -> (Vec<Features>, Vec<bool>, Vec<Side>) {
        let mut dice = Dice::new(5, 0);
        let (mut rows, mut truth, mut sides) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..1000 {
            let abusive = n % 10 < 3;
            let mut row = [0.0; COUNT];
            for (f, x) in row.iter_mut().enumerate() {
                let lift = if abusive && f % 32 == 7 { 3.0 } else { 0.0 };
                *x = dice.log_normal(1.0, 0.4).ln() as f32 * 2.5 + lift;
            }
            rows.push(row);
            truth.push(abusive);
            sides.push(if abusive && n % 3 == 0 { Side::Abusive(1.0) } else { Side::Unknown });
        }
        (rows, truth, sides)
    }

    #[test]
    fn the_unlabelled_are_not_taken_for_harmless() {
        let (rows, truth, sides) = pool();
        let found = estimate(&rows, &sides, 1).expect("trained").expect("enough");
        // Abusive clients without a label, and harmless ones.
        let mean = |wanted: bool| {
            let of =
                || (0..rows.len()).filter(|n| truth[*n] == wanted && sides[*n] == Side::Unknown);
            of().map(|n| found.abuse[n]).sum::<f64>() / of().count() as f64
        };
        assert!(mean(true) > 0.6 && mean(false) < 0.2, "{} and {}", mean(true), mean(false));
        assert!((0.15..0.6).contains(&found.labelled), "a third is labelled: {}", found.labelled);
        let again = estimate(&rows, &sides, 1).expect("trained").expect("enough");
        assert_eq!(found.abuse, again.abuse);
    }

    #[test]
    fn too_few_teach_nothing() {
        let (rows, _, mut sides) = pool();
        sides.fill(Side::Unknown);
        sides[..FEWEST - 1].fill(Side::Abusive(1.0));
        assert!(estimate(&rows, &sides, 1).expect("no error").is_none());
    }
}
