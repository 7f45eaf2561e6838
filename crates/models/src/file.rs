//! The model file: one binary format, checked to the last byte before a model comes out of it.
//!
//! All numbers are little-endian. A reader trusts nothing: the checksum guards against damage,
//! and every size, reference and number is checked again after it.
//!
//! | bytes | content |
//! |---|---|
//! | 0..4 | `TGMD` |
//! | 4..6 | version of this format, `u16` |
//! | 6..8 | kind: 1 trees, 2 logistic, 3 ONNX, `u16` |
//! | 8..12 | version of the feature schema, `u32` |
//! | 12..16 | length of the file, `u32` |
//! | 16.. | metadata: length `u16`, UTF-8 text |
//! | | calibration: knots `u8` (0: slope and offset follow), then pairs of `f32` |
//! | | the model, see `write_trees`, `write_logistic` and `write_onnx` |
//! | last 4 | CRC-32 (ISO-HDLC, as in zip) of all before it |

use crate::calibration::Knots;
use crate::error::{check_numbers, check_size};
use crate::logistic::Scale;
use crate::trees::{Exit, LANES, MAX_BLOCKS, MAX_DEPTH, MAX_EXITS, MAX_TREES};
use crate::{Calibration, Explanation, Logistic, Model, ModelError, Onnx, Trees};
use tidegate_behavior::schema::{COUNT, Features, SCHEMA_VERSION};

/// The first bytes of a model file.
pub const MAGIC: [u8; 4] = *b"TGMD";
/// The version of the format.
pub const FORMAT: u16 = 2;
/// The most bytes of metadata.
pub const MAX_METADATA: usize = 4096;

const TREES: u16 = 1;
const LOGISTIC: u16 = 2;
const ONNX: u16 = 3;
/// The most bytes of an ONNX model within a file.
const MAX_ONNX: usize = 256 << 20;
/// The first byte of an ONNX file: its first field is the version of the format.
const ONNX_START: u8 = 0x08;
/// Bytes before the metadata.
const HEADER: usize = 16;
/// Bytes of the checksum.
const CHECKSUM: usize = 4;

/// Any model that a file can hold.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyModel {
    /// Boosted trees.
    Trees(Trees),
    /// Logistic regression.
    Logistic(Box<Logistic>),
    /// A model made elsewhere, in the ONNX format.
    Onnx(Onnx),
}

impl AnyModel {
    /// How many of a client's latest requests it looks at: 1, but for ONNX models of sequences.
    #[must_use]
    pub fn steps(&self) -> usize {
        match self {
            Self::Trees(_) | Self::Logistic(_) => 1,
            Self::Onnx(model) => model.signature().steps,
        }
    }

    /// How its margins become probabilities.
    #[must_use]
    pub fn calibration(&self) -> &Calibration {
        match self {
            Self::Trees(model) => model.calibration(),
            Self::Logistic(model) => &model.calibration,
            Self::Onnx(model) => model.calibration(),
        }
    }
}

impl Model for AnyModel {
    fn score_one(&self, features: &Features) -> f32 {
        match self {
            Self::Trees(model) => model.score_one(features),
            Self::Logistic(model) => model.score_one(features),
            Self::Onnx(model) => model.score_one(features),
        }
    }

    fn margin(&self, features: &Features) -> f32 {
        match self {
            Self::Trees(model) => model.margin(features),
            Self::Logistic(model) => model.margin(features),
            Self::Onnx(model) => model.margin(features),
        }
    }

    fn explain(&self, features: &Features) -> Explanation {
        match self {
            Self::Trees(model) => model.explain(features),
            Self::Logistic(model) => model.explain(features),
            Self::Onnx(model) => model.explain(features),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Trees(model) => model.kind(),
            Self::Logistic(model) => model.kind(),
            Self::Onnx(model) => model.kind(),
        }
    }
}

