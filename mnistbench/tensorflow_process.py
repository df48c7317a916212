"""TensorFlow's arrival in a measuring process: imported once, timed, and kept quiet.

Only measuring processes import this and what comes after it in the data's way. TensorFlow writes
start-up messages to file descriptor 2 that no setting silences, so the descriptor itself is
pointed at a file meanwhile.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mnistbench.errors import InputError, RunError
from mnistbench.timing import IMPORT, STATUS_INHERITED, STATUS_OK, PhaseRecord, utc_now

STARTUP_LOG = "MNISTBENCH_STARTUP_LOG"
"""Environment variable: the file that receives what TensorFlow writes while it is imported."""


@dataclass(frozen=True)
class _Import:
    record: PhaseRecord
    failure: str | None


_import: _Import | None = None

_CUTS_SHORT = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")
"""Variables by which Keras trains less than it is asked to, without telling."""


def measuring_environment(device: str) -> dict[str, str]:
    """Return the variables a measuring process needs before it imports TensorFlow."""
    # Keras and its settings file let a user choose another framework; a benchmark chooses.
    variables = {"KERAS_BACKEND": "tensorflow"}
    if device == "cpu":
        hidden = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
        variables |= dict.fromkeys(hidden, "-1")
    return variables


def preload() -> bool:
    """Import TensorFlow where all repeats are forked from; return whether it worked."""
    # Ctrl-C goes to every process of a terminal: the parent decides, the others go on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return _import_once().failure is None


def import_record() -> PhaseRecord:
    """Import TensorFlow and Keras if this process family has not yet, and return its timing.

    A forked process inherits the import: its record says so and has no seconds.
    Raises RunError if TensorFlow cannot be imported.
    """
    done = _import_once()
    if done.failure is not None:
        raise RunError(f"TensorFlow cannot be imported: {done.failure}")
    return done.record


def inherited(record: PhaseRecord) -> PhaseRecord:
    """Return the import's record for a repeat that did not import anything itself."""
    return PhaseRecord(IMPORT, None, None, record.start_utc, STATUS_INHERITED)


def _import_once() -> _Import:
    global _import
    if _import is None:
        _import = _timed_import()
    return _import


def _timed_import() -> _Import:
    failure = None
    for name in _CUTS_SHORT:
        os.environ.pop(name, None)
    start_utc, cpu_start, start = utc_now(), time.process_time_ns(), time.perf_counter_ns()
    with _stderr_to(os.environ.get(STARTUP_LOG)):
        try:
            import keras
            import tensorflow  # noqa: F401

            keras.Model  # noqa: B018  Keras is loaded on first use
        except Exception as error:  # noqa: BLE001  whatever it is, the user must be told
            traceback.print_exc()
            failure = f"{type(error).__name__}: {error}"
    seconds = (time.perf_counter_ns() - start) / 1e9
    cpu_seconds = (time.process_time_ns() - cpu_start) / 1e9
    record = PhaseRecord(IMPORT, seconds, cpu_seconds, start_utc, STATUS_OK)
    return _Import(record, failure)


@contextmanager
def _stderr_to(path: str | None) -> Iterator[None]:
    if path is None:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(path).open("ab") as target:
        os.dup2(target.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


def choose_device(wanted: str) -> str:
    """Make TensorFlow use the wanted device and return it: `cpu` or `gpu`.

    Raises InputError if a GPU is wanted and TensorFlow sees none.
    """
    import keras
    import tensorflow as tf

    # A user's ~/.keras/keras.json must not change what is measured.
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    gpus = tf.config.list_physical_devices("GPU")
    if wanted == "gpu" and not gpus:
        raise InputError(
            "'gpu' was asked for, but TensorFlow sees none on this machine",
            field="device",
            hint="see: mnistbench machine-info; or use --device cpu",
        )
    if wanted == "cpu":
        tf.config.set_visible_devices([], "GPU")
        return "cpu"
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    return "gpu" if gpus else "cpu"


def tensorflow_facts() -> Mapping[str, object]:
    """Return versions, build and settings of TensorFlow and Keras, and the GPUs it sees."""
    import keras
    import numpy
    import tensorflow as tf

    build = tf.sysconfig.get_build_info()
    threads = tf.config.threading
    facts: dict[str, object] = {
        "tensorflow_version": tf.__version__,
        "tensorflow_git_version": tf.version.GIT_VERSION,
        "tensorflow_compiler": tf.version.COMPILER_VERSION,
        "keras_version": keras.__version__,
        "numpy_version": numpy.__version__,
        "keras_backend": keras.backend.backend(),
        "tensorflow_cuda_build": build.get("is_cuda_build"),
        "tensorflow_cuda_version": build.get("cuda_version"),
        "tensorflow_cudnn_version": build.get("cudnn_version"),
        "tensorflow_rocm_build": build.get("is_rocm_build"),
        "tensorflow_onednn": _onednn_enabled(),
        # TensorFlow says 0 where it decides by itself, which is no number of threads.
        "tensorflow_intra_op_threads": threads.get_intra_op_parallelism_threads() or "auto",
        "tensorflow_inter_op_threads": threads.get_inter_op_parallelism_threads() or "auto",
    }
    for number, gpu in enumerate(tf.config.list_physical_devices("GPU")):
        details = tf.config.experimental.get_device_details(gpu)
        facts[f"tensorflow_gpu_{number}_name"] = details.get("device_name")
        capability = details.get("compute_capability")
        facts[f"tensorflow_gpu_{number}_compute_capability"] = (
            ".".join(map(str, capability)) if capability else None
        )
    return facts


def _onednn_enabled() -> bool | None:
    try:
        from tensorflow.python.util import _pywrap_util_port
    except ImportError:  # private, and the only place that tells
        return None
    return bool(_pywrap_util_port.IsMklEnabled())
