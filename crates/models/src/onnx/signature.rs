//! What an ONNX model says of itself, checked before anything runs.

use super::error::OnnxError;
use super::proto::{EXTERNAL, Kind, ModelProto, Shape, ValueInfo, element, kind::Value};
use prost::Message;
use std::collections::BTreeSet;
use tidegate_behavior::schema::{COUNT, SCHEMA_VERSION};

/// The property that names the feature schema a model was trained for.
pub const SCHEMA_PROPERTY: &str = "tidegate.schema";
/// The property that says what the output is: `probability` (the default) or `logit`.
pub const OUTPUT_PROPERTY: &str = "tidegate.output";
/// The longest sequence of requests that a model may ask for.
pub const MAX_STEPS: usize = 64;
/// The oldest operator set: what ONNX Runtime still promises to run.
pub const MIN_OPSET: i64 = 7;

/// Domains of operators that ONNX Runtime has built in.
const DOMAINS: [&str; 4] = ["", "ai.onnx", "ai.onnx.ml", "com.microsoft"];
/// Operators that only a quantised model has.
const QUANTISED: [&str; 7] = [
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "MatMulInteger",
    "QLinearMatMul",
    "QGemm",
    "DynamicQuantizeLSTM",
];

/// How the probability is read from the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One or two floats a row.
    Tensor,
    /// A map from label to probability for each row, by number.
    Numbers,
    /// A map from label to probability for each row, by text.
    Words,
}

/// What an ONNX model takes and gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The name of its input.
    pub input: String,
    /// How many requests of a client it looks at: 1 for a plain row.
    pub steps: usize,
    /// Whether it takes several rows at once.
    pub batches: bool,
    /// The name of the output that is read.
    pub output: String,
    pub(super) position: usize,
    pub(super) sequence: bool,
    pub(super) form: Form,
    /// Whether the output is log-odds and not a probability.
    pub logit: bool,
    /// The version of the ONNX operator set.
    pub opset: i64,
    /// Who wrote the file.
    pub producer: String,
    /// Whether it computes with integers.
    pub quantised: bool,
    /// The operators that occur in it.
    pub operators: Vec<String>,
}

impl Signature {
    /// Reads and checks the head of an ONNX model.
    ///
    /// # Errors
    /// What is wrong, and what to do about it.
    pub fn read(bytes: &[u8]) -> Result<Self, OnnxError> {
        let model = ModelProto::decode(bytes).map_err(|e| OnnxError::Format(e.to_string()))?;
        Self::of(&model)
    }

    pub(super) fn of(model: &ModelProto) -> Result<Self, OnnxError> {
        let Some(graph) = &model.graph else {
            return Err(OnnxError::Format("it has no graph".into()));
        };
        let property = |key| model.metadata_props.iter().find(|p| p.key == key);
        schema(property(SCHEMA_PROPERTY).map(|p| p.value.as_str()))?;
        let opset = opset(model)?;
        if let Some(outside) = graph.initializer.iter().find(|t| t.data_location == EXTERNAL) {
            return Err(OnnxError::External(outside.name.clone()));
        }
        let weights: BTreeSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
        // Before IR 4 weights are listed as inputs too.
        let inputs: Vec<_> =
            graph.input.iter().filter(|i| !weights.contains(i.name.as_str())).collect();
        let (input, steps, sequence, batches) = input(&inputs)?;
        let (position, output, form) = output(&graph.output)?;
        let logit = match property(OUTPUT_PROPERTY).map(|p| p.value.as_str()) {
            None | Some("probability") => false,
            Some("logit") => true,
            Some(found) => {
                let (key, found) = (OUTPUT_PROPERTY, found.to_owned());
                return Err(OnnxError::Property { key, found, expected: "probability or logit" });
            }
        };
        let operators: BTreeSet<&str> = graph.node.iter().map(|n| n.op_type.as_str()).collect();
        Ok(Self {
            input,
            steps,
            batches,
            output,
            position,
            sequence,
            form,
            logit,
            opset,
            producer: format!("{} {}", model.producer_name, model.producer_version),
            quantised: operators.iter().any(|name| QUANTISED.contains(name)),
            operators: operators.into_iter().map(str::to_owned).collect(),
        })
    }
}

fn schema(written: Option<&str>) -> Result<(), OnnxError> {
    let found = match written {
        None => format!("has no property `{SCHEMA_PROPERTY}`"),
        Some(text) if text.trim().parse() == Ok(SCHEMA_VERSION) => return Ok(()),
        Some(text) => format!("was trained for feature schema `{text}`"),
    };
    Err(OnnxError::Schema { found, expected: SCHEMA_VERSION })
}

