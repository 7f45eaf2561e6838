//! Gradient-boosted trees, laid out so that one row is scored as quickly as a CPU can.
//!
//! Three ideas:
//!
//! - **Every condition is evaluated once.** All distinct `feature >= threshold` conditions of the
//!   whole forest are evaluated up front, sixteen at a time, into an array of bytes. Trees then
//!   share the answers: a step down a tree is two loads and an addition, without a float
//!   comparison and without a branch that could be mispredicted; eight trees go side by side.
//!   (QuickScorer, Lucchese et al., SIGIR 2015, also evaluates by feature and not by tree. It
//!   updates a bit vector for every false node, of which a dense tree of depth 5 has some fifteen
//!   for five steps down.)
//! - **Thresholds are bfloat16.** Training rows are rounded down onto that [`grid`], so every
//!   threshold lies on it, and `x >= t` on floats is *exactly* `key(x) >= key(t)` on their upper
//!   sixteen bits in sign-magnitude order. That halves what is compared.
//! - **Trees are complete.** A tree of depth `D` has `2^D` slots (slot 0 is unused; the children
//!   of `i` are `2i` and `2i + 1`), so that there are no child pointers and the nodes of a tree of
//!   depth 5 fill one cache line. A shallow leaf is repeated below a node of no consequence.
//!
//! And one that saves most: **whoever is harmless beyond doubt leaves early.** The first trees of a
//! boosted forest say most, the last ones part what is close. A forest with [`Exit`]s stops where
//! the sum so far is so low that what remains hardly ever lifted it. (Early exits of additive
//! ensembles: Cambazoglu et al., WSDM 2010; the soft cascade of Bourdev and Brandt, CVPR 2005.)
//!
//! A model fails where no training row was: trees extrapolate as constants.

use crate::calibration::Calibration;
use crate::error::{check_numbers, check_size};
use crate::wide::Wide;
use crate::{Explanation, Model, ModelError};
use std::ops::Range;
use tidegate_behavior::schema::{COUNT, Features};

/// The deepest tree.
pub const MAX_DEPTH: usize = 8;
/// The most trees of a forest, those that pad included.
pub const MAX_TREES: usize = 2048;
/// The most distinct thresholds that one feature may have.
pub const MAX_THRESHOLDS: usize = 64;

/// How many conditions are evaluated at a time.
pub(crate) const LANES: usize = 16;
/// The most blocks of conditions that a forest of every feature and threshold needs.
pub(crate) const MAX_BLOCKS: usize = COUNT * MAX_THRESHOLDS / LANES;
const _: () = assert!(MAX_BLOCKS * LANES <= 4096 && COUNT <= 64, "the arrays of scoring hold all");
/// How many trees are walked side by side.
pub(crate) const SUMS: usize = 8;
/// Exits lie after a multiple of so many trees: what the widest walk takes at a time.
pub const EXIT_STEP: usize = 32;
/// The most exits of a forest.
pub const MAX_EXITS: usize = 16;

/// One node of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Node {
    /// Rows with `features[feature] < threshold` go to node `left`, the others to `right`.
    Split {
        /// The feature's position in the schema.
        feature: usize,
        /// A bfloat16 number, see [`grid`].
        threshold: f32,
        /// The position of the left child, after this node's own.
        left: usize,
        /// The position of the right child, after this node's own.
        right: usize,
        /// The mean output of the training rows that came here, for explanations.
        value: f32,
    },
    /// The output, in log-odds.
    Leaf(f32),
}

impl Node {
    fn value(&self) -> f32 {
        match *self {
            Self::Split { value, .. } | Self::Leaf(value) => value,
        }
    }
}

/// A decision tree as a trainer gives it: the root first.
pub type Tree = Vec<Node>;

/// Where a row may leave the walk: after so many trees, with a margin so low.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exit {
    /// How many trees, from the first, are walked before it; a multiple of [`EXIT_STEP`].
    pub trees: usize,
    /// The margin of these trees below which the walk ends. That margin is then the row's.
    pub below: f32,
}

