//! Small graphs made here, good ones and such as must be refused.

use super::proto::{
    Attribute, Dimension, EXTERNAL, GraphProto, Kind, MapKind, ModelProto, Node, OperatorSet,
    Property, SequenceKind, Shape, Tensor, TensorKind, ValueInfo, element, kind::Value,
};
use super::*;
use crate::file::AnyModel;
use prost::Message;
use tidegate_behavior::schema::SCHEMA_VERSION;

/// Tests run models, so they need the library; `scripts/test` installs it under `target/venv`.
pub(crate) fn need_runtime() {
    if std::env::var_os("TIDEGATE_ONNXRUNTIME").is_none() {
        let wheels = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/venv/lib");
        let installed = std::fs::read_dir(wheels).into_iter().flatten().flatten();
        let packages = installed.map(|v| v.path().join("site-packages/onnxruntime/capi"));
        if let Some(folder) = packages.into_iter().find(|folder| folder.is_dir()) {
            // Whoever is second finds it loaded.
            let _ = use_library(&folder);
        }
    }
    if let Err(e) = start() {
        panic!("{e}\nscripts/python makes an environment with it for the tests");
    }
}

fn tensor_kind(element: i32, dims: &[i64]) -> Kind {
    let dim = dims.iter().map(|d| Dimension { value: *d, name: String::new() }).collect();
    Kind { value: Some(Value::Tensor(TensorKind { element, shape: Some(Shape { dim }) })) }
}

fn info(name: &str, kind: Kind) -> ValueInfo {
    ValueInfo { name: name.into(), kind: Some(kind) }
}

fn node(op: &str, domain: &str, input: &[&str], output: &str) -> Node {
    Node {
        input: input.iter().map(|s| (*s).to_owned()).collect(),
        output: vec![output.into()],
        op_type: op.into(),
        domain: domain.into(),
        attribute: Vec::new(),
    }
}

fn weights(name: &str, dims: &[i64], numbers: &[f32]) -> Tensor {
    Tensor {
        dims: dims.to_vec(),
        data_type: element::FLOAT,
        name: name.into(),
        raw_data: numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
        data_location: 0,
    }
}

/// `Flatten → Gemm → activation` over `input` dims, with a weight for each feature of the last row.
fn graph(input: &[i64], columns: usize, activation: Option<&str>) -> ModelProto {
    let steps = if input.len() == 3 { usize::try_from(input[1]).unwrap() } else { 1 };
    let mut matrix = vec![0.0; steps * COUNT * columns];
    for i in 0..COUNT {
        let at = ((steps - 1) * COUNT + i) * columns + columns - 1;
        matrix[at] = [0.5, -0.25, 0.125][i % 3] / 8.0;
    }
    let mut nodes =
        vec![node("Flatten", "", &["x"], "flat"), node("Gemm", "", &["flat", "w", "b"], "margin")];
    if let Some(activation) = activation {
        nodes.push(node(activation, "", &["margin"], "p"));
    }
    let last = nodes[nodes.len() - 1].output[0].clone();
    let rows = (steps * COUNT) as i64;
    ModelProto {
        ir_version: 8,
        producer_name: "tests".into(),
        producer_version: "1".into(),
        graph: Some(GraphProto {
            node: nodes,
            name: "g".into(),
            initializer: vec![
                weights("w", &[rows, columns as i64], &matrix),
                weights("b", &[columns as i64], &vec![-0.5; columns]),
            ],
            input: vec![info("x", tensor_kind(element::FLOAT, input))],
            output: vec![info(&last, tensor_kind(element::FLOAT, &[0, columns as i64]))],
        }),
        opset_import: vec![OperatorSet { domain: String::new(), version: 17 }],
        metadata_props: vec![Property {
            key: SCHEMA_PROPERTY.into(),
            value: SCHEMA_VERSION.to_string(),
        }],
    }
}

fn linear() -> ModelProto {
    graph(&[0, 64], 1, Some("Sigmoid"))
}

