//! The forest laid out for AVX-512: thirty-two trees walked at once, without a gather.
//!
//! A walk down a tree looks up which node comes next, and a CPU does that a node at a time. Here
//! all thirty-two trees of a group go down a level together. A level of depth `d` has `2^d` nodes
//! a tree; node `p` of all the trees is one vector of features and one of bounds. The answers of
//! the levels above, one bit a tree and level, choose among these vectors by `2^d − 1` blends,
//! which is more work than one load and yet less than the wait for it: a blend takes half a cycle
//! for all trees, and no blend waits for memory that it has to find first. The key of each tree's
//! feature then comes out of two registers, which hold the whole row, by one permutation.
//!
//! The walk in `trees.rs` is the reference: both sum the same leaves in the same order, so a score
//! is the same to the bit on every CPU.

use crate::trees::{EXIT_STEP, SUMS, key};
use pulp::x86::V4;
use pulp::{NullaryFnOnce, cast};
use std::arch::x86_64::{__m256i, __m512i, __mmask32};
use std::ops::Range;
use tidegate_behavior::schema::{COUNT, Features};

/// The most levels that are laid out: deeper forests have too many nodes to blend.
const LEVELS: usize = 6;
/// How many trees a group holds: as many as a register has lanes of 16 bits.
const LANES: usize = 32;
const _: () = assert!(COUNT <= 2 * LANES, "a row's keys fit two registers");
const _: () = assert!(EXIT_STEP.is_multiple_of(LANES), "a row leaves between groups");

/// How many nodes a tree has.
const NODES: usize = (1 << LEVELS) - 1;

/// The nodes of thirty-two trees, level by level. Within a level the answer at the root is the
/// lowest bit of a node's place, so that what is known first chooses between neighbours.
#[derive(Clone, Debug, PartialEq)]
#[repr(align(64))]
struct Group {
    bounds: [[i16; LANES]; NODES],
    features: [[u8; LANES]; NODES],
}

/// A forest laid out for AVX-512.
#[derive(Clone, Debug)]
pub(crate) struct Wide {
    cpu: V4,
    depth: usize,
    groups: Vec<Group>,
}

impl PartialEq for Wide {
    fn eq(&self, other: &Self) -> bool {
        self.depth == other.depth && self.groups == other.groups
    }
}

impl Wide {
    /// Lays out complete trees of `depth` levels; `node` gives the feature and the bound (a row
    /// goes right when its key lies above) of a tree's slot. `None` when the CPU lacks AVX-512, or
    /// when the trees are too deep to gain from it.
    pub(crate) fn new(
        trees: usize,
        depth: usize,
        node: impl Fn(usize, usize) -> (u8, i16),
    ) -> Option<Self> {
        let cpu = V4::try_new()?;
        if trees == 0 || !(1..=LEVELS).contains(&depth) {
            return None;
        }
        // What fills up the last group; its leaves are never asked for.
        let nobody = Group { bounds: [[i16::MAX; LANES]; NODES], features: [[0; LANES]; NODES] };
        let mut groups = vec![nobody; trees.div_ceil(LANES)];
        for tree in 0..trees {
            for slot in 1..1usize << depth {
                let level = slot.ilog2();
                let first = (1 << level) - 1;
                // The answers that lead here, the root's lowest.
                let answers =
                    (0..level).fold(0, |bits, l| bits | (slot >> (level - 1 - l) & 1) << l);
                let group = &mut groups[tree / LANES];
                let (feature, bound) = node(tree, slot);
                group.features[first + answers][tree % LANES] = feature;
                group.bounds[first + answers][tree % LANES] = bound;
            }
        }
        Some(Self { cpu, depth, groups })
    }

    /// Adds the leaves that a row reaches in a range of trees, of `leaves` with `1 << depth` a tree.
    /// The range begins at a multiple of thirty-two trees, and ends at one or with the forest.
    #[inline]
    pub(crate) fn add(
        &self,
        leaves: &[f32],
        features: &Features,
        trees: Range<usize>,
        sums: &mut [f32; SUMS],
    ) {
        let slots = 1 << self.depth;
        let groups = self.groups.get(trees.start / LANES..trees.end.div_ceil(LANES));
        let leaves = leaves.get(trees.start * slots..trees.end * slots);
        let parts = leaves.unwrap_or_default().chunks(PART * LANES * slots);
        for (groups, leaves) in groups.unwrap_or_default().chunks(PART).zip(parts) {
            let mut reached = [[0; LANES]; PART];
            self.cpu.vectorize(Walk { wide: self, groups, features, reached: &mut reached });
            // Not under AVX-512: the compiler would gather, which takes longer than to load.
            let reached = reached.as_flattened().as_chunks::<SUMS>().0;
            for (trees, reached) in leaves.chunks_exact(SUMS * slots).zip(reached) {
                for (tree, (sum, leaf)) in sums.iter_mut().zip(reached).enumerate() {
                    *sum += trees[tree * slots + usize::from(*leaf)];
                }
            }
        }
    }
}

