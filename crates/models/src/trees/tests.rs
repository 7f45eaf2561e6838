//! The layout of forests against a plain walk, its exits and its refusals.

use super::*;
use crate::conformance;
use crate::file::AnyModel;
use proptest::prelude::*;

fn split(feature: usize, threshold: f32, left: usize, right: usize) -> Node {
    Node::Split { feature, threshold, left, right, value: 0.125 }
}

/// The plain walk that the layout must agree with.
fn plain(tree: &Tree, features: &Features) -> f32 {
    let mut at = 0;
    loop {
        match tree[at] {
            Node::Leaf(value) => return value,
            Node::Split { feature, threshold, left, right, .. } => {
                at = if features[feature] < threshold { left } else { right };
            }
        }
    }
}

/// A lopsided tree: a leaf on the root's left, a chain on its right.
fn lopsided() -> Tree {
    vec![
        split(0, 1.0, 1, 2),
        Node::Leaf(-2.0),
        split(1, -3.5, 3, 4),
        Node::Leaf(0.5),
        split(0, 2.0, 5, 6),
        Node::Leaf(1.0),
        Node::Leaf(4.0),
    ]
}

#[test]
fn it_conforms() {
    let forest: Vec<Tree> = (0..7).map(|_| lopsided()).collect();
    let trees = Trees::new(-1.0, &forest, Calibration::default()).unwrap();
    conformance::run(AnyModel::Trees(trees));
    let empty = Trees::new(0.25, &[], Calibration::default()).unwrap();
    assert_eq!(empty.margin(&[1.0; COUNT]), 0.25);
    conformance::run(AnyModel::Trees(empty));
    let stump = Trees::new(0.0, &[vec![Node::Leaf(0.75)]], Calibration::default()).unwrap();
    assert_eq!(stump.margin(&[1.0; COUNT]), 0.75);
}

#[test]
fn a_path_is_credited_by_hand() {
    let trees = Trees::new(-1.0, &[lopsided()], Calibration::default()).unwrap();
    let mut features = [0.0; COUNT];
    features[0] = 2.0;
    let explanation = trees.explain(&features);
    // Root 0.125, feature 1 at 0.125 and feature 0 from 0.125 to 4.
    assert_eq!(explanation.bias, -0.875);
    assert_eq!(explanation.top(9).collect::<Vec<_>>(), [(0, 3.875)]);
    assert_eq!(explanation.margin, 3.0);
}

/// Sixty-four trees: a hundredth for or against by feature 0, then as many by feature 1.
fn two_halves() -> Trees {
    let stump = |f| vec![split(f, 1.0, 1, 2), Node::Leaf(-0.01), Node::Leaf(0.01)];
    let forest: Vec<Tree> = (0..64).map(|t| stump(t / 32)).collect();
    Trees::new(0.5, &forest, Calibration::default()).unwrap()
}

#[test]
fn who_is_harmless_beyond_doubt_leaves_early() {
    let whole = two_halves();
    let early = whole.clone().with_exits(vec![Exit { trees: 32, below: 0.2 }]).unwrap();
    let mut features = [0.0; COUNT];
    features[1] = 1.0;
    assert!((whole.margin(&features) - 0.5).abs() < 1e-5);
    assert!((early.margin(&features) - 0.18).abs() < 1e-5, "{}", early.margin(&features));
    // What is not looked at any more explains nothing.
    assert_eq!(early.explain(&features).top(9).map(|(f, _)| f).collect::<Vec<_>>(), [0]);
    assert_eq!(early.explain(&features).margin, early.margin(&features));
    // Nobody else does.
    features[0] = 1.0;
    assert_eq!(early.margin(&features).to_bits(), whole.margin(&features).to_bits());
    assert_eq!(early.explain(&features), whole.explain(&features));
    conformance::run(AnyModel::Trees(early));
}

#[test]
fn exits_out_of_place_are_refused() {
    let refused = |exits: &[(usize, f32)]| {
        let exits = exits.iter().map(|&(trees, below)| Exit { trees, below }).collect();
        two_halves().with_exits(exits).unwrap_err().to_string()
    };
    assert!(refused(&[(33, 0.0)]).contains("trees over before an exit is 1"));
    assert!(refused(&[(0, 0.0)]).contains("trees before an exit is 0"));
    assert!(refused(&[(96, 0.0)]).contains("trees before an exit is 96"));
    assert!(refused(&[(64, 0.0), (32, 0.0)]).contains("trees before an exit is 32"));
    assert!(refused(&[(32, f32::NAN)]).contains("margin of an exit"));
    assert!(refused(&[(32, 0.0); 17]).contains("number of exits is 17"));
}

