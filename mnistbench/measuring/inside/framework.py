"""A framework's arrival in a measuring process: imported once, and timed."""

from __future__ import annotations

import gc
import importlib
import os
import platform
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnistbench.config.frameworks import BACKENDS
from mnistbench.errors import RunError
from mnistbench.measuring.inside.backends import load
from mnistbench.results.phases import IMPORT, STATUS_OK, PhaseRecord, utc_now

if TYPE_CHECKING:
    from mnistbench.measuring.inside.backends.base import Backend


@dataclass(frozen=True)
class _Import:
    record: PhaseRecord
    failure: str | None


_import: _Import | None = None

_CUTS_SHORT = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")
"""Variables by which Keras trains less than it is asked to, without telling."""


def preload() -> bool:
    """Import the framework where all repeats are forked from; return whether it worked."""
    return _import_once().failure is None


def import_record() -> PhaseRecord:
    """Import framework and Keras if this process family has not yet, and return its timing.

    A forked process inherits the import: its record says so and has no seconds.
    Raises RunError if the framework cannot be imported.
    """
    done = _import_once()
    if done.failure is not None:
        title = BACKENDS[os.environ["KERAS_BACKEND"]].title
        raise RunError(f"{title} cannot be imported: {done.failure}")
    return done.record


def _import_once() -> _Import:
    global _import
    if _import is None:
        _import = _timed_import()
        # A framework's objects are half a million, and a full collection, which looks at each,
        # takes a quarter of a second: it fell into whichever phase came when one was due. What is
        # garbage already stays: to look for it would take as long.
        gc.freeze()
    return _import


def _timed_import() -> _Import:
    failure = None
    for variable in _CUTS_SHORT:
        os.environ.pop(variable, None)
    name = os.environ["KERAS_BACKEND"]
    if name != "tensorflow":
        # Keras imports TensorFlow beside any backend, to seed it and to save models.
        sys.modules["tensorflow"] = None  # type: ignore[assignment]
    start_utc, cpu_start, start = utc_now(), time.process_time_ns(), time.perf_counter_ns()
    try:
        for package in BACKENDS[name].packages:
            importlib.import_module(package)
        import keras

        keras.Model  # noqa: B018  Keras is loaded on first use
    except Exception as error:  # noqa: BLE001  whatever it is, the user must be told
        traceback.print_exc()
        failure = f"{type(error).__name__}: {error}"
    seconds = (time.perf_counter_ns() - start) / 1e9
    cpu_seconds = (time.process_time_ns() - cpu_start) / 1e9
    record = PhaseRecord(IMPORT, seconds, cpu_seconds, start_utc, STATUS_OK)
    return _Import(record, failure)


def backend() -> Backend:
    """Return the backend of this process, with Keras's settings as they are by default."""
    import keras

    # A user's ~/.keras/keras.json must not change what is measured.
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    return load(keras.backend.backend())


def framework_facts() -> Mapping[str, object]:
    """Return versions, build, settings and devices of Keras and of what it runs on."""
    import keras
    import numpy

    return {
        # Of this process: another interpreter than the command's may measure.
        "python_version": platform.python_version(),
        "python_implementation": platform.python_implementation(),
        "python_compiler": platform.python_compiler(),
        "python_executable": sys.executable,
        "keras_version": keras.__version__,
        "numpy_version": numpy.__version__,
        "keras_backend": keras.backend.backend(),
        **backend().facts(),
    }