/// How many groups are walked at a call.
const PART: usize = 4;

/// What runs with AVX-512 switched on: which leaf each tree reaches.
struct Walk<'a> {
    wide: &'a Wide,
    groups: &'a [Group],
    features: &'a Features,
    reached: &'a mut [[u16; LANES]; PART],
}

impl NullaryFnOnce for Walk<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        match self.wide.depth {
            1 => self.walk::<1>(),
            2 => self.walk::<2>(),
            3 => self.walk::<3>(),
            4 => self.walk::<4>(),
            5 => self.walk::<5>(),
            _ => self.walk::<6>(),
        }
    }
}

/// Feature and bound of the node that each tree stands at.
type At = (__m256i, __m512i);

impl Walk<'_> {
    #[inline(always)]
    fn walk<const DEPTH: usize>(self) {
        let cpu = self.wide.cpu.avx512bw;
        let mut keys = [[0i16; LANES]; 2];
        for (key_of, x) in keys.as_flattened_mut().iter_mut().zip(self.features) {
            *key_of = key(*x);
        }
        let [low, high]: [__m512i; 2] = [cast(keys[0]), cast(keys[1])];
        let goes_right = |(feature, bound): At| {
            let feature = cpu._mm512_cvtepu8_epi16(feature);
            let keys = cpu._mm512_permutex2var_epi16(low, feature, high);
            cpu._mm512_cmpgt_epi16_mask(keys, bound)
        };
        for (i, group) in self.groups.iter().enumerate() {
            let mut answers: Answers = [0; LEVELS];
            let mut leaf: __m512i = cast([0i16; LANES]);
            for level in 0..DEPTH {
                let first = (1 << level) - 1;
                let at = match level {
                    0 => self.load(group, first, &answers),
                    1 => self.two(group, first, &answers),
                    2 => self.four(group, first, &answers),
                    3 => self.eight(group, first, &answers),
                    4 => self.sixteen(group, first, &answers),
                    _ => self.thirty_two(group, first, &answers),
                };
                answers[level] = goes_right(at);
                let bit = cpu._mm512_maskz_set1_epi16(answers[level], 1 << (DEPTH - 1 - level));
                leaf = self.wide.cpu.avx512f._mm512_or_si512(leaf, bit);
            }
            self.reached[i] = cast(leaf);
        }
    }

    /// The one of two that each tree's answer names.
    #[inline(always)]
    fn choose(&self, answer: __mmask32, left: At, right: At) -> At {
        let cpu = self.wide.cpu.avx512bw;
        (
            cpu._mm256_mask_blend_epi8(answer, left.0, right.0),
            cpu._mm512_mask_blend_epi16(answer, left.1, right.1),
        )
    }

    #[inline(always)]
    fn load(&self, group: &Group, node: usize, _: &Answers) -> At {
        (cast(group.features[node]), cast(group.bounds[node]))
    }
}

/// What each tree answered at each level.
type Answers = [__mmask32; LEVELS];

/// Choosing among `2^n` nodes by the answers of `n` levels, written out so that nothing leaves the
/// registers.
macro_rules! choosers {
    ($($name:ident = two of $below:ident, each of $half:literal, by level $level:literal;)*) => {
        impl Walk<'_> {$(
            #[inline(always)]
            fn $name(&self, group: &Group, first: usize, answers: &Answers) -> At {
                let left = self.$below(group, first, answers);
                let right = self.$below(group, first + $half, answers);
                self.choose(answers[$level], left, right)
            }
        )*}
    };
}

choosers! {
    two = two of load, each of 1, by level 0;
    four = two of two, each of 2, by level 1;
    eight = two of four, each of 4, by level 2;
    sixteen = two of eight, each of 8, by level 3;
    thirty_two = two of sixteen, each of 16, by level 4;
}