/// A forest of boosted trees, ready to score.
#[derive(Clone, Debug, PartialEq)]
pub struct Trees {
    pub(crate) depth: usize,
    pub(crate) bias: f32,
    pub(crate) calibration: Calibration,
    /// The feature that each block of conditions looks at.
    pub(crate) block_features: Vec<u8>,
    /// A condition holds when the feature's key lies above this.
    pub(crate) block_bounds: Vec<[i16; LANES]>,
    /// The condition of each slot, `1 << depth` slots a tree, slot 0 unused.
    pub(crate) nodes: Vec<u16>,
    /// `1 << depth` leaves a tree.
    pub(crate) leaves: Vec<f32>,
    /// The mean output at each slot, for explanations only, so apart from the hot arrays.
    pub(crate) values: Vec<f32>,
    /// Where rows leave the walk, the first exit first.
    pub(crate) exits: Vec<Exit>,
    /// The same trees for CPUs that can walk them side by side; made by [`Trees::checked`].
    pub(crate) wide: Option<Wide>,
}

/// The bfloat16 number at or next below `x`: what a training row holds in place of `x`.
///
/// Scoring needs no rounding: for a threshold `t` on the grid, `x >= t` and `grid(x) >= t` are
/// the same. Beyond the largest finite bfloat16 number the result stays finite.
#[must_use]
pub fn grid(x: f32) -> f32 {
    from_key(key(x.clamp(-MAX_GRID, MAX_GRID)))
}

/// The largest finite bfloat16 number.
const MAX_GRID: f32 = f32::from_bits(0x7f7f_0000);

/// The upper half of the float as an integer of the same order: monotone, and exact on the grid.
#[inline(always)]
pub(crate) fn key(x: f32) -> i16 {
    // Sign and magnitude made two's complement: 0.0 and −0.0 are one, and the shift rounds down.
    let bits = x.to_bits().cast_signed();
    let sign = bits >> 31;
    ((((bits & i32::MAX) ^ sign) - sign) >> 16) as i16
}

/// The bfloat16 number that has this key.
fn from_key(key: i16) -> f32 {
    let magnitude = f32::from_bits(u32::from(key.unsigned_abs()) << 16);
    if key < 0 { -magnitude } else { magnitude }
}

impl Trees {
    /// Lays out `trees`, whose outputs are summed onto `bias`, all in log-odds.
    ///
    /// # Errors
    /// When a tree is deeper than [`MAX_DEPTH`], a child does not follow its parent, a number is
    /// not finite, a feature is unknown, a threshold is off the [`grid`], a feature has more than
    /// [`MAX_THRESHOLDS`] thresholds, or there are more than [`MAX_TREES`] trees.
    pub fn new(bias: f32, trees: &[Tree], calibration: Calibration) -> Result<Self, ModelError> {
        check_size("number of trees", trees.len(), 0, MAX_TREES)?;
        let mut depth = 1;
        let mut thresholds: Vec<Vec<i16>> = vec![Vec::new(); COUNT];
        for (t, tree) in trees.iter().enumerate() {
            depth = depth.max(check(t, tree, &mut thresholds)?);
        }
        check_size("depth", depth, 1, MAX_DEPTH)?;

        let mut forest = Self {
            depth,
            bias,
            calibration,
            block_features: Vec::new(),
            block_bounds: Vec::new(),
            nodes: Vec::new(),
            leaves: Vec::new(),
            values: Vec::new(),
            exits: Vec::new(),
            wide: None,
        };
        let mut first_condition = [0; COUNT];
        for (feature, keys) in thresholds.iter_mut().enumerate() {
            keys.sort_unstable();
            keys.dedup();
            check_size("thresholds of a feature", keys.len(), 0, MAX_THRESHOLDS)?;
            first_condition[feature] = forest.block_features.len() * LANES;
            for chunk in keys.chunks(LANES) {
                // `key >= k` as `key > k − 1`; what pads a block holds for no key.
                let mut bounds = [i16::MAX; LANES];
                bounds.iter_mut().zip(chunk).for_each(|(bound, k)| *bound = k - 1);
                forest.block_features.push(feature as u8);
                forest.block_bounds.push(bounds);
            }
        }
        if forest.block_features.is_empty() {
            // Slots of no consequence still need a condition to look at.
            forest.block_features.push(0);
            forest.block_bounds.push([i16::MAX; LANES]);
        }

        let slots = 1 << depth;
        for tree in trees {
            // The node of `tree` at each position of the complete tree, leaves included.
            let mut place = vec![0; 2 * slots];
            for slot in 1..slots {
                let (condition, children) = match tree[place[slot]] {
                    Node::Split { feature, threshold, left, right, .. } => {
                        let rank = thresholds[feature].partition_point(|k| *k < key(threshold));
                        (first_condition[feature] + rank, [left, right])
                    }
                    Node::Leaf(_) => (0, [place[slot]; 2]),
                };
                place[2 * slot..2 * slot + 2].copy_from_slice(&children);
                if slot == 1 {
                    forest.nodes.push(0);
                    forest.values.push(0.0);
                }
                forest.nodes.push(condition as u16);
                forest.values.push(tree[place[slot]].value());
            }
            forest.leaves.extend(place[slots..].iter().map(|&n| tree[n].value()));
        }
        // Trees that add nothing fill the last group of them.
        let padded = forest.leaves.len().next_multiple_of(SUMS * slots);
        forest.nodes.resize(padded, 0);
        forest.values.resize(padded, 0.0);
        forest.leaves.resize(padded, 0.0);
        forest.checked()
    }

