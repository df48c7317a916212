"""What the bare scripts share: the lessons' timers without cloudmesh, and data from the disk.

    python benchmarks/seeds/mnist_mlp.py [EPOCHS] [TRAINING IMAGES]

Left out: the lesson's own number of epochs, and all the images.
"""

import gc
import json
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np

DATA = Path(__file__).parents[2] / "mnistbench" / "data" / "mnist.npz"


def epochs_or(own: int) -> int:
    return int(sys.argv[1]) if len(sys.argv) > 1 else own


class Timers:
    def __init__(self) -> None:
        self.start_seconds: dict[str, float] = {}
        self.seconds: dict[str, float] = {}
        self.start_cpu_seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self.page_faults: dict[str, int] = {}
        self.teardown_seconds: dict[str, float] = {}
        self._watch = _watch() if "TIME_TEARDOWN" in os.environ else None  # for overhead.py
        self.collection_seconds: dict[str, float] = {}
        self._collected = 0.0
        if self._watch is not None:
            gc.callbacks.append(self._time_full_collections)

    def _time_full_collections(self, stage: str, told: dict[str, int]) -> None:
        if told["generation"] == 2:
            self._collected += time.process_time() * (1 if stage == "stop" else -1)

    def start(self, name: str) -> None:
        if name == "train" and "WAIT_BEFORE_TRAIN" in os.environ:  # for overhead.py's duets
            print("ready", file=sys.stderr, flush=True)
            sys.stdin.readline()
        if self._watch is not None:
            self.teardown_seconds[name] = -self._watch.seconds
            self.collection_seconds[name] = -self._collected
        self.page_faults[name] = -_page_faults()
        self.start_cpu_seconds[name] = time.process_time()
        self.start_seconds[name] = time.perf_counter()

    def stop(self, name: str) -> None:
        self.seconds[name] = time.perf_counter() - self.start_seconds[name]
        self.cpu_seconds[name] = time.process_time() - self.start_cpu_seconds[name]
        self.page_faults[name] += _page_faults()
        if self._watch is not None:
            self.teardown_seconds[name] += self._watch.seconds
            self.collection_seconds[name] += self._collected

    def report(self, accuracy: float, steps: int) -> None:
        """Print one line of JSON on standard error: standard output is Keras's."""
        unit_bytes = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes
        line = {
            "seconds": self.seconds, "cpu_seconds": self.cpu_seconds, "accuracy": accuracy,
            "steps": steps, "peak_rss_bytes": peak, "teardown_seconds": self.teardown_seconds,
            "collection_seconds": self.collection_seconds, "page_faults": self.page_faults,
        }  # fmt: skip
        print(json.dumps(line), file=sys.stderr)


def _page_faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def _watch():
    from mnistbench.measuring.inside.backends.teardown import TeardownWatch

    watch = TeardownWatch()
    watch.begin()
    return watch


def load_mnist():
    """Do what Keras's `mnist.load_data` does once the file is there."""
    with np.load(DATA, allow_pickle=True) as f:
        x_train, y_train = f["x_train"], f["y_train"]
        x_test, y_test = f["x_test"], f["y_test"]
    return _first(x_train, y_train), (x_test, y_test)


def load_cifar10():
    """Do what Keras's `cifar10.load_data` does, from mnistbench's folder of data sets."""
    from mnistbench.data.store import data_folder, read_store

    arrays = read_store(data_folder() / "cifar10")
    x_train, y_train = arrays["x_train"], arrays["y_train"].reshape(-1, 1)
    x_test, y_test = arrays["x_test"], arrays["y_test"].reshape(-1, 1)
    return _first(x_train, y_train), (x_test, y_test)


def _first(images, labels):
    count = int(sys.argv[2]) if len(sys.argv) > 2 else len(images)
    return images[:count], labels[:count]
