"""The package on small data made here, and the whole way through the program for two frameworks.

The whole way needs the program: TIDEGATE names it (`scripts/test` does).
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper

import tidegate

EXAMPLES = Path(__file__).parent.parent / "examples"


def export(path: Path, clients: int = 8, schema: bytes = b"3") -> None:
    """Clients of six requests each, half of them abusive, two clients a group, the last unlabelled."""
    rows = clients * 6
    at = np.arange(rows)
    client = at // 6
    columns = {f"f{i}": (at + i / 100).astype(np.float32) for i in range(tidegate.FEATURES)}
    label = [None if c == clients - 1 else bool(c % 2) for c in client]
    columns |= {
        "label": pa.array(label, pa.bool_()),
        "weight": np.ones(rows, np.float32),
        "client": client.astype(np.int64),
        "group": (client // 2).astype(np.int32),
        "sequence": (at % 6).astype(np.int32),
        "time": pa.array(at, pa.timestamp("us")),
    }
    table = pa.table(columns).replace_schema_metadata({b"tidegate.schema": schema})
    # Not in order, as a log is not.
    pq.write_table(table.take(np.random.default_rng(1).permutation(rows)), path)


class Package(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def rows(self, clients: int = 8) -> tidegate.Rows:
        export(self.folder / "rows.parquet", clients)
        return tidegate.read(str(self.folder / "rows.parquet"))

    def test_rows_are_labelled_and_in_order(self) -> None:
        rows = self.rows()
        self.assertEqual(len(rows), 42)
        self.assertEqual(rows.x.shape, (42, 64))
        np.testing.assert_array_equal(rows.x[:, 0], np.arange(42))
        self.assertEqual(rows.schema, 3)

    def test_other_files_are_refused(self) -> None:
        path = str(self.folder / "other.parquet")
        pq.write_table(pa.table({"x": [1.0]}), path)
        with self.assertRaisesRegex(ValueError, "tidegate.schema"):
            tidegate.read(path)
        pq.write_table(pa.table({"x": [1.0]}).replace_schema_metadata({b"tidegate.schema": b"3"}), path)
        with self.assertRaisesRegex(ValueError, "1 features"):
            tidegate.read(path)

    def test_no_group_is_on_both_sides(self) -> None:
        rows = self.rows(40)
        rest, held = tidegate.split(rows, 0.25)
        self.assertEqual(len(rest) + len(held), len(rows))
        self.assertEqual(set(rest.group) & set(held.group), set())
        self.assertEqual(len(set(held.group)), 5)

    def test_windows_are_of_one_client_and_padded_in_front(self) -> None:
        rows = self.rows()
        windows, last = tidegate.windows(rows, 4)
        self.assertEqual(windows.shape, (42, 4, 64))
        np.testing.assert_array_equal(windows[last == 7][0, :, 0], [0, 0, 6, 7])
        np.testing.assert_array_equal(windows[last == 11][0, :, 0], [8, 9, 10, 11])
        # A client whose beginning is not there has no short windows.
        later = rows.take(rows.sequence >= 2)
        _, last = tidegate.windows(later, 4)
        np.testing.assert_array_equal(later.sequence[last], [5] * 7)

    def test_quality_by_hand(self) -> None:
        y, score = np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.8, 0.1], np.float32)
        weight = np.ones(4, np.float32)
        self.assertAlmostEqual(tidegate.roc_auc(y, score, weight), 3.5 / 4)
        self.assertAlmostEqual(tidegate.tpr_at(0.1, y, score, weight), 0.5)
        self.assertAlmostEqual(tidegate.tpr_at(0.5, y, score, weight), 1.0)

    def test_a_graph_is_stamped_once_and_squashes_first(self) -> None:
        from onnxruntime import InferenceSession

        kind = helper.make_tensor_value_info
        graph = helper.make_graph(
            [helper.make_node("Sigmoid", ["x"], ["p"])], "g",
            [kind("x", TensorProto.FLOAT, [None, 64])], [kind("p", TensorProto.FLOAT, [None, 64])],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        path = str(self.folder / "model.onnx")
        tidegate.save(tidegate.squash_first(tidegate.stamp(model, 2, "logit")), path, 3)
        stamps = {p.key: p.value for p in onnx.load(path).metadata_props}
        self.assertEqual(stamps, {"tidegate.schema": "3", "tidegate.output": "probability"})
        x = np.linspace(-1e4, 1e4, 128, dtype=np.float32).reshape(2, 64)
        (p,) = InferenceSession(path).run(None, {"features": x})
        np.testing.assert_allclose(p, 1 / (1 + np.exp(-tidegate.squash(x))), rtol=1e-3, atol=1e-6)
        with self.assertRaisesRegex(ValueError, "odds"):
            tidegate.stamp(model, 3, "odds")


class WholeWay(unittest.TestCase):
    """Export, train, import, and decisions by the imported model."""

    folder: tempfile.TemporaryDirectory

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        cls.run_program("export-features", "--simulate", "--rounds", "2", "--out", cls.path("rows.parquet"))

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    @classmethod
    def path(cls, name: str) -> str:
        return str(Path(cls.folder.name) / name)

    @staticmethod
    def run_program(*args: str) -> str:
        program = os.environ.get("TIDEGATE")
        if not program:
            raise RuntimeError("set TIDEGATE to the program: cargo build --release -p tidegate")
        done = subprocess.run([program, *args], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{args}: {done.stderr}")
        return done.stdout

    def whole_way(self, script: str, *more: str) -> None:
        model = self.path(f"{script}{''.join(more)}.onnx")
        command = [sys.executable, EXAMPLES / f"{script}.py", self.path("rows.parquet"), model, *more]
        subprocess.run(command, check=True, capture_output=True)
        judged = self.run_program(
            "models", "import", model, "--name", "mine", "--dir", self.path("models"), "--rounds", "1",
            "--json",
        )
        judgement = json.loads(judged)["judgement"]
        # Trained on a hundredth of what the built-in model was, and still far from chance.
        self.assertGreater(judgement["quality"]["roc_auc"], 0.65)
        self.assertLess(judgement["quality"]["ece"], 0.1)
        self.assertIn("mine", self.run_program("models", "list", "--dir", self.path("models")))
        evaluated = self.run_program(
            "evaluate", "--seeds", "1", "--minutes", "5", "--scenario", "flood", "--model",
            self.path("models/mine.tgmd"), "--json",
        )
        self.assertIsNotNone(json.loads(evaluated)["roc_auc"])

    def test_scikit_learn(self) -> None:
        self.whole_way("sklearn_model")

    def test_a_model_that_is_too_slow_is_refused(self) -> None:
        model = self.path("slow.onnx")
        command = [sys.executable, EXAMPLES / "sklearn_model.py", self.path("rows.parquet"), model]
        subprocess.run(command, check=True, capture_output=True)
        # Nothing that a runtime evaluates answers within a microsecond.
        with self.assertRaisesRegex(RuntimeError, "more than 1 µs; make it smaller"):
            self.run_program(
                "models", "import", model, "--name", "slow", "--dir", self.path("refused"), "--rounds", "1",
                "--slowest", "1",
            )
        self.assertFalse(Path(self.path("refused")).exists())

    def test_scikit_learn_logistic(self) -> None:
        self.whole_way("sklearn_model", "logistic")

    def test_xgboost(self) -> None:
        self.whole_way("xgboost_model")

    def test_a_quantised_network_decides_as_the_one_it_was_made_of(self) -> None:
        from sklearn.neural_network import MLPClassifier

        rows = tidegate.read(self.path("rows.parquet"))
        x = tidegate.squash(rows.x)
        middle, spread = x.mean(axis=0), x.std(axis=0) + 1e-3
        network = MLPClassifier((24,), max_iter=12, early_stopping=True, random_state=1)
        # Bounded, so that the scales of some rows fit those of any.
        network.fit(np.clip((x - middle) / spread, -3, 3), rows.y)
        values = {
            "middle": middle, "spread": spread, "least": np.array(-3), "most": np.array(3),
            "w1": network.coefs_[0], "b1": network.intercepts_[0],
            "w2": network.coefs_[1], "b2": network.intercepts_[1],
        }
        kind, node = helper.make_tensor_value_info, helper.make_node
        graph = helper.make_graph(
            [
                node("Sub", ["x", "middle"], ["x1"]), node("Div", ["x1", "spread"], ["x2"]),
                node("Clip", ["x2", "least", "most"], ["x3"]),
                node("MatMul", ["x3", "w1"], ["h1"]), node("Add", ["h1", "b1"], ["h2"]), node("Relu", ["h2"], ["h3"]),
                node("MatMul", ["h3", "w2"], ["o1"]), node("Add", ["o1", "b2"], ["o2"]), node("Sigmoid", ["o2"], ["p"]),
            ],
            "network", [kind("x", TensorProto.FLOAT, [None, 64])], [kind("p", TensorProto.FLOAT, [None, 1])],
            [onnx.numpy_helper.from_array(value.astype(np.float32), name) for name, value in values.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        whole, small = self.path("whole.onnx"), self.path("small.onnx")
        tidegate.save(tidegate.squash_first(model), whole, rows.schema)
        tidegate.quantise(whole, small, rows.x[:4000])
        self.assertEqual({t.data_type for t in onnx.load(small).graph.initializer if len(t.dims) == 2}, {TensorProto.INT8})
        quality = []
        for name, path in (("whole", whole), ("small", small)):
            judged = self.run_program(
                "models", "import", path, "--name", name, "--dir", self.path("models"), "--rounds", "1", "--json",
            )
            quality.append(json.loads(judged)["judgement"]["quality"]["roc_auc"])
        self.assertGreater(quality[0], 0.65)
        self.assertLess(abs(quality[0] - quality[1]), 0.03)


if __name__ == "__main__":
    unittest.main()