/// The bytes of a model file; `metadata` says in short text what the model was trained on.
///
/// # Errors
/// When the metadata is longer than [`MAX_METADATA`] bytes.
pub fn save(model: &AnyModel, metadata: &str) -> Result<Vec<u8>, ModelError> {
    check_size("length of the metadata", metadata.len(), 0, MAX_METADATA)?;
    let (kind, calibration) = match model {
        AnyModel::Trees(trees) => (TREES, &trees.calibration),
        AnyModel::Logistic(logistic) => (LOGISTIC, &logistic.calibration),
        AnyModel::Onnx(onnx) => (ONNX, onnx.calibration()),
    };
    let mut out = Vec::new();
    out.extend(MAGIC);
    out.extend(FORMAT.to_le_bytes());
    out.extend(kind.to_le_bytes());
    out.extend(SCHEMA_VERSION.to_le_bytes());
    out.extend([0; 4]);
    out.extend((metadata.len() as u16).to_le_bytes());
    out.extend(metadata.as_bytes());
    match calibration {
        Calibration::Sigmoid { slope, offset } => {
            out.push(0);
            write_floats(&mut out, &[*slope, *offset]);
        }
        Calibration::Knots(knots) => {
            out.push(knots.points().len() as u8);
            knots.points().for_each(|(m, p)| write_floats(&mut out, &[m, p]));
        }
    }
    match model {
        AnyModel::Trees(trees) => write_trees(&mut out, trees),
        AnyModel::Logistic(logistic) => write_logistic(&mut out, logistic),
        AnyModel::Onnx(onnx) => write_onnx(&mut out, onnx)?,
    }
    let length = (out.len() + CHECKSUM) as u32;
    out[12..HEADER].copy_from_slice(&length.to_le_bytes());
    out.extend(crc32(&out).to_le_bytes());
    Ok(out)
}

/// The model and the metadata of a model file, or of a plain ONNX file, which is taken to be
/// calibrated.
///
/// # Errors
/// When the bytes are not a whole, undamaged model file of this format, for this schema; each
/// flaw has its own [`ModelError`] that says where it is.
pub fn load(bytes: &[u8]) -> Result<(AnyModel, String), ModelError> {
    if bytes.first() == Some(&ONNX_START) {
        let model = Onnx::new(bytes.to_vec(), Calibration::default(), [0.0; COUNT])?;
        let about = model.signature().producer.clone();
        return Ok((AnyModel::Onnx(model), about));
    }
    let mut reader = Reader { bytes, at: 0 };
    let magic = reader.array("magic")?;
    if magic != MAGIC {
        return Err(ModelError::Magic { found: magic });
    }
    let format = reader.u16("format version")?;
    if format != FORMAT {
        return Err(ModelError::Format { found: format, expected: FORMAT });
    }
    let kind = reader.u16("model kind")?;
    let schema = reader.u32("schema version")?;
    let length = reader.u32("length")? as usize;
    let end = length.saturating_sub(CHECKSUM);
    let content = reader.bytes.get(..end).filter(|_| end >= HEADER);
    let (Some(content), true) = (content, length <= bytes.len()) else {
        let left = bytes.len() - HEADER;
        let needed = length.saturating_sub(HEADER);
        return Err(ModelError::Truncated { what: "content", offset: HEADER, needed, left });
    };
    if bytes.len() > length {
        return Err(ModelError::Trailing { offset: length, extra: bytes.len() - length });
    }
    let stated = Reader { bytes, at: end }.u32("checksum")?;
    let computed = crc32(content);
    if stated != computed {
        return Err(ModelError::Checksum { offset: end, stated, computed });
    }
    if schema != SCHEMA_VERSION {
        return Err(ModelError::Schema { found: schema, expected: SCHEMA_VERSION });
    }

    let mut reader = Reader { bytes: content, at: HEADER };
    let metadata = reader.section("metadata", read_metadata)?;
    let calibration = reader.section("calibration", read_calibration)?;
    let model = match kind {
        TREES => AnyModel::Trees(reader.section("trees", |r| read_trees(r, calibration))?),
        LOGISTIC => AnyModel::Logistic(Box::new(
            reader.section("weights", |r| read_logistic(r, calibration))?,
        )),
        ONNX => AnyModel::Onnx(reader.section("ONNX model", |r| read_onnx(r, calibration))?),
        found => return Err(ModelError::Kind { found }),
    };
    if reader.at != content.len() {
        let extra = content.len() - reader.at;
        return Err(ModelError::Trailing { offset: reader.at, extra });
    }
    Ok((model, metadata))
}

