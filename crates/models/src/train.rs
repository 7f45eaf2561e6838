//! Training of boosted trees with the library forust, and their way into the compact layout.
//!
//! Training runs on one thread and draws nothing at random, so the same rows and parameters give
//! the same bytes. Rows are put on the thresholds' [`grid`] first; scoring does not need that.

use crate::exits;
use crate::trees::{MAX_DEPTH, MAX_THRESHOLDS, MAX_TREES, Node, Tree, grid};
use crate::{Calibration, Model, ModelError, TrainingSet, Trees};
use forust_ml::{GradientBooster, Matrix};
use tidegate_behavior::schema::COUNT;

/// From this many held-out rows on, calibration is isotonic; below, Platt's two parameters.
const ISOTONIC_FROM: usize = 1000;

/// How trees are boosted.
///
/// There are no monotone constraints: the library bounds a constrained split's children, but not
/// what splits on other features make of them below, so the forest would not keep the promise.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    /// How many trees, at least 1.
    pub trees: usize,
    /// How deep a tree may become, 1 to [`MAX_DEPTH`].
    pub depth: usize,
    /// What each tree's output is multiplied by, above 0.
    pub learning_rate: f32,
    /// The pull of leaves to 0, in units of hessian.
    pub l2: f32,
    /// The least hessian a leaf may hold (a row holds its weight × p(1 − p)), above 0.
    pub min_leaf_weight: f32,
    /// The same as a share of the weight of all rows, 0 to below 1; the larger of the two holds.
    pub min_leaf_share: f64,
    /// The share of the features that each tree may split on, from one feature to 1: trees that lean
    /// on different ones err less alike.
    pub columns: f64,
    /// Features that no tree may split on, by position.
    pub without: Vec<usize>,
    /// Into how many bins a feature is cut, 2 to 63; a tree splits between bins.
    pub bins: u16,
    /// The share of groups held out of boosting, for calibration, between 0 and 1.
    pub held_out: f64,
    /// How many times over harmless rows count in calibration, above 0: boosting learns best from
    /// both kinds in comparable weight, and a probability holds where the mix is that of calibration.
    pub prior: f64,
    /// Draws which features each tree may split on; which groups are held out does not depend on it.
    pub seed: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            trees: 192,
            depth: 5,
            learning_rate: 0.15,
            l2: 1.0,
            min_leaf_weight: 10.0,
            min_leaf_share: 0.0,
            columns: 1.0,
            without: Vec::new(),
            bins: 48,
            held_out: 0.25,
            prior: 1.0,
            seed: 0,
        }
    }
}

impl Params {
    /// The rows to learn from and those held out, the same whatever is drawn in learning.
    #[must_use]
    pub fn hold_out(&self, set: &TrainingSet) -> (TrainingSet, TrainingSet) {
        set.split(self.held_out, 0)
    }

    fn check(&self) -> Result<(), ModelError> {
        let above_zero = |x: f32| x.is_finite() && x > 0.0;
        let problem = if !(1..=MAX_TREES).contains(&self.trees) {
            format!("{} trees asked for; ask for 1 to {MAX_TREES}", self.trees)
        } else if !(1..=MAX_DEPTH).contains(&self.depth) {
            format!("depth {} asked for; ask for 1 to {MAX_DEPTH}", self.depth)
        } else if !(2..MAX_THRESHOLDS).contains(&usize::from(self.bins)) {
            format!("{} bins asked for; ask for 2 to {}", self.bins, MAX_THRESHOLDS - 1)
        } else if !above_zero(self.learning_rate) || !above_zero(self.min_leaf_weight) {
            "learning rate and least leaf weight must be finite and above 0".into()
        } else if !(self.l2.is_finite() && self.l2 >= 0.0) {
            format!("l2 is {}; give a finite number of at least 0", self.l2)
        } else if !(self.min_leaf_share >= 0.0 && self.min_leaf_share < 1.0) {
            format!(
                "the least leaf share is {}; give a number from 0 to below 1",
                self.min_leaf_share
            )
        } else if !(self.columns * COUNT as f64 >= 1.0 && self.columns <= 1.0) {
            format!("columns is {}; give a share of the features from 1/{COUNT} to 1", self.columns)
        } else if !(self.held_out > 0.0 && self.held_out < 1.0) {
            format!("{} of the groups held out; hold out between 0 and 1", self.held_out)
        } else if !(self.prior.is_finite() && self.prior > 0.0) {
            format!("prior is {}; give a finite number above 0", self.prior)
        } else {
            return Ok(());
        };
        Err(ModelError::Training { problem })
    }
}

