"""The bare loop of benchmarks/inference.py: `model.predict`, timed as a user would.

    python benchmarks/bare_predict.py MODEL SECONDS [BATCH_SIZE]

Prints the median seconds of a call and the number of calls as JSON.
"""

import json
import sys
import time
from pathlib import Path
from statistics import median

import keras
import numpy as np

DATA = Path(__file__).parents[1] / "mnistbench" / "data" / "mnist.npz"


def main() -> None:
    model = keras.models.load_model(sys.argv[1])
    seconds, size = float(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1
    with np.load(DATA) as arrays:
        images = arrays["x_test"].astype("float32") / 255
    images = images.reshape(len(images), *model.input_shape[1:])
    loop(model, images, size, seconds / 4)  # the first call traces
    times = loop(model, images, size, seconds)
    print(json.dumps({"seconds": median(times), "calls": len(times)}))


def loop(model: keras.Model, images: np.ndarray, size: int, seconds: float) -> list[float]:
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        first = len(times) * size % (len(images) - size)
        start = time.perf_counter()
        model.predict(images[first : first + size], batch_size=size, verbose=0)
        times.append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    main()