fn opset(model: &ModelProto) -> Result<i64, OnnxError> {
    let mut main = 0;
    for set in &model.opset_import {
        if !DOMAINS.contains(&set.domain.as_str()) {
            let found = format!("operators of the domain `{}`", set.domain);
            let remedy = "standard operators alone".into();
            return Err(OnnxError::Opset { found, remedy });
        }
        if set.domain.is_empty() || set.domain == "ai.onnx" {
            main = set.version;
        }
    }
    // A model of trees alone may import no other domain than theirs.
    if main != 0 && main < MIN_OPSET {
        let (found, remedy) = (format!("operator set {main}"), format!("{MIN_OPSET} or newer"));
        return Err(OnnxError::Opset { found, remedy });
    }
    Ok(main)
}

/// Name, steps, whether there is an axis for them, and whether rows may come in batches.
fn input(inputs: &[&ValueInfo]) -> Result<(String, usize, bool, bool), OnnxError> {
    let &[one] = inputs else {
        let names: Vec<_> = inputs.iter().map(|i| format!("`{}`", i.name)).collect();
        let found = format!("the model has {} inputs: {}", inputs.len(), names.join(", "));
        return Err(OnnxError::Input { found });
    };
    let wrong =
        |what: String| OnnxError::Input { found: format!("the input `{}` {what}", one.name) };
    let Some(Value::Tensor(tensor)) = one.kind.as_ref().and_then(|k| k.value.as_ref()) else {
        return Err(wrong("is no tensor".into()));
    };
    if tensor.element != element::FLOAT {
        return Err(wrong(format!("is of {}", element::name(tensor.element))));
    }
    let dims = dims(tensor.shape.as_ref());
    let width = COUNT as i64;
    let (steps, sequence) = match dims.as_slice() {
        [n, w] if *n <= 1 && *w == width => (1, false),
        [n, t, w] if *n <= 1 && *w == width && (1..=MAX_STEPS as i64).contains(t) => {
            (usize::try_from(*t).unwrap_or(1), true)
        }
        _ => return Err(wrong(format!("has the shape {}", shown(&dims)))),
    };
    Ok((one.name.clone(), steps, sequence, dims.first() == Some(&0)))
}

/// Position, name and form of the output that holds the probability.
fn output(outputs: &[ValueInfo]) -> Result<(usize, String, Form), OnnxError> {
    let usable: Vec<_> = outputs
        .iter()
        .enumerate()
        .filter_map(|(at, output)| Some((at, output, form(output.kind.as_ref()?)?)))
        .collect();
    let chosen = match usable.as_slice() {
        [one] => Some(one),
        many => {
            let mut likely = many.iter().filter(|(_, output, _)| output.name.contains("prob"));
            likely.next().filter(|_| likely.next().is_none())
        }
    };
    let Some((at, output, form)) = chosen else {
        let names: Vec<_> = outputs.iter().map(|o| format!("`{}`", o.name)).collect();
        let what = if usable.is_empty() {
            "none of which is a score"
        } else {
            "several of which may be the score"
        };
        let found = format!("the model has the outputs {}, {what}", names.join(", "));
        return Err(OnnxError::Output { found });
    };
    Ok((*at, output.name.clone(), *form))
}

fn form(kind: &Kind) -> Option<Form> {
    match kind.value.as_ref()? {
        Value::Tensor(tensor) if tensor.element == element::FLOAT => {
            // A shape that is not stated is looked at when the model has run.
            match dims(tensor.shape.as_ref()).as_slice() {
                [] | [_] | [_, 0..=2] => Some(Form::Tensor),
                _ => None,
            }
        }
        Value::Sequence(sequence) => match sequence.element.as_ref()?.value.as_ref()? {
            Value::Map(map) => match map.key {
                element::INT64 => Some(Form::Numbers),
                element::STRING => Some(Form::Words),
                _ => None,
            },
            _ => None,
        },
        Value::Tensor(_) | Value::Map(_) => None,
    }
}

/// The dimensions, 0 for those that are open.
fn dims(shape: Option<&Shape>) -> Vec<i64> {
    shape.map_or_else(Vec::new, |s| s.dim.iter().map(|d| d.value.max(0)).collect())
}

fn shown(dims: &[i64]) -> String {
    let one = |d: &i64| if *d == 0 { "?".to_owned() } else { d.to_string() };
    format!("[{}]", dims.iter().map(one).collect::<Vec<_>>().join(", "))
}
