//! How good and how quick a model from elsewhere is, beside the built-in one on the same rows.

use crate::export::{Row, windows};
use serde::Serialize;
use std::time::Instant;
use tidegate_behavior::schema::{COUNT, Features};
use tidegate_models::metrics::{Ranking, brier, calibration_error};
use tidegate_models::{Calibration, Model, ModelError, Onnx, OnnxError};

/// From so many labelled rows on the calibration may have any monotone shape.
const ISOTONIC_FROM: usize = 1000;
/// How many scores are timed.
const TIMED: usize = 20_000;
/// How many are timed before the other model has its turn, so that a drift of the machine meets both.
const TURN: usize = 500;

/// How good scores are; shares are 0..1, and none without rows of both labels.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Quality {
    /// Rows that were scored.
    pub rows: usize,
    /// Of those, abuse.
    pub abusive: usize,
    /// Area under the ROC curve, by weight.
    pub roc_auc: Option<f64>,
    /// Average precision, by weight.
    pub pr_auc: Option<f64>,
    /// True positive rate at 0.1 % and at 1 % false positives.
    pub tpr_at: (Option<f64>, Option<f64>),
    /// Expected calibration error over ten bins.
    pub ece: Option<f64>,
    /// Brier score.
    pub brier: Option<f64>,
}

/// Time of one score, nanoseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    /// Median.
    pub p50_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
}

/// A model beside the built-in one.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Judgement {
    /// The model's quality, calibrated, on rows that it was not calibrated on.
    pub quality: Quality,
    /// The built-in model's on the same rows.
    pub built_in: Quality,
    /// What a score of the model takes.
    pub latency: Latency,
    /// What one of the built-in model takes.
    pub built_in_latency: Latency,
    /// Rows that it was calibrated on.
    pub calibrated_on: usize,
}

/// Why a model can't be judged.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// It can't be run.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// It can't be calibrated.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The rows are too few to say anything.
    #[error(
        "{abusive} of {rows} labelled rows are abuse; give rows of both kinds, of more than one group"
    )]
    Rows {
        /// Rows with a label that the model can score.
        rows: usize,
        /// Of those, abuse.
        abusive: usize,
    },
}

/// Rows of one half, as columns.
#[derive(Default)]
struct Half {
    margins: Vec<f32>,
    built_in: Vec<f32>,
    labels: Vec<bool>,
    weights: Vec<f32>,
}

/// Calibrates a model on one half of the groups of `rows` and measures it on the other, beside
/// `built_in`. `rows` are client by client.
///
/// # Errors
/// When the model can't be run, or one half lacks rows of either label.
pub fn judge(
    model: Onnx,
    built_in: &impl Model,
    rows: &[Row],
) -> Result<(Onnx, Judgement), JudgeError> {
    let features: Vec<Features> = rows.iter().map(|row| row.features).collect();
    let windows: Vec<_> = windows(rows, model.signature().steps)
        .into_iter()
        .filter(|window| rows[window.end - 1].label.is_some())
        .collect();
    let inputs: Vec<&[Features]> = windows.iter().map(|w| &features[w.clone()]).collect();
    let mut halves = [Half::default(), Half::default()];
    for (batch, ranges) in inputs.chunks(256).zip(windows.chunks(256)) {
        let margins = model.margins(batch)?;
        for (window, margin) in ranges.iter().zip(margins) {
            let row = &rows[window.end - 1];
            let half = &mut halves[usize::from(held_out(row.group))];
            half.margins.push(margin);
            half.built_in.push(built_in.score_one(&row.features));
            half.labels.push(row.label == Some(true));
            half.weights.push(row.weight);
        }
    }
    for half in &halves {
        let abusive = half.labels.iter().filter(|label| **label).count();
        if abusive == 0 || abusive == half.labels.len() {
            return Err(JudgeError::Rows { rows: half.labels.len(), abusive });
        }
    }
    let [fit, held] = &halves;
    let calibrate =
        if fit.margins.len() < ISOTONIC_FROM { Calibration::platt } else { Calibration::isotonic };
    let calibration = calibrate(&fit.margins, &fit.labels, &fit.weights)?;
    let scores: Vec<f32> = held.margins.iter().map(|m| calibration.probability(*m)).collect();
    let model = model.with(calibration, usual(rows));
    let (latency, built_in_latency) = latencies(&model, built_in, &inputs)?;
    let judgement = Judgement {
        quality: quality(&held.margins, &scores, held),
        built_in: quality(&held.built_in, &held.built_in, held),
        latency,
        built_in_latency,
        calibrated_on: fit.labels.len(),
    };
    Ok((model, judgement))
}