/// What tells this file's content from that of others: the checksum at the end of a model file, and
/// of any other file, such as a plain ONNX one, the CRC-32 of all of it.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u32 {
    match bytes.split_last_chunk::<CHECKSUM>() {
        Some((_, stated)) if bytes.starts_with(&MAGIC) => u32::from_le_bytes(*stated),
        _ => crc32(bytes),
    }
}

fn read_metadata(reader: &mut Reader<'_>) -> Result<String, ModelError> {
    let length = usize::from(reader.u16("length of the metadata")?);
    check_size("length of the metadata", length, 0, MAX_METADATA)?;
    let text = reader.take("metadata", length)?;
    let text = std::str::from_utf8(text);
    text.map(str::to_owned).map_err(|e| ModelError::Text { valid_up_to: e.valid_up_to() })
}

fn read_calibration(reader: &mut Reader<'_>) -> Result<Calibration, ModelError> {
    let knots = usize::from(reader.u8("number of knots")?);
    let numbers = reader.floats("knots", 2 * knots.max(1))?;
    let calibration = match (knots, numbers.as_chunks::<2>().0) {
        (0, &[[slope, offset]]) => Calibration::Sigmoid { slope, offset },
        (_, pairs) => {
            let points: Vec<(f32, f32)> = pairs.iter().map(|&[m, p]| (m, p)).collect();
            Calibration::Knots(Box::new(Knots::new(&points)?))
        }
    };
    calibration.check()?;
    Ok(calibration)
}

/// Bias `f32`, depth `u8`, trees `u16`, blocks `u16`; a feature `u8` for each block; sixteen
/// bounds `i16` for each; a condition `u16` for each slot; a leaf `f32` for each; a mean `f32`;
/// exits `u8`; for each the trees before it `u16`, then for each its margin `f32`.
fn write_trees(out: &mut Vec<u8>, trees: &Trees) {
    write_floats(out, &[trees.bias]);
    out.push(trees.depth as u8);
    out.extend((trees.trees() as u16).to_le_bytes());
    out.extend((trees.block_features.len() as u16).to_le_bytes());
    out.extend(&trees.block_features);
    out.extend(trees.block_bounds.as_flattened().iter().flat_map(|b| b.to_le_bytes()));
    out.extend(trees.nodes.iter().flat_map(|n| n.to_le_bytes()));
    write_floats(out, &trees.leaves);
    write_floats(out, &trees.values);
    out.push(trees.exits.len() as u8);
    out.extend(trees.exits.iter().flat_map(|exit| (exit.trees as u16).to_le_bytes()));
    write_floats(out, &trees.exits.iter().map(|exit| exit.below).collect::<Vec<_>>());
}

fn read_trees(reader: &mut Reader<'_>, calibration: Calibration) -> Result<Trees, ModelError> {
    let bias = f32::from_le_bytes(reader.array("bias")?);
    let depth = usize::from(reader.u8("depth")?);
    check_size("depth", depth, 1, MAX_DEPTH)?;
    let trees = usize::from(reader.u16("number of trees")?);
    check_size("number of trees", trees, 0, MAX_TREES)?;
    let blocks = usize::from(reader.u16("number of blocks")?);
    check_size("number of blocks", blocks, 1, MAX_BLOCKS)?;
    let slots = trees << depth;
    let block_features = reader.take("block features", blocks)?.to_vec();
    let bounds = reader.pairs("block bounds", blocks * LANES)?;
    let bounds = bounds.as_chunks::<LANES>().0.iter();
    let trees = Trees {
        depth,
        bias,
        calibration,
        block_features,
        block_bounds: bounds.map(|bounds| bounds.map(i16::from_le_bytes)).collect(),
        nodes: reader.pairs("slots", slots)?.iter().map(|n| u16::from_le_bytes(*n)).collect(),
        leaves: reader.floats("leaves", slots)?,
        values: reader.floats("means", slots)?,
        exits: read_exits(reader)?,
        wide: None,
    };
    trees.checked()
}

