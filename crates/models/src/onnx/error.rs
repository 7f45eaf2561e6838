//! What can be wrong with an ONNX model, or with what runs it.

use std::path::PathBuf;
use thiserror::Error;

/// Why an ONNX model can't be used.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum OnnxError {
    /// The bytes are no ONNX model.
    #[error("this is no ONNX model ({0}); export it again")]
    Format(String),
    /// The model does not say for which features it was trained, or for others.
    #[error(
        "the model {found}, but this program computes feature schema {expected} and a model must \
         say for which it was trained: export the features with this program, train anew, and stamp \
         the model with `tidegate.stamp` of the Python package"
    )]
    Schema {
        /// What the model states, in words.
        found: String,
        /// What is computed here.
        expected: u32,
    },
    /// An operator set that is not known.
    #[error("the model needs {found}; export it with {remedy}")]
    Opset {
        /// Domain and version.
        found: String,
        /// What to ask the exporter for.
        remedy: String,
    },
    /// Weights that are not in the file.
    #[error(
        "the weight `{0}` lies in another file; save the model with all of its weights in one file \
         (`onnx.save_model(model, path, save_as_external_data=False)`)"
    )]
    External(String),
    /// Inputs that no feature vector fits.
    #[error(
        "{found}; a model takes one float tensor of [N, 64], or [N, T, 64] with T from 2 to 64"
    )]
    Input {
        /// What was found.
        found: String,
    },
    /// Outputs that no probability can be read from.
    #[error(
        "{found}; a model gives one float tensor of [N], [N, 1] or [N, 2], or a label and \
         probabilities as scikit-learn's exporter does"
    )]
    Output {
        /// What was found.
        found: String,
    },
    /// A property of the model that says nothing known.
    #[error("the model's property `{key}` is `{found}`; write {expected}")]
    Property {
        /// Its name.
        key: &'static str,
        /// Its value.
        found: String,
        /// What may stand there.
        expected: &'static str,
    },
    /// There is no ONNX Runtime, or none that can be used.
    #[error(
        "{found}: install it (`pip install onnxruntime` has it) and name the library, such as \
         …/site-packages/onnxruntime/capi/libonnxruntime.so.1.x, by the environment variable \
         TIDEGATE_ONNXRUNTIME or the configuration key `onnxruntime`, or start with the virtual \
         environment active"
    )]
    Runtime {
        /// What went wrong.
        found: String,
    },
    /// The library was named after another one had been loaded.
    #[error("ONNX Runtime is already loaded from {loaded}; another library needs a restart")]
    Loaded {
        /// What is loaded.
        loaded: PathBuf,
    },
    /// The runtime refuses the model or failed to run it.
    #[error(
        "ONNX Runtime says: {0}; where it does not know an operator or its version, export for an older \
         operator set or install a newer runtime"
    )]
    Run(String),
    /// The model answers with something else than a probability.
    #[error("for {input} the model answers {found}; {remedy}")]
    Answer {
        /// What it was given, in words.
        input: String,
        /// What it answered.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
}