/// The linear model with a probability of two columns and maps made of them.
fn zipped() -> ModelProto {
    let mut model = graph(&[0, 64], 2, Some("Softmax"));
    model.opset_import.push(OperatorSet { domain: "ai.onnx.ml".into(), version: 1 });
    let graph = model.graph.as_mut().unwrap();
    let mut zip = node("ZipMap", "ai.onnx.ml", &["p"], "output_probability");
    let labels = Attribute { name: "classlabels_int64s".into(), ints: vec![0, 1], kind: 7 };
    zip.attribute.push(labels);
    graph.node.push(zip);
    let floats = Box::new(tensor_kind(element::FLOAT, &[]));
    let map = Value::Map(Box::new(MapKind { key: element::INT64, value: Some(floats) }));
    let sequence = SequenceKind { element: Some(Box::new(Kind { value: Some(map) })) };
    let kind = Kind { value: Some(Value::Sequence(Box::new(sequence))) };
    graph.output =
        vec![info("p0", tensor_kind(element::INT64, &[0])), info("output_probability", kind)];
    graph.output.remove(0);
    model
}

fn load(model: &ModelProto) -> Result<Onnx, OnnxError> {
    need_runtime();
    Onnx::new(model.encode_to_vec(), Calibration::default(), [0.0; COUNT])
}

/// A model for the tests of others.
pub(crate) fn linear_bytes() -> Vec<u8> {
    linear().encode_to_vec()
}

/// What the graph computes of a row.
fn margin_of(row: &Features) -> f32 {
    let weighed = row.iter().enumerate();
    weighed.map(|(i, x)| [0.5, -0.25, 0.125][i % 3] / 8.0 * x).sum::<f32>() - 0.5
}

fn row(seed: u64) -> Features {
    let mut seed = seed;
    std::array::from_fn(|_| {
        seed = crate::data::mix(seed);
        (seed >> 40) as f32 / (1u64 << 24) as f32 * 4.0 - 2.0
    })
}

#[test]
fn it_conforms() {
    need_runtime();
    for model in [linear(), zipped(), graph(&[1, 64], 1, Some("Sigmoid"))] {
        crate::conformance::run(AnyModel::Onnx(load(&model).unwrap()));
    }
}

#[test]
fn an_operator_set_that_the_runtime_does_not_know_is_refused() {
    let mut model = linear();
    model.opset_import[0].version = 9999;
    let message = load(&model).unwrap_err().to_string();
    assert!(message.contains("opset") && message.contains("older operator set"), "{message}");
}

#[test]
fn every_form_of_output_gives_the_same_margin() {
    let mut logits = graph(&[0, 64], 1, None);
    let logit = Property { key: OUTPUT_PROPERTY.into(), value: "logit".into() };
    logits.metadata_props.push(logit.clone());
    let mut two = graph(&[0, 64], 2, None);
    two.metadata_props.push(logit);
    let forms = [linear(), logits, graph(&[1, 64], 1, Some("Sigmoid"))];
    for model in &forms {
        let model = load(model).unwrap();
        for seed in 0..20 {
            let row = row(seed);
            let (margin, expected) = (model.margin(&row), margin_of(&row));
            assert!((margin - expected).abs() < 1e-3, "{margin} for {expected}");
        }
    }
    // With two columns both have the bias, and it cancels.
    for model in [graph(&[0, 64], 2, Some("Softmax")), two, zipped()] {
        let (margin, expected) = (load(&model).unwrap().margin(&row(3)), margin_of(&row(3)) + 0.5);
        assert!((margin - expected).abs() < 1e-3, "{margin} for {expected}");
    }
}

#[test]
fn a_sequence_is_of_the_latest_requests_and_padded_in_front() {
    let model = load(&graph(&[0, 4, 64], 1, Some("Sigmoid"))).unwrap();
    assert_eq!(model.signature().steps, 4);
    let rows: Vec<Features> = (0..6).map(row).collect();
    let windows: [&[Features]; 3] = [&rows[5..], &rows[2..], &rows];
    let margins = model.margins(&windows).unwrap();
    for margin in &margins {
        assert!((margin - margin_of(&rows[5])).abs() < 1e-3, "{margin}");
    }
    let nothing = model.margins(&[&[]]).unwrap();
    assert!((nothing[0] + 0.5).abs() < 1e-5, "{nothing:?}");
}