fn read_exits(reader: &mut Reader<'_>) -> Result<Vec<Exit>, ModelError> {
    let exits = usize::from(reader.u8("number of exits")?);
    check_size("number of exits", exits, 0, MAX_EXITS)?;
    let trees = reader.pairs("trees before exits", exits)?;
    let margins = reader.floats("margins of exits", exits)?;
    let trees = trees.iter().map(|trees| usize::from(u16::from_le_bytes(*trees)));
    Ok(trees.zip(margins).map(|(trees, below)| Exit { trees, below }).collect())
}

/// Bias `f32`, then for each feature a weight `f32`, for each a mean, for each a factor.
fn write_logistic(out: &mut Vec<u8>, model: &Logistic) {
    write_floats(out, &[model.bias]);
    write_floats(out, &model.weights);
    write_floats(out, &model.scale.means);
    write_floats(out, &model.scale.factors);
}

fn read_logistic(
    reader: &mut Reader<'_>,
    calibration: Calibration,
) -> Result<Logistic, ModelError> {
    let bias = f32::from_le_bytes(reader.array("bias")?);
    check_numbers("bias", &[bias])?;
    let mut column = |what| -> Result<[f32; COUNT], ModelError> {
        let numbers = reader.floats(what, COUNT)?;
        check_numbers(what, &numbers)?;
        let mut column = [0.0; COUNT];
        column.copy_from_slice(&numbers);
        Ok(column)
    };
    let weights = column("weight")?;
    let scale = Scale { means: column("mean")?, factors: column("factor")? };
    Ok(Logistic { bias, weights, scale, calibration })
}

/// The usual values, `f32` for each feature; length `u32`; the ONNX file.
fn write_onnx(out: &mut Vec<u8>, model: &Onnx) -> Result<(), ModelError> {
    check_size("length of the ONNX model", model.bytes().len(), 1, MAX_ONNX)?;
    write_floats(out, model.usual());
    out.extend((model.bytes().len() as u32).to_le_bytes());
    out.extend(model.bytes());
    Ok(())
}

fn read_onnx(reader: &mut Reader<'_>, calibration: Calibration) -> Result<Onnx, ModelError> {
    let numbers = reader.floats("usual values", COUNT)?;
    check_numbers("usual value", &numbers)?;
    let mut usual = [0.0; COUNT];
    usual.copy_from_slice(&numbers);
    let length = reader.u32("length of the ONNX model")? as usize;
    check_size("length of the ONNX model", length, 1, MAX_ONNX)?;
    Ok(Onnx::new(reader.take("ONNX model", length)?.to_vec(), calibration, usual)?)
}

fn write_floats(out: &mut Vec<u8>, numbers: &[f32]) {
    out.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
}

