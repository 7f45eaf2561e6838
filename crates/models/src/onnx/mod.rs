//! Models made elsewhere, in the ONNX format: scikit-learn, XGBoost, LightGBM, PyTorch, TensorFlow.
//!
//! [`Signature`] is what a file says of itself, checked without running anything; [`Onnx`] runs it
//! through ONNX Runtime, a library that is loaded when the first such model is (`runtime`). A row
//! costs 4 to 12 µs instead of the built-in trees' 0.3, and the runtime allocates.
//!
//! It fails where the graph answers with no number (`score_one` is NaN then, which the engine takes
//! for no score), and explains itself only roughly: one feature after the other is put to its usual
//! value, so features that speak only together stay in the bias.

mod error;
mod proto;
mod runtime;
mod signature;
#[cfg(test)]
pub(crate) mod tests;

pub use error::OnnxError;
pub use runtime::{start, use_library};
pub use signature::{MAX_STEPS, MIN_OPSET, OUTPUT_PROPERTY, SCHEMA_PROPERTY, Signature};

use crate::{Calibration, Explanation, Model};
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session};
use ort::value::{DynValue, TensorRef};
use signature::Form;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use tidegate_behavior::groups::stripe_of_thread;
use tidegate_behavior::schema::{COUNT, Features};

/// Inputs are clipped to this size, which no feature of a real client reaches.
const LARGEST: f32 = 1e9;
/// A probability is taken for at least this far from 0 and 1, so that its log-odds are finite.
const LEAST: f32 = 1e-7;
/// How far outside 0..1 a probability may be by rounding.
const SLACK: f32 = 1e-3;
/// Most sessions of one model: as many threads score at once without waiting.
const MOST_SESSIONS: usize = 8;

/// A model in the ONNX format, with the calibration and the usual values it was imported with.
#[derive(Clone)]
pub struct Onnx {
    shared: Arc<Shared>,
    calibration: Calibration,
    /// What each feature usually is: explanations are differences from it.
    usual: Box<Features>,
}

struct Shared {
    bytes: Vec<u8>,
    signature: Signature,
    sessions: Box<[Mutex<Runner>]>,
}

struct Runner {
    session: Session,
    options: RunOptions<HasSelectedOutputs>,
}

impl Onnx {
    /// Reads, checks and loads a model, and tries it on a few rows.
    ///
    /// # Errors
    /// What is wrong with the file, with its answers, or with the runtime.
    pub fn new(
        bytes: Vec<u8>,
        calibration: Calibration,
        usual: Features,
    ) -> Result<Self, OnnxError> {
        let signature = Signature::read(&bytes)?;
        runtime::start()?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let sessions = (0..threads.min(MOST_SESSIONS))
            .map(|_| Runner::new(&bytes, &signature).map(Mutex::new))
            .collect::<Result<_, _>>()?;
        let shared = Arc::new(Shared { bytes, signature, sessions });
        let model = Self { shared, calibration, usual: Box::new(usual) };
        model.probe()?;
        Ok(model)
    }

