//! What can be wrong with a model, a model file or a training set.

use thiserror::Error;

/// Why a model could not be built, loaded or trained.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum ModelError {
    /// The file does not start with the magic bytes.
    #[error(
        "not a model file: byte 0 holds {found:02x?} in place of \"TGMD\"; give the path of a \
         file that `tidegate train` wrote"
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
    /// A count is outside what the program allows, so nothing was allocated.
    #[error("{what} is {found} at byte {offset}, but must be {min} to {max}; train the model again")]
    Size {
        /// What is counted.
        what: &'static str,
        /// Where the count stands (0 for a model that is not from a file).
        offset: usize,
        /// The count.
        found: u64,
        /// The least that is allowed.
        min: u64,
        /// The most that is allowed.
        max: u64,
    },
    /// A number is NaN or infinite.
    #[error("{what} number {index} is not finite; train the model again and check its inputs")]
    NotFinite {
        /// What the numbers are.
        what: &'static str,
        /// Which of them.
        index: usize,
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
    #[error("the metadata at byte {offset} is not UTF-8 text; copy the file again")]
    Text {
        /// Where the text starts.
        offset: usize,
    },
    /// Rows that nothing can be learned from.
    #[error("cannot train: {problem}")]
    Training {
        /// What is wrong and what to do.
        problem: String,
    },
}
