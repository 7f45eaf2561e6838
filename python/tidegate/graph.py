"""ONNX graphs as Tidegate takes them: stamped with the feature schema, inputs squashed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from tidegate.data import FEATURES, SCHEMA_KEY

def squash(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """sign(x) ln(1 + |x|): features span five decades, and what is linear needs them closer."""
    return (np.sign(x) * np.log1p(np.abs(x))).astype(np.float32)


def squash_first(model: ModelProto) -> ModelProto:
    """Puts `squash` in front of a graph that was trained on squashed features."""
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise ValueError(f"the graph has {len(inputs)} inputs, not one")
    old = inputs[0].name
    nodes = [
        helper.make_node("Abs", ["features"], ["tidegate_size"]),
        helper.make_node("Add", ["tidegate_size", "tidegate_one"], ["tidegate_more"]),
        helper.make_node("Log", ["tidegate_more"], ["tidegate_log"]),
        helper.make_node("Sign", ["features"], ["tidegate_sign"]),
        helper.make_node("Mul", ["tidegate_log", "tidegate_sign"], [old]),
    ]
    graph.initializer.append(helper.make_tensor("tidegate_one", TensorProto.FLOAT, [1], [1.0]))
    for node in reversed(nodes):
        graph.node.insert(0, node)
    inputs[0].name = "features"
    if all(known.domain not in ("", "ai.onnx") for known in model.opset_import):
        model.opset_import.append(helper.make_opsetid("", 13))
    return model


def stamp(model: ModelProto, schema: int, output: str = "probability") -> ModelProto:
    """Writes into the model for which features it was trained and what its output is.

    `schema` is that of the rows it was trained on (`Rows.schema`); `output` is `probability`, or `logit` for log-odds before a sigmoid.
    """
    if output not in ("probability", "logit"):
        raise ValueError(f"output is {output!r}; write 'probability' or 'logit'")
    stamps = {SCHEMA_KEY: str(schema), "tidegate.output": output}
    kept = [p for p in model.metadata_props if p.key not in stamps]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    for key, value in stamps.items():
        model.metadata_props.add(key=key, value=value)
    return model


def save(model: ModelProto, path: str, schema: int, output: str = "probability") -> None:
    """Stamps, checks and writes a model with all of its weights in the one file."""
    stamp(model, schema, output)
    onnx.checker.check_model(model)
    onnx.save_model(model, path, save_as_external_data=False)


def quantise(source: str, target: str, rows: NDArray[np.float32] | None = None) -> None:
    """Writes a copy with weights of eight bits.

    With `rows` (n × 64, float32; some thousand that training has seen) what layers take in is quantised by
    scales that are fixed by them. Without, the scale is that of the rows that are scored together, so what a
    layer takes in has to be bounded (a normalisation, a clip), or a row's score would depend on its
    neighbours, which the import refuses. A copy is smaller; at the size of these models it is not quicker,
    for one row is too little to win by. The stamps are carried over.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

    whole = onnx.load(source)
    stamps = {p.key: p.value for p in whole.metadata_props}
    if SCHEMA_KEY not in stamps:
        raise ValueError(f"{source} has no stamps: write it with `save`")
    if rows is None:
        quantize_dynamic(Path(source), Path(target), weight_type=QuantType.QInt8)
    else:
        rows = np.asarray(rows, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != FEATURES or len(rows) == 0:
            raise ValueError(f"rows have the shape {rows.shape}; give n × {FEATURES}, with n at least 1")
        batches = iter(np.array_split(rows, -(-len(rows) // 256)))
        name = whole.graph.input[0].name

        class Batches(CalibrationDataReader):
            """Rows, batch by batch."""

            def get_next(self) -> dict[str, NDArray[np.float32]] | None:
                """The next batch; none after the last."""
                batch = next(batches, None)
                return None if batch is None else {name: batch}

        quantize_static(
            Path(source),
            Path(target),
            Batches(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul", "Gemm"],
            weight_type=QuantType.QInt8,
        )
    model = onnx.load(target)
    if any(len(t.dims) == 2 and t.dims[0] == FEATURES for t in model.graph.initializer if t.data_type == 1):
        raise ValueError(f"nothing in {source} could be quantised")
    save(model, target, int(stamps[SCHEMA_KEY]), stamps["tidegate.output"])
