"""TensorFlow: a Keras network of two hidden layers, through tf2onnx.

    python keras_mlp.py features.parquet model.onnx
"""

import sys

import numpy as np
import tensorflow as tf
import tf2onnx
import tidegate

source, target = sys.argv[1:]
train, test = tidegate.split(tidegate.read(source), 0.25)
tf.keras.utils.set_random_seed(1)

squashed = tidegate.squash(train.x)
mean, deviation = squashed.mean(0), squashed.std(0).clip(1e-3)


def scaled(x):
    """Of about mean 0 and deviation 1, as constants of the graph."""
    return ((x - mean) / deviation).clip(-5, 5)


network = tf.keras.Sequential(
    [
        tf.keras.Input((tidegate.FEATURES,)),
        tf.keras.layers.Dense(64, activation="relu"),
        tf.keras.layers.Dense(32, activation="relu"),
        tf.keras.layers.Dense(1, activation="sigmoid"),
    ]
)
steps = 8 * (len(train) // 1024 + 1)
network.compile(
    optimizer=tf.keras.optimizers.AdamW(tf.keras.optimizers.schedules.CosineDecay(3e-3, steps)),
    loss="binary_crossentropy",
)
network.fit(
    scaled(squashed), train.y.astype(np.float32), sample_weight=train.weight, epochs=8,
    batch_size=1024, verbose=0,
)
score = network.predict(scaled(tidegate.squash(test.x)), batch_size=4096, verbose=0)[:, 0]
print(f"held out: {tidegate.measure(test.y, score, test.weight)}")


@tf.function(input_signature=[tf.TensorSpec((None, tidegate.FEATURES), tf.float32, name="squashed")])
def probability(x):
    return network(tf.clip_by_value((x - mean) / deviation, -5.0, 5.0), training=False)


graph, _ = tf2onnx.convert.from_function(
    probability, input_signature=probability.input_signature, opset=17
)
tidegate.save(tidegate.squash_first(graph), target, train.schema)
