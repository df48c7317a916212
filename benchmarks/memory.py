"""Peak memory of `mnistbench benchmark cifar10-dense` against the lesson's own script.

usage: python benchmarks/memory.py [auto|spawn]      (the data must be in mnistbench's folder)

Both train one epoch with validation on the test set, each in a process of its own that reports
the largest resident size the kernel saw. The script is in the lesson's words: X/255, X/X.max(),
to_categorical; only the loading is ours, so that no download is needed.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from mnistbench import data
from mnistbench.config.loading import load_config

LIMIT = 0.6

SEED_SCRIPT = """
import resource, sys
import numpy as np
import tensorflow.keras as keras
from tensorflow.keras.models import Sequential
from tensorflow.keras.layers import Dense

def load_data():
    parts = []
    for part, count in (("train", 50_000), ("test", 10_000)):
        images = np.fromfile(f"{sys.argv[1]}/x_{part}", np.uint8).reshape(count, 32, 32, 3)
        parts.append((images, np.fromfile(f"{sys.argv[1]}/y_{part}", np.uint8)))
    return parts

(X_train, y_train), (X_test, y_test) = load_data()
X_train, X_test = X_train/255, X_test/255
X_train = X_train.reshape(X_train.shape[0], X_train.shape[1]*X_train.shape[2]*X_train.shape[3])
X_test = X_test.reshape(X_test.shape[0], X_test.shape[1]*X_test.shape[2]*X_test.shape[3])
X_train = X_train/X_train.max()
X_test = X_test/X_test.max()
y_train = keras.utils.to_categorical(y_train, 10)
y_test = keras.utils.to_categorical(y_test, 10)
model = Sequential()
model.add(Dense(units=32, activation="relu", input_shape=(3072,)))
model.add(Dense(units=16, activation="relu"))
model.add(Dense(units=10, activation="softmax"))
model.compile(optimizer="sgd", loss="categorical_crossentropy", metrics=["accuracy"])
model.fit(X_train, y_train, epochs=1, verbose=0, validation_data=(X_test, y_test))
unit = 1 if sys.platform == "darwin" else 1024
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""


def main(start_method: str) -> int:
    source = data.source_of(load_config("cifar10-dense"))
    if source.kind != "store":
        sys.exit("CIFAR-10 is not in mnistbench's folder: mnistbench data import PATH")
    seed = seed_peak_bytes(str(source.path))
    ours = our_peak_bytes(start_method)
    print(f"the lesson's script {seed / 1e9:.2f} GB, mnistbench {ours / 1e9:.2f} GB")
    print(f"ratio: {ours / seed:.3f} (at most {LIMIT})")
    return int(ours > LIMIT * seed)


def seed_peak_bytes(folder: str) -> int:
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(
        [sys.executable, "-c", SEED_SCRIPT, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
        env=environment,
    )
    return int(done.stdout.split()[-1])


def our_peak_bytes(start_method: str) -> int:
    with tempfile.TemporaryDirectory() as output:
        command = ["benchmark", "cifar10-dense", "--set", "training.epochs=1", "-q"]
        command += ["--start-method", start_method, "--output", output]
        subprocess.run(
            [sys.executable, "-m", "mnistbench", *command], check=True, stdout=subprocess.DEVNULL
        )
        file = next(Path(output).glob("*/metrics.csv"))
        with file.open(newline="", encoding="utf-8") as text:
            metrics = {row["metric"]: row["value"] for row in csv.DictReader(text)}
    return int(metrics["peak_rss_bytes"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "auto"))