/// What is left to read.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, what: &'static str, needed: usize) -> Result<&'a [u8], ModelError> {
        let left = self.bytes.get(self.at..).unwrap_or_default();
        let Some(taken) = left.get(..needed) else {
            let (offset, left) = (self.at, left.len());
            return Err(ModelError::Truncated { what, offset, needed, left });
        };
        self.at += needed;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ModelError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(what, N)?);
        Ok(array)
    }

    fn u8(&mut self, what: &'static str) -> Result<u8, ModelError> {
        self.array(what).map(u8::from_le_bytes)
    }

    fn u16(&mut self, what: &'static str) -> Result<u16, ModelError> {
        self.array(what).map(u16::from_le_bytes)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, ModelError> {
        self.array(what).map(u32::from_le_bytes)
    }

    fn pairs(&mut self, what: &'static str, count: usize) -> Result<&'a [[u8; 2]], ModelError> {
        self.take(what, 2 * count).map(|bytes| bytes.as_chunks().0)
    }

    fn floats(&mut self, what: &'static str, count: usize) -> Result<Vec<f32>, ModelError> {
        let bytes = self.take(what, 4 * count)?;
        Ok(bytes.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect())
    }

    /// Reads one section; what is wrong in it is reported with its place.
    fn section<T>(
        &mut self,
        section: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, ModelError>,
    ) -> Result<T, ModelError> {
        let offset = self.at;
        read(self).map_err(|e| ModelError::Section { section, offset, source: Box::new(e) })
    }
}

/// CRC-32/ISO-HDLC, which finds every burst of up to 32 flipped bits. A file is read once, so
/// eight steps a byte are quick enough.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::noisy_set;
    use crate::trees::Node;
    use proptest::prelude::*;

    fn trees() -> AnyModel {
        let split =
            |feature, threshold| Node::Split { feature, threshold, left: 1, right: 2, value: 0.25 };
        let tree = |f, t| vec![split(f, t), Node::Leaf(-1.0), Node::Leaf(1.5)];
        let knots = Knots::new(&[(-1.0, 0.1), (0.0, 0.2), (2.0, 0.9)]).unwrap();
        let forest: Vec<_> = (0..20).flat_map(|_| [tree(3, 0.5), tree(7, -2.0)]).collect();
        let forest = Trees::new(0.5, &forest, Calibration::Knots(Box::new(knots))).unwrap();
        AnyModel::Trees(forest.with_exits(vec![Exit { trees: 32, below: -3.5 }]).unwrap())
    }

    fn logistic() -> AnyModel {
        AnyModel::Logistic(Box::new(Logistic::train(&noisy_set(60, 1), 1, 1).unwrap()))
    }

    /// The file with `patch` at `offset` and a checksum that fits.
    fn patched(bytes: &[u8], offset: usize, patch: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        bytes[offset..offset + patch.len()].copy_from_slice(patch);
        let end = bytes.len() - CHECKSUM;
        let crc = crc32(&bytes[..end]);
        bytes[end..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn refusal(bytes: &[u8]) -> String {
        load(bytes).unwrap_err().to_string()
    }

    #[test]
    fn the_checksum_is_the_standard_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926, "no model file");
        assert_eq!(checksum(b"TGMD 1234\x01\x02\x03\x04"), 0x0403_0201, "as it is stated");
        assert_eq!(checksum(b""), 0);
    }

    #[test]
    fn each_flaw_has_its_own_error() {
        let bytes = save(&trees(), "note").unwrap();
        // Metadata takes 6 bytes, the calibration 25; then bias, depth, trees, blocks.
        let (calibration, body) = (22, 47);
        let features = body + 9;
        let (bounds, slots) = (features + 2, features + 2 + 2 * 2 * LANES);
        // Forty trees of two slots.
        let leaves = slots + 2 * 80;
        let nan = f32::NAN.to_le_bytes();
        let flaws: [(&str, Vec<u8>); 18] = [
            ("not a model file", patched(&bytes, 0, b"ONNX")),
            ("format 3 at byte 4", patched(&bytes, 4, &[3])),
            ("unknown model kind 9", patched(&bytes, 6, &[9])),
            ("feature schema 258", patched(&bytes, 8, &[2, 1])),
            ("checksum", [&bytes[..30], &[bytes[30] ^ 1], &bytes[31..]].concat()),
            ("content at byte 16 needs", bytes[..bytes.len() - 1].to_vec()),
            ("model kind at byte 6 needs 2 bytes", bytes[..7].to_vec()),
            ("1 bytes too many", [&bytes[..], &[0]].concat()),
            ("length of the metadata is 65535", patched(&bytes, 16, &[255, 255])),
            ("byte 1 of the text is not UTF-8", patched(&bytes, 19, &[255])),
            ("calibration knots is 33", {
                let room = [&bytes[..], &[0; 400]].concat();
                let room = patched(&room, calibration, &[33]);
                patched(&room, 12, &(room.len() as u32).to_le_bytes())
            }),
            (
                "knot 1: the probability descends",
                patched(&bytes, calibration + 13, &0f32.to_le_bytes()),
            ),
            ("bias number 0 is NaN", patched(&bytes, body, &nan)),
            ("depth is 9", patched(&bytes, body + 4, &[9])),
            ("number of trees is 65535", patched(&bytes, body + 5, &[255, 255])),
            ("number of blocks is 65535", patched(&bytes, body + 7, &[255, 255])),
            ("block number 1 names feature 64", patched(&bytes, features + 1, &[64])),
            ("slot number 3 points at 65535", patched(&bytes, slots + 6, &[255, 255])),
        ];
        for (expected, file) in &flaws {
            let message = refusal(file);
            assert!(message.contains(expected), "{expected:?} is not in {message:?}");
        }
        assert!(refusal(&patched(&bytes, leaves + 4, &nan)).contains("leaf number 1 is NaN"));
        let inf = f32::INFINITY.to_le_bytes();
        let means = leaves + 4 * 80;
        assert!(refusal(&patched(&bytes, means, &inf)).contains("mean number 0 is inf"));
        let exits = means + 4 * 80;
        assert!(refusal(&patched(&bytes, exits, &[17])).contains("number of exits is 17"));
        let early = refusal(&patched(&bytes, exits + 1, &[31, 0]));
        assert!(early.contains("number of trees before an exit is 31"), "{early}");
        assert!(refusal(&patched(&bytes, exits + 3, &nan)).contains("margin of an exit"));
        assert!(refusal(&patched(&bytes, body + 4, &[8])).contains("is cut off: slots"));
        assert_eq!(load(&patched(&bytes, bounds, &[0])).map(|_| ()), Ok(()));

        let bytes = save(&logistic(), "").unwrap();
        let weights = 18 + 9 + 4;
        let message = refusal(&patched(&bytes, weights + 4 * COUNT, &inf));
        assert!(message.contains("in the weights at byte 27"), "{message}");
        assert!(message.contains("mean number 0 is inf"), "{message}");
        let falling = patched(&bytes, 19, &(-1f32).to_le_bytes());
        assert!(refusal(&falling).contains("the slope is negative"));
    }

    #[test]
    fn long_metadata_is_refused() {
        let message = save(&trees(), &"x".repeat(MAX_METADATA + 1)).unwrap_err().to_string();
        assert!(message.contains("length of the metadata is 4097"), "{message}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_without_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            header in any::<bool>(),
        ) {
            let good = save(&trees(), "").unwrap();
            let start = if header { &good[..12] } else { &[] };
            let file = [start, &bytes].concat();
            prop_assert!(load(&file).is_err());
        }

        #[test]
        fn damage_is_never_loaded(
            trees_or_logistic in any::<bool>(),
            flips in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
            bit in 0u8..8,
            cut in any::<prop::sample::Index>(),
        ) {
            let model = if trees_or_logistic { trees() } else { logistic() };
            let good = save(&model, "damage").unwrap();
            let mut bad = good.clone();
            flips.iter().for_each(|at| bad[at.index(good.len())] ^= 1 << bit);
            prop_assert!(bad == good || load(&bad).is_err());
            prop_assert!(load(&good[..cut.index(good.len())]).is_err());
        }

        /// A checksum that fits must not be a way past the other checks.
        #[test]
        fn forged_files_load_to_sound_models_or_not_at_all(
            at in any::<prop::sample::Index>(),
            patch in prop::collection::vec(any::<u8>(), 1..5),
            trees_or_logistic in any::<bool>(),
        ) {
            let good = save(&if trees_or_logistic { trees() } else { logistic() }, "forged").unwrap();
            let forged = patched(&good, at.index(good.len() - CHECKSUM - patch.len()), &patch);
            if let Ok((model, _)) = load(&forged) {
                for x in [0.0, f32::MAX, f32::MIN] {
                    let features = [x; COUNT];
                    prop_assert!((0.0..=1.0).contains(&model.score_one(&features)));
                    prop_assert!(model.explain(&features).margin.is_finite());
                }
            }
        }
    }
}
