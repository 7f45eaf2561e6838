//! Scoring one row: the compact trees, the library's own walk over the same trees, and the
//! logistic baseline; rows rotate so that branches cannot be learned by heart.

use criterion::{Criterion, criterion_group, criterion_main};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::hint::black_box;
use std::time::Duration;
use tidegate_behavior::schema::{COUNT, Features};
use tidegate_models::train::{Params, boost, compile};
use tidegate_models::{Calibration, Logistic, Model, TrainingSet};

/// Rows with a label that every feature has a part in, so that trees use them all.
fn rows(count: usize, seed: u64) -> TrainingSet {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut set = TrainingSet::default();
    for i in 0..count {
        let row: Features = std::array::from_fn(|_| rng.random_range(-2.0..2.0));
        let drive: f32 = row.as_chunks::<2>().0.iter().map(|[a, b]| a * b + a).sum();
        set.push(row, drive + rng.random_range(-4.0..4.0) > 0.0, 1.0, i as u32);
    }
    set
}

fn inference(criterion: &mut Criterion) {
    let set = rows(4000, 1);
    let probes = rows(1024, 2).rows;
    let wide: Vec<[f64; COUNT]> = probes.iter().map(|row| row.map(f64::from)).collect();
    let mut group = criterion.benchmark_group("one row");
    group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(400));
    for (trees, depth, bins) in [(64, 5, 32), (64, 5, 48), (100, 5, 48), (100, 6, 48)] {
        let params = Params { trees, depth, bins, min_leaf_weight: 0.5, ..Params::default() };
        let booster = boost(&set, &params).expect("the rows are sound");
        let margins = compile(&booster).expect("boosted trees fit the layout");
        let raw: Vec<f32> = set.rows.iter().map(|row| margins.margin(row)).collect();
        let calibration = Calibration::isotonic(&raw, &set.labels, &set.weights);
        let compact = margins.with_calibration(calibration.expect("the rows are sound"));
        let name = format!("{trees} trees of depth {depth}, {} conditions", compact.conditions());

        let mut at = 0;
        let mut next = move || {
            at = (at + 1) % 1024;
            at
        };
        group.bench_function(format!("compact/{name}"), |b| {
            b.iter(|| compact.score_one(black_box(&probes[next()])));
        });
        group.bench_function(format!("explain/{name}"), |b| {
            b.iter(|| compact.explain(black_box(&probes[next()])));
        });
        group.bench_function(format!("library/{name}"), |b| {
            b.iter(|| {
                let row = black_box(&wide[next()]);
                let walk =
                    |tree: &forust_ml::tree::Tree| tree.predict_row_from_row_slice(row, &f64::NAN);
                booster.base_score + booster.trees.iter().map(walk).sum::<f64>()
            });
        });
    }
    let logistic = Logistic::train(&set, 2, 1).expect("the rows are sound");
    let mut at = 0;
    group.bench_function("logistic", |b| {
        b.iter(|| {
            at = (at + 1) % 1024;
            logistic.score_one(black_box(&probes[at]))
        });
    });
    group.finish();
}

criterion_group!(benches, inference);
criterion_main!(benches);
