//! What can be wrong with a model, a model file or a training set.

use crate::onnx::OnnxError;
use thiserror::Error;

/// Why a model could not be built, loaded or trained.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum ModelError {
    /// The file does not start with the magic bytes.
    #[error(
        "not a model file: byte 0 holds {found:02x?} in place of \"TGMD\"; give the path of a \
         file that `tidegate train` or `tidegate models import` wrote, or of an ONNX model"
    )]
    Magic {
        /// The first bytes.
        found: [u8; 4],
    },
    /// The file's format is of another version.
    #[error(
        "model format {found} at byte 4, but this program reads format {expected}; train the \
         model again with this program"
    )]
    Format {
        /// What the file states.
        found: u16,
        /// What is read here.
        expected: u16,
    },
    /// The model was trained for other features.
    #[error(
        "the model was trained for feature schema {found} (byte 8), but this program computes \
         schema {expected}; train the model again with this program"
    )]
    Schema {
        /// What the file states.
        found: u32,
        /// What is computed here.
        expected: u32,
    },
    /// The model is of an unknown family.
    #[error("unknown model kind {found} at byte 6; use a program as new as the one that trained")]
    Kind {
        /// What the file states.
        found: u16,
    },
    /// The file ends early.
    #[error(
        "the model file is cut off: {what} at byte {offset} needs {needed} bytes and {left} are \
         left; copy the file again"
    )]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where it starts.
        offset: usize,
        /// How many bytes it takes.
        needed: usize,
        /// How many bytes are there.
        left: usize,
    },
    /// The file goes on after its end.
    #[error("{extra} bytes too many after byte {offset} of the model file; copy the file again")]
    Trailing {
        /// Where the model ends.
        offset: usize,
        /// How many bytes follow.
        extra: usize,
    },
    /// The checksum does not fit the content.
    #[error(
        "the model file is damaged: its checksum is {stated:08x} (byte {offset}), its content's \
         {computed:08x}; copy the file again"
    )]
    Checksum {
        /// Where the checksum stands.
        offset: usize,
        /// What the file states.
        stated: u32,
        /// What its content gives.
        computed: u32,
    },
    /// What a section of the file holds cannot be used.
    #[error("in the {section} at byte {offset} of the model file: {source}")]
    Section {
        /// The section.
        section: &'static str,
        /// Where it starts.
        offset: usize,
        /// What is wrong with it.
        source: Box<ModelError>,
    },
    /// A count is outside what the program allows, so nothing was allocated.
    #[error("{what} is {found}, but must be {min} to {max}; train the model again")]
    Size {
        /// What is counted.
        what: &'static str,
        /// The count.
        found: u64,
        /// The least that is allowed.
        min: u64,
        /// The most that is allowed.
        max: u64,
    },
    /// A number is NaN, infinite, or too large to be summed safely.
    #[error(
        "{what} number {index} is {found}, which is not a number within ±1e6; check the inputs \
         and train the model again"
    )]
    Number {
        /// What the numbers are.
        what: &'static str,
        /// Which of them.
        index: usize,
        /// The number.
        found: f32,
    },
    /// A feature that the schema does not have.
    #[error(
        "{what} number {index} names feature {feature}, but the schema has {count} features; \
         train the model again with this program"
    )]
    Feature {
        /// Who names it.
        what: &'static str,
        /// Which of them.
        index: usize,
        /// The feature's position.
        feature: usize,
        /// How many there are.
        count: usize,
    },
    /// A reference to something that is not there.
    #[error(
        "{what} number {index} points at {target}, but there are only {count}; train the model again"
    )]
    Reference {
        /// Who refers.
        what: &'static str,
        /// Which of them.
        index: usize,
        /// What it points at.
        target: usize,
        /// How many there are.
        count: usize,
    },
    /// A split threshold that is not a bfloat16 number.
    #[error(
        "tree {tree} splits feature {feature} at {threshold}, which is not a bfloat16 number; \
         put the training rows on the grid with `trees::grid`"
    )]
    Threshold {
        /// The tree.
        tree: usize,
        /// The feature's position.
        feature: usize,
        /// The threshold.
        threshold: f32,
    },
    /// A calibration that is not a monotone map into 0..=1.
    #[error("calibration knot {index}: {problem}; fit the calibration again")]
    Calibration {
        /// Which knot.
        index: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// Text that is not UTF-8.
    #[error("byte {valid_up_to} of the text is not UTF-8; write the metadata again")]
    Text {
        /// How much of it is.
        valid_up_to: usize,
    },
    /// A model in the ONNX format can't be used.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// Rows that nothing can be learned from.
    #[error("cannot train: {problem}")]
    Training {
        /// What is wrong and what to do.
        problem: String,
    },
}

/// The largest size of a number in a model, so that no sum of them overflows.
pub(crate) const LARGEST: f32 = 1e6;

/// Checks that every number is finite and within ±[`LARGEST`].
pub(crate) fn check_numbers(what: &'static str, numbers: &[f32]) -> Result<(), ModelError> {
    match numbers.iter().position(|x| x.is_nan() || x.abs() > LARGEST) {
        None => Ok(()),
        Some(index) => Err(ModelError::Number { what, index, found: numbers[index] }),
    }
}

/// Checks a count against what the program allows.
pub(crate) fn check_size(
    what: &'static str,
    found: usize,
    min: usize,
    max: usize,
) -> Result<(), ModelError> {
    if (min..=max).contains(&found) {
        return Ok(());
    }
    Err(ModelError::Size { what, found: found as u64, min: min as u64, max: max as u64 })
}