/// Boosts trees on a part of the groups and calibrates them on the others.
///
/// # Errors
/// When a parameter is out of range, the set cannot be trained on (see [`TrainingSet::check`]),
/// or either part of the groups holds rows of one label only.
pub fn train(set: &TrainingSet, params: &Params) -> Result<Trees, ModelError> {
    params.check()?;
    set.check()?;
    let (boosted, held) = params.hold_out(set);
    for (part, rows) in [("boosting", &boosted), ("calibration", &held)] {
        rows.check().map_err(|e| ModelError::Training {
            problem: format!(
                "in the part for {part}: {e}, of two groups at least (clients, say), for one part of them \
                 is learned from and the other tells how far to believe what was learned"
            ),
        })?;
    }
    finish(compile(&boost(&boosted, params)?)?, &held, params.prior)
}

/// Calibrates a forest on rows that it has not learned from, and lets those who are harmless beyond doubt
/// leave it early; `prior` is as in [`Params`].
///
/// # Errors
/// When the rows cannot be calibrated on: of one label only, say.
pub fn finish(trees: Trees, held: &TrainingSet, prior: f64) -> Result<Trees, ModelError> {
    let weights = held.calm(prior);
    let calibrated = |trees: Trees| {
        let margins: Vec<f32> = held.rows.iter().map(|row| trees.margin(row)).collect();
        let fit =
            if held.len() < ISOTONIC_FROM { Calibration::platt } else { Calibration::isotonic };
        Ok(trees.with_calibration(fit(&margins, &held.labels, &weights)?))
    };
    calibrated(exits::learn(calibrated(trees)?, held)?)
}

/// Boosts trees on the whole set with the library.
///
/// # Errors
/// When a parameter is out of range or the set cannot be trained on.
pub fn boost(set: &TrainingSet, params: &Params) -> Result<GradientBooster, ModelError> {
    params.check()?;
    set.check()?;
    let weight: f64 = set.weights.iter().map(|w| f64::from(*w)).sum();
    let mut booster = GradientBooster::default()
        .set_iterations(params.trees)
        .set_max_depth(params.depth)
        .set_learning_rate(params.learning_rate)
        .set_l2(params.l2)
        .set_min_leaf_weight(params.min_leaf_weight.max((weight * params.min_leaf_share) as f32))
        .set_nbins(params.bins)
        .set_colsample_bytree(params.columns)
        .set_allow_missing_splits(false)
        .set_initialize_base_score(true)
        .set_seed(params.seed)
        // Sums in another order would give other bits.
        .set_parallel(false);
    let columns = columns(set, params);
    let data = Matrix::new(&columns, set.len(), COUNT);
    let labels: Vec<f64> = set.labels.iter().map(|y| f64::from(u8::from(*y))).collect();
    let weights: Vec<f64> = set.weights.iter().map(|w| f64::from(*w)).collect();
    booster
        .fit(&data, &labels, &weights, None)
        .map_err(|e| ModelError::Training { problem: e.to_string() })?;
    Ok(booster)
}

/// Of so many rows at most, evenly taken, it is decided where bins begin.
const BINNED: usize = 1 << 20;

