//! What one value of a series costs, beside a plain moving z-score in the same run.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::{Rng as _, SeedableRng as _};
use std::hint::black_box;
use tidegate_models::series::{Daily, Settings, Weekly};

/// Exponentially weighted mean and variance: the least that anybody would do.
#[derive(Clone, Default)]
struct Ewma {
    mean: f64,
    variance: f64,
}

impl Ewma {
    fn observe(&mut self, value: f64) -> f64 {
        let off = value - self.mean;
        let distance = off * off / self.variance.max(1e-9);
        self.mean += 0.01 * off;
        self.variance = 0.99 * (self.variance + 0.01 * off * off);
        distance
    }
}

fn series(c: &mut Criterion) {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let values: Vec<f64> = (0..4096)
        .map(|i| 100.0 + 30.0 * (f64::from(i) / 46.0).sin() + random.random_range(-9.0..9.0))
        .collect();
    let settings = Settings::default();
    let mut group = c.benchmark_group("series");
    group.throughput(Throughput::Elements(values.len() as u64));
    group.bench_function("daily", |b| {
        b.iter(|| {
            let mut state = Daily::default();
            let rows = values.iter().zip(0..);
            rows.map(|(v, t)| state.observe(black_box(*v), 300 * t, &settings).evidence)
                .sum::<f32>()
        });
    });
    group.bench_function("weekly", |b| {
        b.iter(|| {
            let mut state = Weekly::default();
            let rows = values.iter().zip(0..);
            rows.map(|(v, t)| state.observe(black_box(*v), 300 * t, &settings).evidence)
                .sum::<f32>()
        });
    });
    group.bench_function("ewma", |b| {
        b.iter(|| {
            let mut state = Ewma::default();
            values.iter().map(|v| state.observe(black_box(*v))).sum::<f64>()
        });
    });
    group.finish();
}

criterion_group!(benches, series);
criterion_main!(benches);
