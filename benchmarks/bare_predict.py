"""The bare loop of benchmarks/inference.py: `model.predict`, timed as a user would.

    python benchmarks/bare_predict.py MODEL SECONDS [BATCH_SIZE [until-told]]

Prints the median seconds of a call and the number of calls as JSON; `until-told`, which says when
it is ready, begins with a line on standard input and goes on until that ends, when each call ended
and the processor time until then instead.
"""

import json
import sys
import threading
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
    if "until-told" in sys.argv:
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(until_told(model, images, size)))
        return
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


def until_told(model: keras.Model, images: np.ndarray, size: int) -> list[tuple[float, float]]:
    told = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), told.set()), daemon=True).start()
    calls: list[tuple[float, float]] = []
    while not told.is_set():
        first = len(calls) * size % (len(images) - size)
        model.predict(images[first : first + size], batch_size=size, verbose=0)
        calls.append((time.time(), time.process_time()))
    return calls


if __name__ == "__main__":
    main()
