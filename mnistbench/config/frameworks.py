"""The frameworks that Keras trains with: each has an entry here, and a module beside.

The command reads this and must stay light; only measuring processes call `load`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mnistbench.errors import InputError


@dataclass(frozen=True)
class Framework:
    """What is known of a framework before it is imported."""

    title: str
    module: str
    """The module here that has its `BACKEND`."""
    packages: tuple[str, ...]
    """What Python must find, imported in this order."""
    install: str
    """What to give to pip."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """What its processes need in their environment."""
    cpu_variables: Mapping[str, str] = field(default_factory=dict)
    """What hides its GPUs, beside the variables of their makers."""


BACKENDS: dict[str, Framework] = {
    "tensorflow": Framework("TensorFlow", "on_tensorflow", ("tensorflow",), "mnistbench"),
    "jax": Framework(
        "JAX",
        "on_jax",
        ("jax", "jaxlib"),
        "mnistbench[jax]",
        cpu_variables={"JAX_PLATFORMS": "cpu"},
    ),
    "torch": Framework(
        "PyTorch",
        "on_torch",
        ("torch",),
        "mnistbench[torch]",
        # Otherwise looking for a GPU starts CUDA, and what has started it cannot be forked.
        variables={"PYTORCH_NVML_BASED_CUDA_CHECK": "1"},
        cpu_variables={"KERAS_TORCH_DEVICE": "cpu"},
    ),
}
"""Each `backend`; a new one is an entry here, a name in `config.Backend` and a module."""


REFERENCE_BACKEND = "tensorflow"
"""What calibrations and peaks are measured with, so that figures of all have one measure."""


def check_installed(names: Iterable[str]) -> None:
    """Raise InputError for a backend that Python does not find; nothing is imported."""
    for name in names:
        if not all(map(_is_found, BACKENDS[name].packages)):
            raise InputError(
                f"{name!r} is not installed",
                field="backend",
                hint=f"install it with: pip install '{BACKENDS[name].install}'",
            )


def _is_found(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # a finder that refuses, a module without a spec
        return False
