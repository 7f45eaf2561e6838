//! Gradient-boosted trees, laid out so that one row is scored as quickly as a CPU can.
//!
//! Three ideas, each measured against simpler ones:
//!
//! - **Every condition is evaluated once.** All distinct `feature >= threshold` conditions of the
//!   whole forest are evaluated up front, sixteen at a time, into an array of `bool`. Trees then
//!   share the answers: a step down a tree is two loads and a shift, without a float comparison
//!   and without a branch that could be mispredicted. (QuickScorer, Lucchese et al., SIGIR 2015,
//!   also evaluates by feature and not by tree; on dense trees of depth 5 its updates of one
//!   bit vector for every false node cost more than five steps down.)
//! - **Thresholds are bfloat16.** Training rows are rounded down onto that [`grid`], so every
//!   threshold lies on it, and `x >= t` on floats is *exactly* `key(x) >= key(t)` on their upper
//!   sixteen bits in sign-magnitude order. That halves what is compared.
//! - **Trees are complete.** A tree of depth `D` has `2^D` slots (slot 0 is unused; the children
//!   of `i` are `2i` and `2i + 1`), so that there are no child pointers and the nodes of a tree of
//!   depth 5 fill one cache line. A shallow leaf is repeated below a node of no consequence.
//!
//! A model fails where no training row was: trees extrapolate as constants.

use crate::calibration::Calibration;
use crate::{Explanation, Model, ModelError};
use tidegate_behavior::schema::{COUNT, Features};

/// The deepest tree.
pub const MAX_DEPTH: usize = 8;
/// The most trees of a forest.
pub const MAX_TREES: usize = 2048;
/// The most distinct thresholds that one feature may have.
pub const MAX_THRESHOLDS: usize = 64;

/// How many conditions are evaluated at a time.
pub(crate) const LANES: usize = 16;
/// The most blocks of conditions that a forest of every feature and threshold needs.
pub(crate) const MAX_BLOCKS: usize = COUNT * MAX_THRESHOLDS / LANES;
/// Trees are summed in so many lanes, so that an addition need not wait for the one before.
const SUMS: usize = 4;

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
fn key(x: f32) -> i16 {
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
        if !bias.is_finite() {
            return Err(ModelError::NotFinite { what: "bias", index: 0 });
        }
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
        forest.pad();
        Ok(forest)
    }

    /// Adds trees that add nothing, until the number of trees is one of [`SUMS`].
    fn pad(&mut self) {
        let slots = 1 << self.depth;
        let padded = self.leaves.len().next_multiple_of(SUMS * slots);
        self.nodes.resize(padded, 0);
        self.values.resize(padded, 0.0);
        self.leaves.resize(padded, 0.0);
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

    /// Evaluates every condition; `CAPACITY` is at least `conditions()`.
    #[inline(always)]
    fn evaluate<const CAPACITY: usize>(&self, features: &Features) -> [bool; CAPACITY] {
        // 64 entries, so that the masked index below needs no check.
        let mut keys = [0i16; 64];
        for (k, x) in keys.iter_mut().zip(features) {
            *k = key(*x);
        }
        let mut holds = [false; CAPACITY];
        let blocks = self.block_features.iter().zip(&self.block_bounds);
        for ((feature, bounds), out) in blocks.zip(holds.as_chunks_mut::<LANES>().0) {
            let key = keys[usize::from(feature & 63)];
            for (o, bound) in out.iter_mut().zip(bounds) {
                *o = key > *bound;
            }
        }
        holds
    }

    #[inline(always)]
    fn sum<const SLOTS: usize, const CAPACITY: usize>(&self, features: &Features) -> f32 {
        let holds = self.evaluate::<CAPACITY>(features);
        let nodes = self.nodes.as_chunks::<SLOTS>().0.as_chunks::<SUMS>().0;
        let leaves = self.leaves.as_chunks::<SLOTS>().0.as_chunks::<SUMS>().0;
        let mut sums = [0.0f32; SUMS];
        for (nodes, leaves) in nodes.iter().zip(leaves) {
            for lane in 0..SUMS {
                let mut at = 1;
                for _ in 0..SLOTS.trailing_zeros() {
                    let condition = usize::from(nodes[lane][at & (SLOTS - 1)]) & (CAPACITY - 1);
                    at = at << 1 | usize::from(holds[condition]);
                }
                sums[lane] += leaves[lane][at & (SLOTS - 1)];
            }
        }
        self.bias + ((sums[0] + sums[1]) + (sums[2] + sums[3]))
    }

    #[inline]
    fn margin_with<const CAPACITY: usize>(&self, features: &Features) -> f32 {
        match self.depth {
            1 => self.sum::<2, CAPACITY>(features),
            2 => self.sum::<4, CAPACITY>(features),
            3 => self.sum::<8, CAPACITY>(features),
            4 => self.sum::<16, CAPACITY>(features),
            5 => self.sum::<32, CAPACITY>(features),
            6 => self.sum::<64, CAPACITY>(features),
            7 => self.sum::<128, CAPACITY>(features),
            _ => self.sum::<256, CAPACITY>(features),
        }
    }
}

impl Model for Trees {
    fn score_one(&self, features: &Features) -> f32 {
        self.calibration.probability(self.margin(features))
    }

    fn margin(&self, features: &Features) -> f32 {
        // The array of conditions is cleared for each row, so it is no larger than it must be.
        match self.conditions() {
            0..=1024 => self.margin_with::<1024>(features),
            1025..=2048 => self.margin_with::<2048>(features),
            _ => self.margin_with::<4096>(features),
        }
    }

    /// Path contributions (Saabas 2014): a feature is credited with the change of the mean output
    /// at each split on the row's path. Exact in sum; between features that say the same it
    /// credits the one that the trees asked, where Shapley values would share.
    fn explain(&self, features: &Features) -> Explanation {
        let holds = self.evaluate::<4096>(features);
        let slots = 1 << self.depth;
        let mut bias = f64::from(self.bias);
        let mut contributions = [0.0f64; COUNT];
        let trees = self.nodes.chunks_exact(slots).zip(self.values.chunks_exact(slots));
        for ((nodes, values), leaves) in trees.zip(self.leaves.chunks_exact(slots)) {
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
        Explanation {
            bias: bias as f32,
            contributions: contributions.map(|c| c as f32),
            margin: self.margin(features),
        }
    }

    fn kind(&self) -> &'static str {
        "trees"
    }
}

fn check_size(what: &'static str, found: usize, min: usize, max: usize) -> Result<(), ModelError> {
    if (min..=max).contains(&found) {
        return Ok(());
    }
    Err(ModelError::Size { what, offset: 0, found: found as u64, min: min as u64, max: max as u64 })
}

/// Checks one tree, notes its thresholds, and gives its depth.
fn check(t: usize, tree: &Tree, thresholds: &mut [Vec<i16>]) -> Result<usize, ModelError> {
    check_size("nodes of a tree", tree.len(), 1, 2 << MAX_DEPTH)?;
    let mut depths = vec![0; tree.len()];
    for (n, node) in tree.iter().enumerate() {
        if !node.value().is_finite() {
            return Err(ModelError::NotFinite { what: "node value of a tree,", index: n });
        }
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
