"""What a measuring process needs before it imports a framework."""

from __future__ import annotations

import os
from dataclasses import dataclass

from mnistbench.config.frameworks import BACKENDS, MACHINE_BACKEND
from mnistbench.config.network import Convolution
from mnistbench.config.run_config import RunConfig


@dataclass(frozen=True)
class OneDnn:
    """Whether a config's processes are told to compute with oneDNN's kernels, and why."""

    is_on: bool | None
    """None where they are told nothing: the framework decides."""
    reason: str


def environment_of(config: RunConfig) -> dict[str, str]:
    """Return the variables that a config's processes need before they import the framework."""
    variables = measuring_environment(config.device, config.backend)
    onednn = wanted_onednn(config)
    if onednn.is_on is not None:
        variables[BACKENDS[config.backend].onednn_variable] = str(int(onednn.is_on))
    return variables


def measuring_environment(device: str, backend: str = MACHINE_BACKEND) -> dict[str, str]:
    """Return the variables a measuring process of no config needs before it imports the framework.

    So is the machine measured: with what the framework and the user's variables say.
    """
    # Keras and its settings file let a user choose another framework; a benchmark chooses.
    variables = {"KERAS_BACKEND": backend, **BACKENDS[backend].variables}
    if device == "cpu":
        hidden = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
        variables |= {**dict.fromkeys(hidden, "-1"), **BACKENDS[backend].cpu_variables}
    return variables


def wanted_onednn(config: RunConfig) -> OneDnn:
    """Return what a config asks for; in the command: a process that it starts sees it as set."""
    variable, training = BACKENDS[config.backend].onednn_variable, config.training
    title = BACKENDS[config.backend].title
    if training.onednn != "auto":
        return OneDnn(training.onednn == "on", f"training.onednn is {training.onednn}")
    if not variable:
        return OneDnn(None, f"{title}'s own choice")
    if variable in os.environ:
        return OneDnn(None, f"the variable {variable} is {os.environ[variable]}")
    if training.execution == "fused" and config.has(Convolution) and config.device != "gpu":
        return OneDnn(True, "auto: its convolutions are faster on a CPU")
    return OneDnn(None, f"{title}'s own choice")
