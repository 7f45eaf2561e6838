"""Trains models for Tidegate: reads exported features, splits them fairly, writes ONNX.

    rows = tidegate.read("features.parquet")      # from `tidegate export-features`
    train, test = tidegate.split(rows, 0.25)      # by site: no client is in both
    ...                                           # train anything on train.x, train.y, train.weight
    tidegate.save(model, "model.onnx", rows.schema)   # stamped; then `tidegate models import model.onnx`

Scripts for scikit-learn, XGBoost, LightGBM, PyTorch and TensorFlow stand in `examples/`.
"""

from tidegate.data import FEATURES, Rows, read, split, windows
from tidegate.graph import quantise, save, squash, squash_first, stamp
from tidegate.quality import Quality, measure, roc_auc, tpr_at

__all__ = [
    "FEATURES",
    "Quality",
    "Rows",
    "measure",
    "quantise",
    "read",
    "roc_auc",
    "save",
    "split",
    "squash",
    "squash_first",
    "stamp",
    "tpr_at",
    "windows",
]
