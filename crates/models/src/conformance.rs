//! The one suite that every model runs, and the rows that tests of models share.

use crate::file::{AnyModel, load, save};
use crate::{Model, TrainingSet};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tidegate_behavior::schema::{COUNT, Features};

/// Rows whose label depends on feature 0, on features 1 and 2 together, and on chance; features
/// from 40 on are shares in steps, the others are spread over several decades.
pub(crate) fn noisy_set(rows: usize, seed: u64) -> TrainingSet {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut set = TrainingSet::default();
    for i in 0..rows {
        let mut row = [0.0; COUNT];
        for (f, x) in row.iter_mut().enumerate() {
            *x = match f {
                40.. => f32::from(rng.random_range(0u8..5)) / 4.0,
                _ => rng.random_range(-3.0f32..3.0) * rng.random_range(0.0f32..1.0).exp(),
            };
        }
        let drive = row[0] + if row[1] > 0.0 && row[2] > 0.0 { 3.0 } else { -1.0 };
        let label = drive + rng.random_range(-1.0..1.0) > 0.0;
        set.push(row, label, rng.random_range(0.5..2.0), i as u32 / 4);
    }
    set
}

/// Rows that no training set holds.
fn wild_rows() -> Vec<Features> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut rows = vec![
        [0.0; COUNT],
        [-0.0; COUNT],
        [f32::MAX; COUNT],
        [f32::MIN; COUNT],
        [f32::MIN_POSITIVE; COUNT],
        [-1e-45; COUNT],
    ];
    let bits = |rng: &mut ChaCha8Rng| loop {
        let x = f32::from_bits(rng.random());
        if x.is_finite() {
            return x;
        }
    };
    rows.extend((0..500).map(|_| std::array::from_fn(|_| bits(&mut rng))));
    rows.extend(noisy_set(500, 2).rows);
    rows
}

/// Checks the contract of [`Model`].
pub(crate) fn run(model: AnyModel) {
    let bytes = save(&model, "conformance").unwrap();
    let (loaded, metadata) = load(&bytes).unwrap();
    assert_eq!(metadata, "conformance");
    assert_eq!(loaded, model);
    assert_eq!(loaded.kind(), model.kind());
    assert_eq!(save(&loaded, "conformance").unwrap(), bytes);

    for row in wild_rows() {
        let score = model.score_one(&row);
        assert!((0.0..=1.0).contains(&score), "score {score} of {row:?}");
        assert_eq!(score.to_bits(), model.score_one(&row).to_bits(), "score of {row:?} repeats");
        assert_eq!(score.to_bits(), loaded.score_one(&row).to_bits(), "loaded model's {row:?}");

        let explanation = model.explain(&row);
        assert!(explanation.margin.is_finite());
        assert_eq!(explanation.margin.to_bits(), model.margin(&row).to_bits());
        let sum = explanation.bias + explanation.contributions.iter().sum::<f32>();
        assert!((sum - explanation.margin).abs() <= 1e-4, "{sum} for {}", explanation.margin);
    }
    // Features are finite by contract, but a model must not pass on what is not.
    for x in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let score = model.score_one(&[x; COUNT]);
        assert!((0.0..=1.0).contains(&score), "score {score} of {x}");
    }
}
