"""What the bare scripts share: the lessons' timers without cloudmesh, and MNIST from the disk."""

import json
import sys
import time
from pathlib import Path

import numpy as np

DATA = Path(__file__).parents[2] / "mnistbench" / "data" / "mnist.npz"


class Timers:
    def __init__(self) -> None:
        self.start_seconds: dict[str, float] = {}
        self.seconds: dict[str, float] = {}

    def start(self, name: str) -> None:
        self.start_seconds[name] = time.perf_counter()

    def stop(self, name: str) -> None:
        self.seconds[name] = time.perf_counter() - self.start_seconds[name]

    def report(self, accuracy: float) -> None:
        """Print one line of JSON on standard error: standard output is Keras's."""
        print(json.dumps({"seconds": self.seconds, "accuracy": accuracy}), file=sys.stderr)


def load_mnist():
    """Do what Keras's `mnist.load_data` does once the file is there."""
    with np.load(DATA, allow_pickle=True) as f:
        x_train, y_train = f["x_train"], f["y_train"]
        x_test, y_test = f["x_test"], f["y_test"]
    return (x_train, y_train), (x_test, y_test)