    /// What it takes and gives.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.shared.signature
    }

    /// The file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.shared.bytes
    }

    /// How margins become probabilities.
    #[must_use]
    pub const fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// What each feature usually is.
    #[must_use]
    pub const fn usual(&self) -> &Features {
        &self.usual
    }

    /// The same model with another map from margins to probabilities and other usual values.
    #[must_use]
    pub fn with(mut self, calibration: Calibration, usual: Features) -> Self {
        self.calibration = calibration;
        self.usual = Box::new(usual);
        self
    }

    /// The probability of abuse for each of `windows`, see [`Self::margins`].
    ///
    /// # Errors
    /// When the runtime fails, or the model answers no number or none that it may.
    pub fn scores(&self, windows: &[&[Features]]) -> Result<Vec<f32>, OnnxError> {
        let margins = self.margins(windows)?;
        Ok(margins.into_iter().map(|m| self.calibration.probability(m)).collect())
    }

    /// The log-odds of abuse for each of `windows`: the latest requests of one client, oldest
    /// first. Only as many as the model looks at are taken; where there are fewer, rows of zeros
    /// stand before them.
    ///
    /// # Errors
    /// When the runtime fails, or the model answers no number or none that it may.
    pub fn margins(&self, windows: &[&[Features]]) -> Result<Vec<f32>, OnnxError> {
        let signature = &self.shared.signature;
        let at_once = if signature.batches { windows.len().max(1) } else { 1 };
        let mut margins = Vec::with_capacity(windows.len());
        let mut inputs = Vec::with_capacity(at_once * signature.steps * COUNT);
        let mut runner = self.shared.runner();
        for batch in windows.chunks(at_once) {
            inputs.clear();
            batch.iter().for_each(|window| fill(&mut inputs, window, signature.steps));
            runner.run(signature, &inputs, batch.len(), &mut margins)?;
        }
        Ok(margins)
    }

    /// Tries the model on rows of every size: an answer that is no probability is told at once and
    /// not after a night of serving.
    fn probe(&self) -> Result<(), OnnxError> {
        let mut rows: Vec<Features> =
            vec![[0.0; COUNT], [1.0; COUNT], [-1.0; COUNT], [1e6; COUNT], *self.usual];
        // A fixed sequence of odd numbers over several decades.
        let mut seed = 1u64;
        for size in [1.0, 10.0, 1000.0] {
            rows.push(std::array::from_fn(|_| {
                seed = crate::data::mix(seed);
                ((seed >> 40) as f32 / (1u64 << 24) as f32 - 0.3) * size
            }));
        }
        let windows: Vec<&[Features]> = rows.iter().map(std::slice::from_ref).collect();
        let together = self.margins(&windows)?;
        for (row, margin) in windows.iter().zip(&together) {
            let again = self.margins(&[row])?;
            // Sums of another order differ in the last digits, and trees by a leaf at an edge.
            if again.iter().any(|m| (m - margin).abs() > 0.05 * margin.abs().max(1.0)) {
                return Err(OnnxError::Answer {
                    input: "the same row, alone and among others,".into(),
                    found: format!("{again:?} and {margin}"),
                    remedy: "export it in inference mode (without dropout); of a quantised model bound \
                             what its layers take in, or give it fixed scales",
                });
            }
        }
        Ok(())
    }
}