    /// Checks everything that scoring relies on, and lays the trees out for this CPU.
    pub(crate) fn checked(mut self) -> Result<Self, ModelError> {
        self.check()?;
        let condition = |tree: usize, slot: usize| {
            let condition = usize::from(self.nodes[(tree << self.depth) + slot]);
            let (block, lane) = (condition / LANES, condition % LANES);
            (self.block_features[block], self.block_bounds[block][lane])
        };
        self.wide = Wide::new(self.trees(), self.depth, condition);
        Ok(self)
    }

    fn check(&self) -> Result<(), ModelError> {
        check_size("depth", self.depth, 1, MAX_DEPTH)?;
        check_size("number of trees", self.trees(), 0, MAX_TREES)?;
        check_size("number of trees in the last group", self.trees() % SUMS, 0, 0)?;
        check_size("number of slots", self.nodes.len(), self.leaves.len(), self.leaves.len())?;
        check_size("number of means", self.values.len(), self.leaves.len(), self.leaves.len())?;
        let blocks = self.block_features.len();
        check_size("number of blocks", blocks, 1, MAX_BLOCKS)?;
        check_size("number of block bounds", self.block_bounds.len(), blocks, blocks)?;
        check_numbers("bias", &[self.bias])?;
        check_numbers("leaf", &self.leaves)?;
        check_numbers("mean", &self.values)?;
        if let Some(index) = self.block_features.iter().position(|f| usize::from(*f) >= COUNT) {
            let feature = usize::from(self.block_features[index]);
            return Err(ModelError::Feature { what: "block", index, feature, count: COUNT });
        }
        let count = self.conditions();
        if let Some(index) = self.nodes.iter().position(|n| usize::from(*n) >= count) {
            let target = usize::from(self.nodes[index]);
            return Err(ModelError::Reference { what: "slot", index, target, count });
        }
        self.check_exits()?;
        self.calibration.check()
    }

    fn check_exits(&self) -> Result<(), ModelError> {
        check_size("number of exits", self.exits.len(), 0, MAX_EXITS)?;
        let mut least = EXIT_STEP;
        for exit in &self.exits {
            check_size("number of trees before an exit", exit.trees, least, self.trees())?;
            check_size("number of trees over before an exit", exit.trees % EXIT_STEP, 0, 0)?;
            check_numbers("margin of an exit", &[exit.below])?;
            least = exit.trees + EXIT_STEP;
        }
        Ok(())
    }

    /// How many trees there are, those that only pad included.
    #[must_use]
    pub fn trees(&self) -> usize {
        self.leaves.len() >> self.depth
    }

    /// The depth of every tree, 1 to [`MAX_DEPTH`].
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// How many conditions are evaluated for a row.
    #[must_use]
    pub fn conditions(&self) -> usize {
        self.block_bounds.len() * LANES
    }