/// The rows, one column after the other, each value on the grid at the beginning of its bin: left no more
/// values than it may tell apart, the library splits between any two of them.
fn columns(set: &TrainingSet, params: &Params) -> Vec<f64> {
    let stride = set.len().div_ceil(BINNED).max(1);
    let sample: Vec<usize> = (0..set.len()).step_by(stride).collect();
    let mut masses = [0.0; 2];
    for &n in &sample {
        masses[usize::from(set.labels[n])] += f64::from(set.weights[n]);
    }
    let mut columns = Vec::with_capacity(COUNT * set.len());
    for feature in 0..COUNT {
        if params.without.contains(&feature) {
            columns.resize(columns.len() + set.len(), 0.0);
            continue;
        }
        let mut values: Vec<(f32, [f64; 2])> = sample
            .iter()
            .map(|&n| {
                let kind = usize::from(set.labels[n]);
                let mut mass = [0.0; 2];
                mass[kind] = f64::from(set.weights[n]) / masses[kind];
                (grid(set.rows[n][feature]), mass)
            })
            .collect();
        values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        values.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1.iter_mut().zip(next.1).for_each(|(sum, mass)| *sum += mass);
            }
            same
        });
        let begins = begins(&values, usize::from(params.bins));
        columns.extend(set.rows.iter().map(|row| {
            let at = begins.partition_point(|begin| *begin <= grid(row[feature]));
            f64::from(begins[at.saturating_sub(1)])
        }));
    }
    columns
}

/// Where harmless rows thin out: an edge lies beyond so much of them, for what only one in a thousand does is
/// worth telling from what one in a hundred does.
const RIMS: [f64; 4] = [0.001, 0.005, 0.995, 0.999];

/// Where the bins of a feature begin, at most so many. `values` are distinct and ascending, each with its share
/// of harmless and of abusive rows. Both kinds count the same: by the weight of all rows, what few abusers
/// do would lie in one bin with the busiest of everybody. A value that fills a bin has one to itself and the
/// others share what is left, so that a feature which is 0 of nearly everybody has bins all the same (as the
/// greedy bins of LightGBM do; Ke et al., NeurIPS 2017).
fn begins(values: &[(f32, [f64; 2])], bins: usize) -> Vec<f32> {
    if values.len() <= bins {
        return values.iter().map(|(value, _)| *value).collect();
    }
    // With bins that hold so much of the two kinds together.
    let place = |each: f64| -> Vec<f32> {
        let (mut held, mut full, mut below) = (0.0, true, 0.0);
        // Of few bins these would be most.
        let mut rims = if bins < 16 { [].iter() } else { RIMS.iter() }.peekable();
        let begins = values.iter().filter(|(_, [harmless, abusive])| {
            let mut rim = false;
            below += harmless;
            while rims.next_if(|rim| below > **rim).is_some() {
                rim = true;
            }
            let mass = harmless + abusive;
            let begins = full || rim || held >= each || mass >= each;
            held = if begins { mass } else { held + mass };
            full = mass >= each;
            begins
        });
        begins.map(|(value, _)| *value).collect()
    };
    // The narrowest bins of which there are not too many.
    let (mut narrow, mut wide) = (0.0, 2.0);
    for _ in 0..24 {
        let middle = (narrow + wide) / 2.0;
        if place(middle).len() > bins {
            narrow = middle;
        } else {
            wide = middle;
        }
    }
    let mut found = place(wide);
    // One value may hold most of all.
    found.truncate(bins);
    found
}

/// Lays out the library's trees; margins stay its own up to the rounding of `f32` sums.
///
/// # Errors
/// When the booster does not fit the layout, see [`Trees::new`]; one from [`boost`] always does.
pub fn compile(booster: &GradientBooster) -> Result<Trees, ModelError> {
    let trees: Vec<Tree> = booster.trees.iter().map(tree).collect();
    Trees::new(booster.base_score as f32, &trees, Calibration::default())
}

