"""The frameworks that Keras trains with: each has an entry here, and a module beside.

The command reads this and must stay light; only measuring processes call `load`.
"""

from __future__ import annotations

import importlib.util
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mnistbench.errors import InputError


@dataclass(frozen=True)
class Framework:
    """What is known of a framework before it is imported."""

    title: str
    module: str
    """The module of `measuring.inside.backends` that has its `BACKEND`."""
    packages: tuple[str, ...]
    """What Python must find, imported in this order."""
    requirement: str
    """What to give to pip."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """What its processes need in their environment."""
    cpu_variables: Mapping[str, str] = field(default_factory=dict)
    """What hides its GPUs, beside the variables of their makers."""
    thread_variables: tuple[str, ...] = ()
    """With which a user limits its threads, that of an operation first; empty where none does."""
    threads_refused: str = ""
    """Why `training.threads` can only be left to it; empty where it can be set."""
    has_input_pipeline: bool = False
    """Whether Keras brings it batches by a pipeline that can be measured without the training."""
    measures_the_machine: bool = False
    """Whether calibration and peak are measured with it; one does, so that all have one measure."""
    writes_tensorboard: bool = False
    """Whether Keras can write TensorBoard's logs with it."""
    onednn_variable: str = ""
    """With which oneDNN's kernels are switched on and off; empty where they cannot be."""
    keras_compiles: bool = False
    """Whether Keras has every network's `fit` compiled where nothing else is asked for."""
    fused_jit_refused: Mapping[str, str] = field(default_factory=dict)
    """Values of `training.jit` that a fused epoch cannot have, and why."""
    fused_jit_refused_with_dropout: Mapping[str, str] = field(default_factory=dict)
    """The same for networks with dropout."""

    devices_refused: str = ""
    """Why `training.devices` can only be 1; empty where it can be more."""
    processes_refused: str = ""
    """The same of `training.processes`."""
    jit_refused_on_devices: Mapping[str, str] = field(default_factory=dict)
    """Values of `training.jit` that several devices cannot have, and why."""


BACKENDS: dict[str, Framework] = {
    "tensorflow": Framework(
        "TensorFlow",
        "on_tensorflow",
        ("tensorflow",),
        "tensorflow>=2.18,<3",
        thread_variables=("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
        keras_compiles=True,
        onednn_variable="TF_ENABLE_ONEDNN_OPTS",
        has_input_pipeline=True,
        measures_the_machine=True,
        writes_tensorboard=True,
        # Of Keras 3.15; tried anew when that changes.
        processes_refused=(
            "Keras's fit fails under MultiWorkerMirroredStrategy, and Keras's DataParallel leaves "
            "everything on one device of TensorFlow"
        ),
        jit_refused_on_devices={
            "on": "Keras's fit fails under MirroredStrategy where XLA compiles it"
        },
    ),
    "jax": Framework(
        "JAX",
        "on_jax",
        ("jax", "jaxlib"),
        "jax>=0.4.31",
        cpu_variables={"JAX_PLATFORMS": "cpu"},
        threads_refused="JAX has as many threads as it may use cores",
        fused_jit_refused={"off": "a fused epoch on jax, which compiles ahead; allowed: auto, on"},
    ),
    "torch": Framework(
        "PyTorch",
        "on_torch",
        ("torch",),
        "torch>=2.4",
        # Otherwise looking for a GPU starts CUDA, and what has started it cannot be forked.
        variables={"PYTORCH_NVML_BASED_CUDA_CHECK": "1"},
        cpu_variables={"KERAS_TORCH_DEVICE": "cpu"},
        thread_variables=("OMP_NUM_THREADS",),
        fused_jit_refused_with_dropout={
            "on": "a fused epoch on torch with dropout; allowed: auto, off"
        },
        devices_refused="Keras's fit on PyTorch knows one device",
        processes_refused="Keras's fit on PyTorch knows one device",
    ),
}
"""Each `backend`; a new one is an entry here, a name in `run_config.Backend` and a module."""

MACHINE_BACKEND = next(name for name, entry in BACKENDS.items() if entry.measures_the_machine)
"""The backend that calibration and peak are measured with."""

DEVICES, PROCESSES = "training.devices", "training.processes"
"""The fields that say how many of a framework's devices, and of its processes, train together."""

TENSORBOARD = "tensorboard>=2.18,<3"
"""What `--tensorboard` needs from pip."""


def install_command(requirement: str) -> str:
    """Return the command that installs a package for the very Python that runs mnistbench.

    By the package's own name: `mnistbench[jax]` is known to pip only where mnistbench itself is.
    """
    return shlex.join([sys.executable or "python", "-m", "pip", "install", requirement])


def check_installed(names: Iterable[str]) -> None:
    """Raise InputError for a backend that Python does not find; nothing is imported."""
    for name in names:
        if not all(map(_is_found, BACKENDS[name].packages)):
            raise InputError(
                f"{name!r} is not installed",
                field="backend",
                hint=f"install it with: {install_command(BACKENDS[name].requirement)}",
            )


def _is_found(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # a finder that refuses, a module without a spec
        return False
