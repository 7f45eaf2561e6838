//! Where a forest lets go of rows that are harmless beyond doubt, learned from held-out rows.

use crate::error::LARGEST;
use crate::trees::{EXIT_STEP, Exit};
use crate::{Model, ModelError, TrainingSet, Trees};

/// Of the weight of the abuse that the whole forest notices, no more than this share leaves at an exit.
const LOST: f64 = 0.0001;
/// What the whole forest notices: abuse to which it gives this probability at least. It is well below what
/// throttles, for company multiplies odds. With a tenth for it and one in two thousand
/// for what is lost, a few requests in hundreds left as harmless whose scraper was caught without.
const NOTICED: f32 = 0.02;
/// From this many noticed rows on exits are learned: of fewer, nothing can be said about one in ten thousand.
const ENOUGH: usize = 10_000;

/// The calibrated forest with exits, after 32 trees, 64, and so on up to half of it. Its margins are
/// others then, and have to be calibrated anew. Without enough rows it stays as it is.
///
/// # Errors
/// None but those of [`Trees::with_exits`], which do not come from here.
pub(crate) fn learn(trees: Trees, held: &TrainingSet) -> Result<Trees, ModelError> {
    let noticed: Vec<usize> = (0..held.len())
        .filter(|&i| held.labels[i] && trees.score_one(&held.rows[i]) >= NOTICED)
        .collect();
    if noticed.len() < ENOUGH {
        return Ok(trees);
    }
    let mut exits = Vec::new();
    let half = trees.trees().div_ceil(2);
    for after in (0..).map(|doubled| EXIT_STEP << doubled).take_while(|after| *after < half) {
        // Everybody leaves there, with what was summed up so far.
        let all = vec![Exit { trees: after, below: LARGEST }];
        let first = trees.clone().with_exits(all)?;
        let mut margins: Vec<(f32, f64)> = noticed
            .iter()
            .map(|&i| (first.margin(&held.rows[i]), f64::from(held.weights[i])))
            .collect();
        margins.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut left = LOST * margins.iter().map(|(_, weight)| weight).sum::<f64>();
        let stays = margins.iter().find(|(_, weight)| {
            left -= weight;
            left < 0.0
        });
        if let Some((below, _)) = stays {
            exits.push(Exit { trees: after, below: *below });
        }
    }
    trees.with_exits(exits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::noisy_set;
    use crate::train::{Params, finish, train};

    #[test]
    fn most_who_are_harmless_leave_and_hardly_any_abuse_does() {
        let params = Params {
            trees: 96,
            depth: 3,
            min_leaf_weight: 0.5,
            held_out: 0.5,
            ..Params::default()
        };
        let whole = train(&noisy_set(3000, 3), &params).unwrap();
        // Of so few rows nobody knows who may leave.
        assert!(whole.exits().is_empty());

        let held = noisy_set(40_000, 9);
        let early = finish(whole.clone(), &held, 1.0).unwrap();
        assert_eq!(early.exits().iter().map(|exit| exit.trees).collect::<Vec<_>>(), [32]);
        let unseen = noisy_set(20_000, 11);
        let left = |label: bool| {
            let of_label: Vec<_> = (0..unseen.len())
                .filter(|&i| unseen.labels[i] == label)
                .map(|i| &unseen.rows[i])
                .collect();
            let left = of_label.iter().filter(|row| early.margin(row) != whole.margin(row)).count();
            left as f64 / of_label.len() as f64
        };
        assert!(left(true) < 0.005, "{} of what is abusive", left(true));
        assert!(left(false) > 0.5, "{} of what is harmless", left(false));
    }
}
