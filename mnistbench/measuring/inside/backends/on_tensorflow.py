"""TensorFlow as a backend. Only measuring processes import this module."""

from __future__ import annotations

import os
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from mnistbench.config.network import Convolution
from mnistbench.config.run_config import RunConfig
from mnistbench.config.work import training_flops
from mnistbench.measuring.inside.backends import updates_tensorflow, xla
from mnistbench.measuring.inside.backends.base import (
    Application,
    Backend,
    Jit,
    Programs,
    Replicas,
    wanted_jit,
)
from mnistbench.measuring.inside.backends.teardown import TeardownWatch
from mnistbench.measuring.jobs import Member

_THREADS_VARIABLE = "TF_NUM_INTRAOP_THREADS"
"""With which a user sets the threads of an operation."""

_FLOPS_WORTH_A_SECOND_THREAD = 10_000_000
"""Of a step. Threads wait for each other at each small operation: with less than this to do in
between, two were slower than one, and less steady."""


_STEPS_WORTH_COMPILING = 19_000
_VALUES_OF_A_STEP = 10_000
_PARAMETERS_OF_A_STEP = 70_000
_PARAMETERS_OF_A_STEP_BY_KERAS = 11_000
"""On a CPU, XLA took about .95 s longer to compile, and saved a step .05 ms, 5 ns for each value of
its images, and .7 ns for each parameter, or 4.5 ns where the optimizer has no kernel: all grow
alike on a slower one. See docs/backends.md."""


def _earns_compiling_back(config: RunConfig, steps: int) -> bool:
    values = config.training.batch_size * prod(config.facts.image_shape)
    by_kernel = config.training.optimizer in updates_tensorflow.KERNELS
    at_once = _PARAMETERS_OF_A_STEP if by_kernel else _PARAMETERS_OF_A_STEP_BY_KERAS
    saved = 1 + values / _VALUES_OF_A_STEP + config.parameters / at_once
    return steps * saved > _STEPS_WORTH_COMPILING


class TensorFlowBackend(Backend):
    """Keras on TensorFlow."""

    title = "TensorFlow"

    def __init__(self) -> None:
        """Nothing is asked of TensorFlow yet."""
        self._teardown = TeardownWatch()
        self._has_replicas = False

    def has_gpu(self) -> bool:  # noqa: D102
        return bool(tf.config.list_physical_devices("GPU"))

    def choose_device(self, wanted: str) -> str:
        """Do it, and let TensorFlow take a GPU's memory as it needs it."""
        device = super().choose_device(wanted)
        if device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        for gpu in tf.config.get_visible_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        return device

    def be_deterministic(self) -> None:  # noqa: D102
        tf.config.experimental.enable_op_determinism()

    def prepare_fused(self, config: RunConfig) -> None:
        """Let XLA compile quickly, small steps have one thread, graphs keep their working memory.

        Given back and asked for anew at each step, that was 5 to 10 % of a convolutional network's
        processor time.
        """
        xla.add_flag(xla.WITHOUT_UNROLLING)
        os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
        step_flops = training_flops(config) * config.training.batch_size
        if step_flops < _FLOPS_WORTH_A_SECOND_THREAD and _THREADS_VARIABLE not in os.environ:
            self.set_threads(1)

    def prepare_replicas(self, config: RunConfig, wanted: str, member: Member | None) -> None:
        """Cut the CPU into as many logical devices as are asked for, if it will be the device."""
        self._has_replicas = True
        asked = config.training.devices
        if isinstance(asked, int) and (wanted == "cpu" or not self.has_gpu()):
            (cpu,) = tf.config.list_physical_devices("CPU")
            parts = [tf.config.LogicalDeviceConfiguration() for _ in range(asked)]
            tf.config.set_logical_device_configuration(cpu, parts)

    def device_count(self, device: str) -> int:  # noqa: D102
        return len(tf.config.list_logical_devices(device.upper()))

    def replicas(self, device: str, a_process: int) -> Replicas:  # noqa: D102
        from mnistbench.measuring.inside.backends.mirrored_tensorflow import MirroredReplicas

        return MirroredReplicas(device, a_process)

    def set_threads(self, count: int) -> None:  # noqa: D102
        tf.config.threading.set_intra_op_parallelism_threads(count)

    def threads(self) -> int | None:  # noqa: D102
        return tf.config.threading.get_intra_op_parallelism_threads() or None

    def has_onednn(self) -> bool | None:  # noqa: D102
        try:
            from tensorflow.python.util import _pywrap_util_port
        except ImportError:  # private, and the only place that tells
            return None
        return bool(_pywrap_util_port.IsMklEnabled())

    def start(self) -> None:  # noqa: D102
        tf.constant(0.0).numpy()
        # Several devices' iterators are released in other ways too: what it takes stays unknown.
        if not self._has_replicas:
            self._teardown.begin()

    def teardown_seconds(self) -> float | None:  # noqa: D102
        return self._teardown.seconds

    def wait(self) -> None:  # noqa: D102
        tf.test.experimental.sync_devices()

    def facts(self) -> Mapping[str, object]:  # noqa: D102
        build = tf.sysconfig.get_build_info()
        threads = tf.config.threading
        facts: dict[str, object] = {
            "tensorflow_version": tf.__version__,
            "tensorflow_git_version": tf.version.GIT_VERSION,
            "tensorflow_compiler": tf.version.COMPILER_VERSION,
            "tensorflow_cuda_build": build.get("is_cuda_build"),
            "tensorflow_cuda_version": build.get("cuda_version"),
            "tensorflow_cudnn_version": build.get("cudnn_version"),
            "tensorflow_rocm_build": build.get("is_rocm_build"),
            "tensorflow_onednn": self.has_onednn(),
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

    def order_state(self) -> Any:
        """Return None: Keras draws the order from the seed when `fit` begins, and keeps it."""

    def set_order_state(self, state: Any) -> None:
        """Do nothing: the seed is set already."""

    def automatic_jit(  # noqa: D102
        self, config: RunConfig, device: str, steps: int | None
    ) -> Jit:
        if device == "gpu":
            return Jit(True, "auto: XLA is faster on a GPU")
        if config.has(Convolution):
            return Jit(False, "auto: XLA's convolutions are slower on a CPU")
        if steps is not None and not _earns_compiling_back(config, steps):
            said = f"{steps} step{'s' * (steps != 1)} of {config.parameters} parameters"
            return Jit(False, f"auto: {said} do not earn back what XLA takes to compile")
        return Jit(True, "auto: XLA is faster for a dense network")

    def programs(self, model: Any, config: RunConfig, jit: bool) -> Programs:  # noqa: D102
        from mnistbench.measuring.inside.backends.fused_tensorflow import TensorFlowPrograms

        return TensorFlowPrograms(model, config, jit)

    def one_program(  # noqa: D102
        self, model: Any, images: npt.NDArray[np.float32], config: RunConfig, device: str
    ) -> tuple[Application, Jit]:
        jit = wanted_jit(config, self.automatic_jit(config, device, None))
        program = tf.function(
            lambda batch: model(batch, training=False),
            input_signature=[tf.TensorSpec(images.shape, tf.float32)],
            jit_compile=jit.is_on,
            autograph=False,
        ).get_concrete_function()
        return (lambda batch: program(tf.constant(batch))), jit


BACKEND = TensorFlowBackend()