    /// The map from margins to probabilities.
    #[must_use]
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// The same forest with another map from margins to probabilities.
    #[must_use]
    pub fn with_calibration(self, calibration: Calibration) -> Self {
        Self { calibration, ..self }
    }

    /// Where rows leave the walk early.
    #[must_use]
    pub fn exits(&self) -> &[Exit] {
        &self.exits
    }

    /// The same forest with other exits. Rows that leave have another margin, so it has to be
    /// calibrated with them.
    ///
    /// # Errors
    /// When there are more than [`MAX_EXITS`], they are not in the order of their trees, one is not
    /// after a multiple of [`EXIT_STEP`] trees or after more than there are, or a margin is not finite.
    pub fn with_exits(self, exits: Vec<Exit>) -> Result<Self, ModelError> {
        let trees = Self { exits, ..self };
        trees.check_exits()?;
        Ok(trees)
    }

    /// Adds up leaves until a row leaves; `add` adds those of a range of trees. Gives the margin and
    /// how many trees it is of.
    #[inline]
    fn walk(&self, mut add: impl FnMut(Range<usize>, &mut [f32; SUMS])) -> (f32, usize) {
        let mut sums = [0.0f32; SUMS];
        let mut walked = 0;
        for exit in &self.exits {
            add(walked..exit.trees, &mut sums);
            walked = exit.trees;
            let margin = self.bias + sums.iter().sum::<f32>();
            if margin < exit.below {
                return (margin, walked);
            }
        }
        let all = self.trees();
        add(walked..all, &mut sums);
        (self.bias + sums.iter().sum::<f32>(), all)
    }

    /// The margin, and of how many trees, by what this CPU does best.
    #[inline]
    fn margin_of(&self, features: &Features) -> (f32, usize) {
        match &self.wide {
            Some(wide) => self.walk(|trees, sums| wide.add(&self.leaves, features, trees, sums)),
            None => self.plain_margin(features),
        }
    }

    /// Evaluates every condition into 0 or 1; `CAPACITY` is at least `conditions()`.
    #[inline]
    fn evaluate<const CAPACITY: usize>(&self, features: &Features, holds: &mut [u8; CAPACITY]) {
        // 64 entries, so that the masked index below needs no check.
        let mut keys = [0i16; 64];
        for (k, x) in keys.iter_mut().zip(features) {
            *k = key(*x);
        }
        let blocks = self.block_features.iter().zip(&self.block_bounds);
        for ((feature, bounds), out) in blocks.zip(holds.as_chunks_mut::<LANES>().0) {
            let key = keys[usize::from(feature & 63)];
            for (o, bound) in out.iter_mut().zip(bounds) {
                *o = u8::from(key > *bound);
            }
        }
    }

    /// Walks the trees side by side: a step waits for two loads, and other trees fill the wait.
    ///
    /// Not inlined: next to the evaluation it was measured more than twice as slow. The masks
    /// stand in for bounds checks and never change an index.
    #[inline(never)]
    fn add<const SLOTS: usize, const CAPACITY: usize>(
        &self,
        holds: &[u8; CAPACITY],
        trees: Range<usize>,
        sums: &mut [f32; SUMS],
    ) {
        let groups = trees.start / SUMS..trees.end / SUMS;
        let nodes = self.nodes.as_chunks::<SLOTS>().0.as_chunks::<SUMS>().0;
        let leaves = self.leaves.as_chunks::<SLOTS>().0.as_chunks::<SUMS>().0;
        let nodes = nodes.get(groups.clone()).unwrap_or_default();
        let leaves = leaves.get(groups).unwrap_or_default();
        for (nodes, leaves) in nodes.iter().zip(leaves) {
            let mut at = [1u32; SUMS];
            for _ in 0..SLOTS.trailing_zeros() {
                for (at, nodes) in at.iter_mut().zip(nodes) {
                    let condition = usize::from(nodes[*at as usize & (SLOTS - 1)]);
                    *at = *at * 2 + u32::from(holds[condition & (CAPACITY - 1)]);
                }
            }
            for ((sum, at), leaves) in sums.iter_mut().zip(at).zip(leaves) {
                *sum += leaves[at as usize & (SLOTS - 1)];
            }
        }
    }

