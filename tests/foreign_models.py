"""Models as others make them: saved into a folder, or judged as `evaluate` judges them.

`python foreign_models.py FOLDER` saves them and prints what Keras itself says of each on own.npz,
as JSON; `python foreign_models.py FOLDER judge` prints what mnistbench says.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ |= {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}

import keras
import numpy as np
from keras import Input, Model, Sequential, layers

keras.config.disable_interactive_logging()
SPARSE = "sparse_categorical_crossentropy"
ON_LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@keras.saving.register_keras_serializable()
class Own(layers.Dense):
    pass


def _network(*inside: Any, shape: tuple[int, ...] = (28, 28)) -> Model:
    return Sequential([Input(shape), *inside])


def _normalization(values: Any) -> layers.Layer:
    layer = layers.Normalization(axis=None)
    layer.adapt(values)
    return layer


def _head(units: int = 10, activation: str | None = None) -> list[layers.Layer]:
    return [layers.Flatten(), layers.Dense(units, activation=activation)]


def save(folder: Path) -> None:
    """Save every model; print name to loss and accuracy on the test images."""
    keras.utils.set_random_seed(1)
    with np.load(folder / "own.npz") as arrays:
        images, labels = arrays["x_test"].astype(np.float32), arrays["y_test"]
    scaled, one_hot = images / 255, keras.utils.to_categorical(labels, 10)
    softmax = _head(activation="softmax")
    first, second = Input((28, 28)), Input((28, 28))
    flat = layers.Flatten()(first)
    # Name: the model, its loss, and what it is to be given: images and labels.
    judged: dict[str, tuple[Model, Any, Any, Any]] = {
        "logits": (_network(*_head()), ON_LOGITS, scaled, labels),
        "flat": (_network(layers.Dense(10), shape=(784,)), ON_LOGITS,
                 scaled.reshape(-1, 784), labels),
        "rescaling": (_network(layers.Rescaling(1 / 255), *softmax), SPARSE, images, labels),
        "normalization": (_network(_normalization(images), *_head(activation="softmax"),
                                   shape=(28, 28, 1)), SPARSE, images[..., None], labels),
        "normalization of scaled": (_network(_normalization(scaled), *_head(activation="softmax")),
                                    SPARSE, scaled, labels),
        "to minus one": (_network(layers.Rescaling(2, -1), *_head(activation="softmax")), SPARSE,
                         scaled, labels),
        "nested": (_network(layers.Rescaling(1 / 255), _network(*_head())), ON_LOGITS,
                   images, labels),
        "softmax layer": (Model(first, layers.Softmax()(layers.Dense(10)(flat))),
                          "categorical_crossentropy", scaled, one_hot),
        "mse": (_network(*_head()), "mse", scaled, one_hot),
        "sigmoid": (_network(*_head(activation="sigmoid")), "binary_crossentropy",
                    scaled, one_hot),
        "no loss": (_network(*_head()), None, scaled, one_hot),
        "old": (_network(*_head(activation="softmax")), SPARSE, scaled, labels),
    }  # fmt: skip
    own = {name: _saved(folder, name, *parts) for name, parts in judged.items()}
    refused = {
        "one": _network(*_head(1)),
        "eleven": _network(*_head(11)),
        "colours": _network(*_head(), shape=(32, 32, 3)),
        "two inputs": Model([first, second], layers.Dense(10)(layers.Flatten()(first + second))),
        "two outputs": Model(first, [layers.Dense(10)(flat), layers.Dense(10)(flat)]),
        "lambda": _network(layers.Lambda(lambda x: x / 255), *_head()),
        "own class": _network(layers.Flatten(), Own(10)),
    }
    for name, model in refused.items():
        model.save(folder / f"{name}.keras")
    refused["one"].export(folder / "exported", verbose=False)
    refused["one"].save_weights(folder / "only.weights.h5")
    print()
    print(json.dumps(own))


def _saved(
    folder: Path, name: str, model: Model, loss: Any, images: Any, labels: Any
) -> list[float]:
    if loss is not None:
        model.compile("adam", loss, metrics=["accuracy"])
        model.fit(images, labels, epochs=3)
    model.save(folder / f"{name}.{'h5' if name == 'old' else 'keras'}")
    if loss is None:
        logits = keras.losses.CategoricalCrossentropy(from_logits=True)
        model.compile("adam", logits, metrics=["accuracy"])
    figures = model.evaluate(images, labels, batch_size=128, return_dict=True)
    return [float(figures["loss"]), float(figures["accuracy"])]


def judge(folder: Path) -> None:
    """Print name and execution to the figures or the error that `evaluate` gives."""
    from mnistbench.errors import InputError

    outcomes: dict[str, dict[str, object]] = {}
    for model in sorted([*folder.glob("*.keras"), folder / "old.h5"]):
        for execution in ("fit", "fused"):
            try:
                outcome: dict[str, object] = {"figures": _judged(folder, model, execution)}
            except InputError as error:
                outcome = {"error": str(error)}
            outcomes[f"{model.stem} {execution}"] = outcome
    print()
    print(json.dumps(outcomes))


def _judged(folder: Path, model: Path, execution: str) -> list[object]:
    from mnistbench.config.loading import load_config
    from mnistbench.measuring.inside.evaluate import run_evaluation
    from mnistbench.measuring.jobs import EvaluateJob
    from mnistbench.results.phases import PhaseRecord

    settings = (f"dataset.path={folder / 'own.npz'}", f"training.execution={execution}")
    config = load_config("mnist-cnn", settings)
    job = EvaluateJob(config, config, "cpu", 1, model, "test", with_guesses=True)
    result = run_evaluation(job, PhaseRecord("import", 0.0, 0.0, "", "ok"), lambda event: None)
    values = {metric.name: metric.value for metric in result.metrics}
    guesses = result.probabilities
    assert guesses is not None
    return [values["test_loss"], values["test_accuracy"], float(guesses.min()),
            float(guesses.max()), list(result.remarks)]  # fmt: skip


if __name__ == "__main__":
    (judge if sys.argv[2:] else save)(Path(sys.argv[1]))
