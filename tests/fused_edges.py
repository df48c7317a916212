"""Trains by `fit` and by `fused` at the edges of their batches; prints what each learnt, as JSON.

A program of its own, as a process has one backend: `python fused_edges.py BACKEND`.
"""

from __future__ import annotations

import json
import os
import sys

EDGES = {
    # Training images, test images, batch size, validation.
    "a batch larger than both sets": (60, 20, 128, "none"),
    "one batch exactly": (60, 20, 60, "none"),
    "one image left over": (60, 20, 59, "none"),
    "one image too few": (60, 20, 61, "test"),
    "one image": (1, 1, 1, "none"),
    "one image, a larger batch": (1, 1, 8, "test"),
    "larger than what the fraction leaves": (60, 20, 40, "0.5"),
    "larger than the fraction": (60, 20, 10, "0.1"),
    "one image to validate on": (60, 20, 7, "0.01"),
    "one image to train on": (60, 1, 7, "0.98"),
    "more test than training images": (20, 70, 32, "test"),
    "a batch of one": (5, 3, 1, "0.5"),
}


def main(backend: str) -> None:
    """Print {edge: [what fit learnt, what fused learnt]}."""
    os.environ |= {"KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": ""}
    learnt = {edge: [_learnt(*sizes, way) for way in ("fit", "fused")]
              for edge, sizes in EDGES.items()}  # fmt: skip
    print()  # Keras's own bar ends in no line of its own
    print(json.dumps(learnt))


def _learnt(
    train: int, test: int, batch_size: int, validation: str, execution: str
) -> dict[str, list[float]]:
    import keras
    import numpy as np

    from mnistbench.config.loading import load_config
    from mnistbench.data import Dataset
    from mnistbench.measuring.inside import models
    from mnistbench.measuring.inside.execution import EXECUTIONS

    settings = {"batch_size": batch_size, "validation": validation, "execution": execution,
                "shuffle": "false", "epochs": 2}  # fmt: skip
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        settings["jit"] = "off"  # XLA would compile for longer than all of this trains
    fields = [f"training.{n}={v}" for n, v in settings.items()]
    config = load_config("mnist-dense", [*fields, "model.hidden_units=[4]"])
    draw = np.random.default_rng(1)
    images = draw.integers(0, 256, (train + test, 28, 28), np.uint8)
    labels = draw.integers(0, 10, train + test, np.uint8)
    dataset = Dataset(images[:train], labels[:train], images[train:], labels[train:])
    keras.config.disable_interactive_logging()
    keras.utils.set_random_seed(1)
    model = models.build_model(config)
    models.compile_model(model, config)
    way = EXECUTIONS[execution]
    parts = [way.images(dataset, config, part) for part in ("train", "test")]
    running = way(model, config, "cpu", 1)
    history = running.train(*parts, [], 0).history
    tested = {f"test_{name}": [value] for name, value in running.test(parts[1]).items()}
    learnt = {**history, **tested}
    return {name: [float(value) for value in values] for name, values in learnt.items()}


if __name__ == "__main__":
    main(sys.argv[1])