    /// The margin by the walk that every CPU can do.
    fn plain_margin(&self, features: &Features) -> (f32, usize) {
        // The array of conditions is cleared for each row, so it is no larger than it must be.
        match self.conditions() {
            0..=512 => self.margin_with::<512>(features),
            513..=1024 => self.margin_with::<1024>(features),
            1025..=2048 => self.margin_with::<2048>(features),
            _ => self.margin_with::<4096>(features),
        }
    }

    #[inline]
    fn margin_with<const CAPACITY: usize>(&self, features: &Features) -> (f32, usize) {
        let mut holds = [0; CAPACITY];
        self.evaluate(features, &mut holds);
        self.walk(|trees, sums| match self.depth {
            1 => self.add::<2, CAPACITY>(&holds, trees, sums),
            2 => self.add::<4, CAPACITY>(&holds, trees, sums),
            3 => self.add::<8, CAPACITY>(&holds, trees, sums),
            4 => self.add::<16, CAPACITY>(&holds, trees, sums),
            5 => self.add::<32, CAPACITY>(&holds, trees, sums),
            6 => self.add::<64, CAPACITY>(&holds, trees, sums),
            7 => self.add::<128, CAPACITY>(&holds, trees, sums),
            _ => self.add::<256, CAPACITY>(&holds, trees, sums),
        })
    }
}

impl Model for Trees {
    fn score_one(&self, features: &Features) -> f32 {
        self.calibration.probability(self.margin(features))
    }

    fn margin(&self, features: &Features) -> f32 {
        self.margin_of(features).0
    }

    /// Path contributions (Saabas 2014): a feature is credited with the change of the mean output
    /// at each split on the row's path. Exact in sum; between features that say the same it
    /// credits the one that the trees asked, where Shapley values would share.
    fn explain(&self, features: &Features) -> Explanation {
        let mut holds = [0; 4096];
        self.evaluate(features, &mut holds);
        let slots = 1 << self.depth;
        let (margin, walked) = self.margin_of(features);
        let mut bias = f64::from(self.bias);
        let mut contributions = [0.0f64; COUNT];
        let trees = self.nodes.chunks_exact(slots).zip(self.values.chunks_exact(slots));
        for ((nodes, values), leaves) in trees.zip(self.leaves.chunks_exact(slots)).take(walked) {
            bias += f64::from(values[1]);
            let mut at = 1;
            while at < slots {
                let condition = usize::from(nodes[at]);
                let next = at << 1 | usize::from(holds[condition]);
                let value = if next < slots { values[next] } else { leaves[next - slots] };
                let feature = usize::from(self.block_features[condition / LANES]);
                contributions[feature] += f64::from(value) - f64::from(values[at]);
                at = next;
            }
        }
        Explanation { bias: bias as f32, contributions: contributions.map(|c| c as f32), margin }
    }

    fn kind(&self) -> &'static str {
        "trees"
    }
}

/// Checks one tree, notes its thresholds, and gives its depth.
fn check(t: usize, tree: &Tree, thresholds: &mut [Vec<i16>]) -> Result<usize, ModelError> {
    check_size("nodes of a tree", tree.len(), 1, 2 << MAX_DEPTH)?;
    let mut depths = vec![0; tree.len()];
    for (n, node) in tree.iter().enumerate() {
        let Node::Split { feature, threshold, left, right, .. } = *node else { continue };
        if feature >= COUNT {
            return Err(ModelError::Feature { what: "node", index: n, feature, count: COUNT });
        }
        if grid(threshold) != threshold {
            return Err(ModelError::Threshold { tree: t, feature, threshold });
        }
        for child in [left, right] {
            // Children follow their parents, so that there is no cycle to walk forever.
            if child <= n || child >= tree.len() {
                let (index, target, count) = (n, child, tree.len());
                return Err(ModelError::Reference { what: "node", index, target, count });
            }
            depths[child] = depths[child].max(depths[n] + 1);
        }
        thresholds[feature].push(key(threshold));
    }
    Ok(depths.into_iter().max().unwrap_or(0))
}

#[cfg(test)]
mod tests;
