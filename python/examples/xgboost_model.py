"""XGBoost: boosted trees.

    python xgboost_model.py features.parquet model.onnx
"""

import sys

import tidegate
import xgboost
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

source, target = sys.argv[1:]
train, test = tidegate.split(tidegate.read(source), 0.25)
model = xgboost.XGBClassifier(
    n_estimators=150, max_depth=6, learning_rate=0.1, min_child_weight=5, tree_method="hist",
    base_score=0.5, random_state=1,
)
model.fit(train.x, train.y, sample_weight=train.weight)
score = model.predict_proba(test.x)[:, 1]
print(f"held out: {tidegate.measure(test.y, score, test.weight)}")

inputs = [("features", FloatTensorType([None, tidegate.FEATURES]))]
tidegate.save(convert_xgboost(model, initial_types=inputs, target_opset=15), target, train.schema)