#[test]
fn flawed_trees_are_refused() {
    let refused =
        |tree: Tree| Trees::new(0.0, &[tree], Calibration::default()).unwrap_err().to_string();
    let leaf = Node::Leaf(1.0);
    assert!(refused(vec![]).contains("nodes of a tree is 0"));
    assert!(
        refused(vec![split(COUNT, 1.0, 1, 2), leaf, leaf]).contains(&format!("feature {COUNT}"))
    );
    assert!(refused(vec![split(0, 0.1, 1, 2), leaf, leaf]).contains("not a bfloat16"));
    assert!(refused(vec![split(0, f32::NAN, 1, 2), leaf, leaf]).contains("not a bfloat16"));
    assert!(refused(vec![split(0, 1.0, 0, 1), leaf]).contains("points at 0"));
    assert!(refused(vec![split(0, 1.0, 1, 3), leaf, leaf]).contains("points at 3"));
    assert!(refused(vec![Node::Leaf(f32::INFINITY)]).contains("is inf"));
    let chain = (0..9).flat_map(|i| [split(0, i as f32, 2 * i + 1, 2 * i + 2), leaf]);
    assert!(refused(chain.chain([leaf]).collect()).contains("depth is 9"));
    let wide: Vec<Tree> = (0..65).map(|i| vec![split(0, i as f32, 1, 2), leaf, leaf]).collect();
    let message = Trees::new(0.0, &wide, Calibration::default()).unwrap_err().to_string();
    assert!(message.contains("thresholds of a feature is 65"), "{message}");
}

fn finite() -> impl Strategy<Value = f32> {
    prop_oneof![any::<f32>().prop_filter("finite", |x| x.is_finite()), -4.0f32..4.0]
}

/// A complete tree of some depth with random splits, as children after parents.
fn any_tree() -> impl Strategy<Value = Tree> {
    (1usize..=MAX_DEPTH.min(6))
        .prop_flat_map(|depth| {
            let inner = prop::collection::vec((0..COUNT, finite()), (1 << depth) - 1);
            (inner, prop::collection::vec(-3.0f32..3.0, 1 << depth))
        })
        .prop_map(|(inner, leaves)| {
            let nodes = inner.into_iter().enumerate();
            let splits = nodes.map(|(i, (f, t))| split(f, grid(t), 2 * i + 1, 2 * i + 2));
            splits.chain(leaves.into_iter().map(Node::Leaf)).collect()
        })
}

proptest! {
    #[test]
    fn the_layout_agrees_with_a_plain_walk(
        forest in prop::collection::vec(any_tree(), 1..12),
        rows in prop::collection::vec(prop::collection::vec(finite(), COUNT), 10),
    ) {
        let trees = Trees::new(0.5, &forest, Calibration::default()).unwrap();
        let thresholds: Vec<(usize, f32)> = forest
            .iter()
            .flatten()
            .filter_map(|node| match *node {
                Node::Split { feature, threshold, .. } => Some((feature, threshold)),
                Node::Leaf(_) => None,
            })
            .collect();
        for (i, row) in rows.iter().enumerate() {
            let mut features = [0.0; COUNT];
            features.copy_from_slice(row);
            // Rows on a threshold and right beside it.
            for (feature, threshold) in thresholds.iter().skip(i).step_by(7) {
                features[*feature] = match i % 4 {
                    0 => *threshold,
                    1 => threshold.next_down(),
                    2 => threshold.next_up(),
                    _ => -*threshold,
                };
            }
            let sum = forest.iter().map(|tree| f64::from(plain(tree, &features))).sum::<f64>();
            prop_assert!((f64::from(trees.margin(&features)) - 0.5 - sum).abs() < 1e-4);
            // Whatever this CPU can do, the score is that of every other.
            let plain = trees.plain_margin(&features);
            prop_assert_eq!(trees.margin(&features).to_bits(), plain.0.to_bits());
        }
    }

    #[test]
    fn a_row_leaves_with_the_sum_of_the_trees_before(
        forest in prop::collection::vec(any_tree(), 1..12),
        rows in prop::collection::vec(prop::collection::vec(finite(), COUNT), 10),
        margins in prop::collection::vec(-40.0f32..40.0, 3),
    ) {
        let forest: Vec<Tree> = forest.into_iter().cycle().take(200).collect();
        let exits: Vec<Exit> = [32, 64, 160]
            .into_iter()
            .zip(margins)
            .map(|(trees, below)| Exit { trees, below })
            .collect();
        let trees = Trees::new(0.5, &forest, Calibration::default()).unwrap();
        let trees = trees.with_exits(exits.clone()).unwrap();
        for row in rows {
            let mut features = [0.0; COUNT];
            features.copy_from_slice(&row);
            let (margin, walked) = trees.margin_of(&features);
            let sum = |count: usize| {
                let first = forest.iter().take(count);
                0.5 + first.map(|tree| f64::from(plain(tree, &features))).sum::<f64>()
            };
            prop_assert!((f64::from(margin) - sum(walked)).abs() < 1e-3);
            // At no exit that it passed was it below, but at the last.
            for exit in exits.iter().filter(|exit| exit.trees <= walked) {
                let left = exit.trees == walked;
                prop_assert!(left == (sum(exit.trees) < f64::from(exit.below) + 1e-3)
                    || (sum(exit.trees) - f64::from(exit.below)).abs() < 1e-3);
            }
            prop_assert_eq!(trees.plain_margin(&features), (margin, walked));
        }
    }

    #[test]
    fn keys_keep_the_order_and_are_exact_on_the_grid(x in finite(), t in finite()) {
        let t = grid(t);
        prop_assert_eq!(x >= t, key(x) >= key(t));
        prop_assert!(grid(x) <= x || x < -MAX_GRID);
        prop_assert_eq!(grid(grid(x)), grid(x));
        prop_assert!((x - grid(x)).abs() <= x.abs() / 128.0 + f32::MIN_POSITIVE);
    }
}