#[test]
fn an_explanation_of_a_linear_model_is_exact() {
    let mut usual = [0.0; COUNT];
    usual[0] = 1.0;
    let model = load(&linear()).unwrap().with(Calibration::default(), usual);
    let explanation = model.explain(&row(2));
    let expected = 0.5 / 8.0 * (row(2)[0] - 1.0);
    assert!((explanation.contributions[0] - expected).abs() < 1e-3);
    assert!((explanation.contributions[1] + 0.25 / 8.0 * row(2)[1]).abs() < 1e-3);
}

#[test]
fn threads_share_a_model() {
    let model = load(&linear()).unwrap();
    let expected = model.margin(&row(9));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..200).for_each(|_| assert_eq!(model.margin(&row(9)), expected)));
        }
    });
}

#[test]
fn each_flaw_of_a_file_has_its_own_error() {
    type Spoil = fn(&mut ModelProto);
    fn of(model: &mut ModelProto) -> &mut GraphProto {
        model.graph.as_mut().unwrap()
    }
    let flaws: [(&str, Spoil); 14] = [
        ("has no graph", |m| m.graph = None),
        ("no property `tidegate.schema`", |m| m.metadata_props.clear()),
        ("for feature schema `2`", |m| m.metadata_props[0].value = "2".into()),
        ("operator set 6", |m| m.opset_import[0].version = 6),
        ("of the domain `acme`", |m| m.opset_import[0].domain = "acme".into()),
        ("weight `w` lies in another file", |m| of(m).initializer[0].data_location = EXTERNAL),
        ("2 inputs: `x`, `y`", |m| {
            of(m).input.push(info("y", tensor_kind(element::FLOAT, &[0, 64])));
        }),
        ("`x` is of double", |m| of(m).input[0].kind = Some(tensor_kind(11, &[0, 64]))),
        ("shape [?, 63]", |m| of(m).input[0].kind = Some(tensor_kind(1, &[0, 63]))),
        ("shape [?, ?, 64]", |m| of(m).input[0].kind = Some(tensor_kind(1, &[0, 0, 64]))),
        ("shape [8, 64]", |m| of(m).input[0].kind = Some(tensor_kind(1, &[8, 64]))),
        ("none of which is a score", |m| of(m).output[0].kind = Some(tensor_kind(7, &[0]))),
        ("several of which may be", |m| {
            of(m).output.push(info("margin", tensor_kind(element::FLOAT, &[0, 1])));
        }),
        ("`tidegate.output` is `odds`", |m| {
            let value = "odds".into();
            m.metadata_props.push(Property { key: OUTPUT_PROPERTY.into(), value });
        }),
    ];
    for (expected, spoil) in flaws {
        let mut model = linear();
        spoil(&mut model);
        let message = Signature::of(&model).unwrap_err().to_string();
        assert!(message.contains(expected), "{expected:?} is not in {message:?}");
    }
    // Weights among the inputs, as old exporters list them, are no inputs.
    let mut old = linear();
    of(&mut old).input.push(info("w", tensor_kind(element::FLOAT, &[64, 1])));
    assert_eq!(Signature::of(&old).unwrap().input, "x");
    assert!(Signature::read(b"TGMD").is_err());
}

#[test]
fn what_shows_only_when_it_runs_is_told_at_import() {
    let margins = load(&graph(&[0, 64], 1, None)).unwrap_err().to_string();
    assert!(margins.contains("no probability") && margins.contains("logit"), "{margins}");
    let mut broken = linear();
    broken.graph.as_mut().unwrap().node[1].op_type = "Gem".into();
    let message = load(&broken).unwrap_err().to_string();
    assert!(message.starts_with("ONNX Runtime says: "), "{message}");
    let mut wide = linear();
    wide.graph.as_mut().unwrap().node[2] = node("Shape", "", &["margin"], "p");
    assert!(load(&wide).is_err());
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_refused_without_a_panic(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        at in proptest::prelude::any::<proptest::sample::Index>(),
        byte in proptest::prelude::any::<u8>(),
    ) {
        let _ = Signature::read(&bytes);
        let mut good = linear_bytes();
        let at = at.index(good.len());
        good[at] = byte;
        let _ = Signature::read(&good);
    }
}
