"""What a measuring process needs before it imports a framework."""

from __future__ import annotations

from mnistbench.config.frameworks import BACKENDS, MACHINE_BACKEND


def measuring_environment(device: str, backend: str = MACHINE_BACKEND) -> dict[str, str]:
    """Return the variables a measuring process needs before it imports the framework."""
    # Keras and its settings file let a user choose another framework; a benchmark chooses.
    variables = {"KERAS_BACKEND": backend, **BACKENDS[backend].variables}
    if device == "cpu":
        hidden = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
        variables |= {**dict.fromkeys(hidden, "-1"), **BACKENDS[backend].cpu_variables}
    return variables