fn tree(source: &forust_ml::tree::Tree) -> Tree {
    // From the leaves up: the mean output below each node, weighted by the rows that went there.
    let mut means: Vec<f64> = source.nodes.iter().map(|n| f64::from(n.weight_value)).collect();
    for (i, node) in source.nodes.iter().enumerate().rev().filter(|(_, n)| !n.is_leaf) {
        let (left, right) = (node.left_child, node.right_child);
        let cover = |child: usize| f64::from(source.nodes[child].hessian_sum);
        let total = cover(left) + cover(right);
        means[i] = (cover(left) * means[left] + cover(right) * means[right]) / total;
    }
    let nodes = source.nodes.iter().zip(means);
    nodes
        .map(|(node, mean)| {
            if node.is_leaf {
                return Node::Leaf(node.weight_value);
            }
            Node::Split {
                feature: node.split_feature,
                threshold: node.split_value as f32,
                left: node.left_child,
                right: node.right_child,
                value: mean as f32,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Spoil = fn(&mut Params);
    use crate::conformance::{self, noisy_set};
    use crate::file::{AnyModel, save};
    use crate::metrics::Ranking;
    use proptest::prelude::*;
    use std::sync::LazyLock;
    use tidegate_behavior::Features;

    static SET: LazyLock<TrainingSet> = LazyLock::new(|| noisy_set(1500, 3));
    static BOOSTER: LazyLock<(GradientBooster, Trees)> = LazyLock::new(|| {
        let params = Params { trees: 40, bins: 63, min_leaf_weight: 0.5, ..Params::default() };
        let booster = boost(&SET, &params).unwrap();
        let trees = compile(&booster).unwrap();
        (booster, trees)
    });

    fn library_margin(booster: &GradientBooster, row: &Features) -> f64 {
        let row: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
        booster.predict(&Matrix::new(&row, 1, COUNT), false)[0]
    }

    /// Every threshold of the booster, with its neighbours on either side.
    fn edges(booster: &GradientBooster) -> Vec<f32> {
        let nodes = booster.trees.iter().flat_map(|t| &t.nodes).filter(|n| !n.is_leaf);
        nodes
            .map(|n| n.split_value as f32)
            .flat_map(|t| [t, t.next_down(), t.next_up(), -t, grid(t.next_down())])
            .collect()
    }

    static EDGES: LazyLock<Vec<f32>> = LazyLock::new(|| edges(&BOOSTER.0));

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn margins_are_the_librarys(
            picks in prop::collection::vec((0u8..8, any::<prop::sample::Index>(), any::<f32>()), COUNT)
        ) {
            let mut row = [0.0; COUNT];
            for (x, (kind, index, wild)) in row.iter_mut().zip(picks) {
                *x = match kind {
                    0 => if wild.is_finite() { wild } else { 0.0 },
                    1 => -0.0,
                    2 | 3 => SET.rows[index.index(SET.len())][0],
                    _ => EDGES[index.index(EDGES.len())],
                };
            }
            let (booster, trees) = &*BOOSTER;
            let (ours, theirs) = (trees.margin(&row), library_margin(booster, &row));
            prop_assert!((f64::from(ours) - theirs).abs() < 1e-5, "{ours} and {theirs}");
        }
    }

    #[test]
    fn margins_are_the_librarys_on_its_own_rows_at_every_depth() {
        for depth in 1..=MAX_DEPTH {
            let params = Params { trees: 9, depth, min_leaf_weight: 0.1, ..Params::default() };
            let booster = boost(&SET, &params).unwrap();
            let trees = compile(&booster).unwrap();
            assert_eq!(trees.depth(), depth);
            for row in &SET.rows[..300] {
                let (ours, theirs) = (f64::from(trees.margin(row)), library_margin(&booster, row));
                assert!((ours - theirs).abs() < 1e-5, "depth {depth}: {ours} and {theirs}");
            }
        }
    }

    #[test]
    fn what_is_rare_has_bins_of_its_own() {
        // 0 of 99 in 100, and of few abusers from 1 to 100.
        let mut values = vec![(0.0, [0.99, 0.9])];
        values.extend((1..=100u8).map(|n| (f32::from(n), [1e-4, 1e-3])));
        let found = begins(&values, 48);
        assert!(
            found[0] == 0.0 && found[1] == 1.0 && (30..=48).contains(&found.len()),
            "{found:?}"
        );
        assert!(found.windows(2).all(|pair| pair[0] < pair[1] && pair[1] - pair[0] < 4.0));
        assert!(*found.last().unwrap() > 96.0);

        // The rim of what is harmless is found where nobody is abusive.
        let even: Vec<_> = (0..2000u16).map(|n| (f32::from(n), [1.0 / 2000.0, 0.0])).collect();
        let found = begins(&even, 16);
        assert!(found.len() <= 16 && found[0] == 0.0, "{found:?}");
        for rim in [2.0, 10.0, 1990.0, 1998.0] {
            assert!(found.iter().any(|begin| (begin - rim).abs() < 2.0), "{rim} {found:?}");
        }
        assert_eq!(begins(&even[..30], 48).len(), 30);
        assert!(begins(&even, 2).len() <= 2);
    }

    #[test]
    fn a_forest_splits_on_what_one_row_in_two_hundred_has() {
        let mut set = TrainingSet::default();
        for n in 0..20_000u16 {
            let mut row = [0.0; COUNT];
            row[0] = f32::from(n % 977);
            let abusive = n % 200 == 0;
            row[7] = if abusive { 1.0 + f32::from(n / 200) } else { 0.0 };
            // Other abuse is not to be told.
            set.push(row, abusive || n % 50 == 1, 1.0, u32::from(n % 40));
        }
        let params = Params { trees: 1, min_leaf_weight: 0.1, ..Params::default() };
        let booster = boost(&set, &params).unwrap();
        let splits = |booster: &GradientBooster, feature: usize| {
            let mut nodes = booster.trees.iter().flat_map(|tree| &tree.nodes);
            nodes.any(|node| !node.is_leaf && node.split_feature == feature)
        };
        assert!(splits(&booster, 7));
        let without = boost(&set, &Params { without: vec![7], ..params }).unwrap();
        assert!(!splits(&without, 7) && splits(&without, 0), "it is not heard, and others are");
    }

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        let params = Params { trees: 12, columns: 0.4, ..Params::default() };
        let bytes = || save(&AnyModel::Trees(train(&SET, &params).unwrap()), "test").unwrap();
        assert_eq!(bytes(), bytes());
        let other = Params { seed: 9, ..params.clone() };
        let other = save(&AnyModel::Trees(train(&SET, &other).unwrap()), "test").unwrap();
        assert_ne!(bytes(), other, "trees that lean on other features");
    }

    #[test]
    fn trained_trees_conform_and_rank_unseen_groups() {
        let trees = train(&SET, &Params { trees: 40, ..Params::default() }).unwrap();
        let unseen = noisy_set(1000, 77);
        let scores: Vec<f32> = unseen.rows.iter().map(|row| trees.score_one(row)).collect();
        let auc = Ranking::new(&scores, &unseen.labels, &unseen.weights).roc_auc().unwrap();
        assert!(auc > 0.85, "ROC-AUC {auc}");
        conformance::run(AnyModel::Trees(trees));
    }

    #[test]
    fn a_prior_moves_odds_and_nothing_else() {
        let small = Params { trees: 20, ..Params::default() };
        let plain = train(&SET, &small).unwrap();
        let calm = train(&SET, &Params { prior: 4.0, ..small }).unwrap();
        let odds = |p: f32| p / (1.0 - p);
        for row in &noisy_set(200, 5).rows {
            assert_eq!(plain.margin(row), calm.margin(row));
            let (before, after) = (plain.score_one(row), calm.score_one(row));
            if (0.05..0.95).contains(&before) {
                let ratio = odds(before) / odds(after);
                assert!((2.0..8.0).contains(&ratio), "{before} {after}");
            }
        }
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let spoiled: [(Spoil, &str); 11] = [
            (|p| p.trees = 0, "0 trees"),
            (|p| p.depth = 9, "depth 9"),
            (|p| p.bins = 64, "64 bins"),
            (|p| p.learning_rate = f32::NAN, "learning rate"),
            (|p| p.min_leaf_share = 1.0, "leaf share is 1"),
            (|p| p.l2 = -1.0, "l2 is -1"),
            (|p| p.columns = 0.0, "columns is 0"),
            (|p| p.columns = f64::NAN, "columns is NaN"),
            (|p| p.columns = 1.1, "columns is 1.1"),
            (|p| p.held_out = 1.0, "1 of the groups"),
            (|p| p.prior = 0.0, "prior is 0"),
        ];
        for (spoil, expected) in spoiled {
            let mut params = Params::default();
            spoil(&mut params);
            let message = train(&SET, &params).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