impl Shared {
    /// A session that nobody else runs. Each thread begins at its own, so that it seldom waits.
    fn runner(&self) -> MutexGuard<'_, Runner> {
        let count = self.sessions.len();
        let mine = stripe_of_thread();
        for step in 0..count {
            match self.sessions[(mine + step) % count].try_lock() {
                Ok(runner) => return runner,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        self.sessions[mine % count].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Appends a window's latest `steps` rows, as the model was trained to see them.
fn fill(inputs: &mut Vec<f32>, window: &[Features], steps: usize) {
    let latest = &window[window.len().saturating_sub(steps)..];
    inputs.resize(inputs.len() + (steps - latest.len()) * COUNT, 0.0);
    for row in latest {
        inputs
            .extend(row.iter().map(|x| if x.is_nan() { 0.0 } else { x.clamp(-LARGEST, LARGEST) }));
    }
}

fn said(error: impl std::fmt::Display) -> OnnxError {
    OnnxError::Run(error.to_string())
}

impl Runner {
    fn new(bytes: &[u8], signature: &Signature) -> Result<Self, OnnxError> {
        let session = Session::builder()
            .map_err(said)?
            // One row is too little work to share, and a pool of threads would spin for it.
            .with_intra_threads(1)
            .map_err(said)?
            .with_log_level(ort::logging::LogLevel::Error)
            .map_err(said)?
            .commit_from_memory(bytes)
            .map_err(said)?;
        let only = OutputSelector::no_default().with(&signature.output);
        let options = RunOptions::new().map_err(said)?.with_outputs(only);
        Ok(Self { session, options })
    }

    /// Runs `count` windows and appends their margins.
    fn run(
        &mut self,
        signature: &Signature,
        inputs: &[f32],
        count: usize,
        margins: &mut Vec<f32>,
    ) -> Result<(), OnnxError> {
        let (n, steps, width) = (count as i64, signature.steps as i64, COUNT as i64);
        let input = if signature.sequence {
            TensorRef::from_array_view(([n, steps, width], inputs))
        } else {
            TensorRef::from_array_view(([n, width], inputs))
        };
        let input = input.map_err(said)?;
        let outputs =
            self.session.run_with_options(ort::inputs![input], &self.options).map_err(said)?;
        let value = &outputs[0];
        match signature.form {
            Form::Tensor => tensor(value, signature, count, margins),
            Form::Numbers => map::<i64>(value, count, margins, |label| *label == 1),
            Form::Words => map::<String>(value, count, margins, |label| {
                matches!(label.as_str(), "1" | "true" | "True" | "abuse")
            }),
        }
    }
}

/// Margins of a tensor with one or two columns.
fn tensor(
    value: &DynValue,
    signature: &Signature,
    count: usize,
    margins: &mut Vec<f32>,
) -> Result<(), OnnxError> {
    let (shape, numbers) = value.try_extract_tensor::<f32>().map_err(said)?;
    let margin = |p: f32| if signature.logit { finite(p) } else { log_odds(p) };
    if numbers.len() == count {
        for p in numbers {
            margins.push(margin(*p)?);
        }
    } else if numbers.len() == 2 * count {
        for [no, yes] in numbers.as_chunks::<2>().0 {
            margins.push(if signature.logit { finite(yes - no)? } else { log_odds(*yes)? });
        }
    } else {
        let found =
            format!("the output `{}` has the shape {shape:?} for {count} rows", signature.output);
        return Err(OnnxError::Output { found });
    }
    Ok(())
}

/// Margins of maps from label to probability, as scikit-learn's exporter writes by default.
fn map<K>(
    value: &DynValue,
    count: usize,
    margins: &mut Vec<f32>,
    abuse: impl Fn(&K) -> bool,
) -> Result<(), OnnxError>
where
    K: ort::value::IntoTensorElementType + Clone + std::hash::Hash + Eq + std::fmt::Debug + 'static,
{
    let rows = value.try_extract_sequence::<ort::value::MapValueType<K, f32>>().map_err(said)?;
    if rows.len() != count {
        let found = format!("the model answers {} maps for {count} rows", rows.len());
        return Err(OnnxError::Output { found });
    }
    for row in rows {
        let pairs = row.try_extract_key_values::<K, f32>().map_err(said)?;
        let Some((_, p)) = pairs.iter().find(|(label, _)| abuse(label)) else {
            let labels: Vec<_> = pairs.iter().map(|(label, _)| label).collect();
            let found = format!("the labels are {labels:?} and none of them is 1");
            return Err(OnnxError::Output { found });
        };
        margins.push(log_odds(*p)?);
    }
    Ok(())
}

fn log_odds(p: f32) -> Result<f32, OnnxError> {
    if !(-SLACK..=1.0 + SLACK).contains(&p) {
        return Err(OnnxError::Answer {
            input: "a row".into(),
            found: format!("{p}, which is no probability"),
            remedy: "end the graph with a sigmoid or softmax, or set the property tidegate.output to logit",
        });
    }
    let p = f64::from(p.clamp(LEAST, 1.0 - LEAST));
    Ok((p / (1.0 - p)).ln() as f32)
}

fn finite(margin: f32) -> Result<f32, OnnxError> {
    if margin.is_finite() {
        // Beyond this a probability is 0 or 1 to the bit.
        return Ok(margin.clamp(-100.0, 100.0));
    }
    Err(OnnxError::Answer {
        input: "a row".into(),
        found: margin.to_string(),
        remedy: "scale the inputs within the graph",
    })
}

impl Model for Onnx {
    /// NaN when the model answers no probability; with one row of a client in place of its latest
    /// requests when it looks at several.
    fn score_one(&self, features: &Features) -> f32 {
        let margin = self.margin(features);
        if margin.is_nan() { margin } else { self.calibration.probability(margin) }
    }

    fn margin(&self, features: &Features) -> f32 {
        let margins = self.margins(&[std::slice::from_ref(features)]);
        margins.ok().and_then(|m| m.first().copied()).unwrap_or(f32::NAN)
    }

    /// By occlusion: what the margin loses when one feature is put to its usual value.
    fn explain(&self, features: &Features) -> Explanation {
        let mut rows = vec![*features; COUNT + 1];
        for (i, usual) in self.usual.iter().enumerate() {
            rows[i + 1][i] = *usual;
        }
        let windows: Vec<&[Features]> = rows.iter().map(std::slice::from_ref).collect();
        let mut explanation =
            Explanation { bias: 0.0, contributions: [0.0; COUNT], margin: self.margin(features) };
        if let Ok(margins) = self.margins(&windows) {
            let whole = margins[0];
            for (contribution, without) in explanation.contributions.iter_mut().zip(&margins[1..]) {
                *contribution = whole - without;
            }
        }
        explanation.bias = explanation.margin - explanation.contributions.iter().sum::<f32>();
        explanation
    }

    fn kind(&self) -> &'static str {
        "onnx"
    }
}

impl PartialEq for Onnx {
    fn eq(&self, other: &Self) -> bool {
        self.shared.bytes == other.shared.bytes
            && self.calibration == other.calibration
            && self.usual == other.usual
    }
}

impl std::fmt::Debug for Onnx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Onnx")
            .field("signature", &self.shared.signature)
            .field("calibration", &self.calibration)
            .finish_non_exhaustive()
    }
}
