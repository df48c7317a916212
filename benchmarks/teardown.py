"""Why does a short `fit` end after 2.5, 5 or 10 seconds? TensorFlow releases its input pipelines.

    python benchmarks/teardown.py [--rounds 7] [--images 20000] [--epochs 2]

A bare Keras script, each time in a fresh process: on all CPU threads and on one, given arrays (as
every lesson does) and given a tf.data pipeline whose tuning is off, in an order drawn anew each
round. Printed: medians of `fit`, of what of it was the release of iterators, and the range of both.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

DATA = Path(__file__).parents[1] / "mnistbench" / "data" / "mnist.npz"
BATCH_SIZE = 128
WAYS = ("arrays", "tuning off")


def train(way: str, images: int, epochs: int) -> None:
    """Train once in this process and print the seconds as JSON."""
    import keras
    import numpy as np
    import tensorflow as tf

    from mnistbench.measuring.inside.backends.teardown import TeardownWatch

    with np.load(DATA) as arrays:
        x = arrays["x_train"][:images].reshape(-1, 784).astype("float32") / 255
        y = arrays["y_train"][:images]
    model = keras.Sequential(
        [keras.layers.Dense(512, activation="relu"), keras.layers.Dense(10, activation="softmax")]
    )
    model.compile(optimizer="rmsprop", loss="sparse_categorical_crossentropy")
    given: dict[str, object] = {"x": x, "y": y, "batch_size": BATCH_SIZE}
    if way != WAYS[0]:
        options = tf.data.Options()
        options.autotune.enabled = False
        pipeline = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(images).batch(BATCH_SIZE)
        given = {"x": pipeline.prefetch(2).with_options(options)}
    watch = TeardownWatch()
    watch.begin()
    start, cpu_start = time.perf_counter(), time.process_time()
    model.fit(epochs=epochs, verbose=0, **given)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    print(json.dumps({"fit": seconds, "cpu": cpu_seconds, "release": watch.seconds}))


def measure(way: str, on_one: bool, images: int, epochs: int) -> dict[str, float]:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:1] if on_one else cores)
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--train", way, "--images", str(images), "--epochs",
             str(epochs)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
        )  # fmt: skip
    finally:
        os.sched_setaffinity(0, cores)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--train", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(options.train, options.images, options.epochs)
        return
    kinds = [(way, on_one) for way in WAYS for on_one in (False, True)]
    figures: dict[tuple[str, bool], list[dict[str, float]]] = {kind: [] for kind in kinds}
    for number in range(options.rounds):
        for kind in random.Random(number).sample(kinds, len(kinds)):
            figures[kind].append(measure(*kind, options.images, options.epochs))
    print(f"{options.epochs} epochs of {options.images} images, n = {options.rounds}\n")
    print("| given | CPU threads | fit (s) | of it release (s) | left (s) | CPU (s) |")
    print("|---|---|---:|---:|---:|---:|")
    for (way, on_one), found in figures.items():
        left = [{**each, "left": each["fit"] - each["release"]} for each in found]
        cells = [_span([each[name] for each in left]) for name in ("fit", "release", "left", "cpu")]
        print(f"| {way} | {'one' if on_one else 'all'} | {' | '.join(cells)} |")


def _span(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