/// Which half a group belongs to: it has to do with its number alone.
fn held_out(group: u32) -> bool {
    group.wrapping_mul(0x9e37_79b1) >> 31 == 1
}

/// Ranks by `order` (a calibration makes ties), and judges `scores` as probabilities.
fn quality(order: &[f32], scores: &[f32], half: &Half) -> Quality {
    let ranking = Ranking::new(order, &half.labels, &half.weights);
    let tpr = |rate| ranking.recall_at(rate).map(|(tpr, _)| tpr);
    Quality {
        rows: half.labels.len(),
        abusive: half.labels.iter().filter(|label| **label).count(),
        roc_auc: ranking.roc_auc(),
        pr_auc: ranking.average_precision(),
        tpr_at: (tpr(0.001), tpr(0.01)),
        ece: calibration_error(scores, &half.labels, &half.weights, 10),
        brier: brier(scores, &half.labels, &half.weights),
    }
}

/// What each feature usually is: the median of rows that are no abuse.
fn usual(rows: &[Row]) -> Features {
    let harmless: Vec<&Row> = rows.iter().filter(|row| row.label == Some(false)).collect();
    let mut usual = [0.0; COUNT];
    for (at, value) in usual.iter_mut().enumerate() {
        let mut column: Vec<f32> = harmless.iter().map(|row| row.features[at]).collect();
        let middle = column.len() / 2;
        if middle < column.len() {
            *value = *column.select_nth_unstable_by(middle, f32::total_cmp).1;
        }
    }
    usual
}

/// Rows of a first look at how long a model takes.
const GLANCE: usize = 51;

/// How long the model takes for a row, at a first look: before anything is simulated or judged.
///
/// # Errors
/// When it can't be run.
pub fn glance(model: &Onnx) -> Result<Latency, OnnxError> {
    let times = (0..GLANCE).map(|n| {
        // Rows that differ, as far apart as features lie.
        let rows =
            vec![std::array::from_fn(|i| ((n * 7 + i) % 13) as f32); model.signature().steps];
        let begun = Instant::now();
        std::hint::black_box(model.scores(&[&rows])?);
        Ok(begun.elapsed().as_nanos())
    });
    times.collect::<Result<_, _>>().map(latency)
}

/// Times both models in turns, one score after the other.
fn latencies(
    model: &Onnx,
    built_in: &impl Model,
    inputs: &[&[Features]],
) -> Result<(Latency, Latency), OnnxError> {
    let (mut own, mut other) = (Vec::with_capacity(TIMED), Vec::with_capacity(TIMED));
    let mut sink = 0.0;
    for turn in inputs.iter().cycle().copied().take(TIMED).collect::<Vec<_>>().chunks(TURN) {
        for window in turn {
            let begun = Instant::now();
            sink += model.scores(std::slice::from_ref(window))?.first().copied().unwrap_or(0.0);
            own.push(begun.elapsed().as_nanos());
        }
        for window in turn {
            let row = window.last().copied().unwrap_or([0.0; COUNT]);
            let begun = Instant::now();
            sink += built_in.score_one(&row);
            other.push(begun.elapsed().as_nanos());
        }
    }
    std::hint::black_box(sink);
    Ok((latency(own), latency(other)))
}

fn latency(mut times: Vec<u128>) -> Latency {
    times.sort_unstable();
    let at = |share: usize| {
        let time = times.get(times.len() * share / 100).or(times.last());
        time.map_or(0, |ns| u64::try_from(*ns).unwrap_or(u64::MAX))
    };
    Latency { p50_ns: at(50), p99_ns: at(99) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_is_the_median_of_what_is_harmless() {
        let row = |x: f32, abusive| Row {
            features: [x; COUNT],
            label: Some(abusive),
            weight: 1.0,
            client: 1,
            group: 1,
            sequence: 0,
            time: tidegate_limiter::Timestamp::EPOCH,
        };
        let rows = [row(1.0, false), row(9.0, true), row(3.0, false), row(2.0, false)];
        assert_eq!(usual(&rows), [2.0; COUNT]);
        assert_eq!(usual(&rows[1..2]), [0.0; COUNT]);
        assert_eq!(latency(vec![]).p50_ns, 0);
        assert_eq!(latency((0..100).collect()).p99_ns, 99);
    }

    #[test]
    fn groups_fall_into_two_halves() {
        let held = (0..1000).filter(|group| held_out(*group)).count();
        assert!((400..600).contains(&held), "{held}");
    }
}
