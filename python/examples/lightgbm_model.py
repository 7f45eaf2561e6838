"""LightGBM: boosted trees.

    python lightgbm_model.py features.parquet model.onnx
"""

import sys

import lightgbm
import tidegate
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

source, target = sys.argv[1:]
train, test = tidegate.split(tidegate.read(source), 0.25)
model = lightgbm.LGBMClassifier(
    n_estimators=150, num_leaves=32, learning_rate=0.1, min_child_samples=40, random_state=1, verbose=-1
)
model.fit(train.x, train.y, sample_weight=train.weight)
score = model.predict_proba(test.x)[:, 1]
print(f"held out: {tidegate.measure(test.y, score, test.weight)}")

inputs = [("features", FloatTensorType([None, tidegate.FEATURES]))]
tidegate.save(convert_lightgbm(model, initial_types=inputs, target_opset=15, zipmap=False), target, train.schema)
