"""scikit-learn: a random forest, or logistic regression on squashed features.

    python sklearn_model.py features.parquet model.onnx [forest|logistic]
"""

import sys

import tidegate
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

source, target, *rest = sys.argv[1:]
kind = rest[0] if rest else "forest"
train, test = tidegate.split(tidegate.read(source), 0.25)

if kind == "forest":
    model = RandomForestClassifier(
        n_estimators=60, max_depth=10, min_samples_leaf=20, max_samples=0.3, n_jobs=2, random_state=1
    )
    model.fit(train.x, train.y, sample_weight=train.weight)
    score = model.predict_proba(test.x)[:, 1]
else:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    model.fit(
        tidegate.squash(train.x), train.y, logisticregression__sample_weight=train.weight
    )
    score = model.predict_proba(tidegate.squash(test.x))[:, 1]
print(f"held out: {tidegate.measure(test.y, score, test.weight)}")

# Without the ZipMap the probabilities are a tensor, which is read four times as quickly.
graph = to_onnx(model, train.x[:1], options={"zipmap": False}, target_opset={"": 17, "ai.onnx.ml": 3})
if kind != "forest":
    tidegate.squash_first(graph)
tidegate.save(graph, target, train.schema)
