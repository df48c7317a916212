"""JAX as a backend. Only measuring processes import this module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jaxlib
import numpy as np
import numpy.typing as npt

from mnistbench.config.network import Convolution
from mnistbench.config.run_config import RunConfig
from mnistbench.measuring.inside.backends import xla
from mnistbench.measuring.inside.backends.base import (
    Application,
    Backend,
    Jit,
    Programs,
    Replicas,
)
from mnistbench.measuring.jobs import Member


class JaxBackend(Backend):
    """Keras on JAX."""

    title = "JAX"

    def has_gpu(self) -> bool:  # noqa: D102
        return bool(jax.default_backend() == "gpu")

    def be_deterministic(self) -> None:
        """Tell XLA, which reads its flags when the first device is made."""
        xla.add_flag("--xla_gpu_deterministic_ops=true")

    def prepare_fused(self, config: RunConfig) -> None:  # noqa: D102
        xla.add_flag(xla.WITHOUT_UNROLLING)

    def prepare_replicas(self, config: RunConfig, wanted: str, member: Member | None) -> None:
        """Let a CPU be as many devices as are asked for, and join the other processes."""
        asked, processes = config.training.devices, config.training.processes
        if isinstance(asked, int) and wanted != "gpu":
            xla.add_flag(f"--xla_force_host_platform_device_count={asked // processes}")
        if member is not None:
            from mnistbench.measuring.inside.backends.sharded_jax import join_others

            join_others(member.coordinator, processes, member.number)

    def device_count(self, device: str) -> int:  # noqa: D102
        return int(jax.local_device_count(device))

    def replicas(self, device: str, a_process: int) -> Replicas:  # noqa: D102
        from mnistbench.measuring.inside.backends.sharded_jax import ShardedReplicas

        return ShardedReplicas(a_process)

    def start(self) -> None:  # noqa: D102
        jax.block_until_ready(jax.numpy.zeros(()))

    def wait(self) -> None:  # noqa: D102
        jax.block_until_ready(jax.live_arrays())

    def facts(self) -> Mapping[str, object]:
        """Return versions, settings and devices; JAX tells no number of threads."""
        devices = jax.devices()
        gpus = [device for device in devices if device.platform == "gpu"]
        return {
            "jax_version": jax.__version__,
            "jaxlib_version": jaxlib.__version__,
            "jax_platform": jax.default_backend(),
            "jax_platform_version": " ".join(devices[0].client.platform_version.split()),
            "jax_devices": len(devices),
            "jax_matmul_precision": jax.config.jax_default_matmul_precision or "auto",
            "jax_enable_x64": jax.config.jax_enable_x64,
            **{f"jax_gpu_{gpu.id}_name": gpu.device_kind for gpu in gpus},
        }

    def order_state(self) -> Any:
        """Return NumPy's state: every epoch draws its order from that."""
        kind, keys, *rest = np.random.get_state(legacy=True)
        return [kind, np.asarray(keys).tolist(), *rest]

    def set_order_state(self, state: Any) -> None:  # noqa: D102
        kind, keys, *rest = state
        np.random.set_state((kind, np.asarray(keys, np.uint32), *rest))

    def automatic_jit(  # noqa: D102
        self, config: RunConfig, device: str, steps: int | None
    ) -> Jit:
        if self._scans(config):
            return Jit(True, "auto: a scan is always compiled")
        return Jit(
            True, "auto: each step is compiled, as XLA's convolutions are slow in a CPU's scan"
        )

    def programs(self, model: Any, config: RunConfig, jit: bool) -> Programs:  # noqa: D102
        from mnistbench.measuring.inside.backends.fused_jax import JaxPrograms

        return JaxPrograms(model, config, self._scans(config))

    def one_program(  # noqa: D102
        self, model: Any, images: npt.NDArray[np.float32], config: RunConfig, device: str
    ) -> tuple[Application, Jit]:
        variables = model.trainable_variables, model.non_trainable_variables
        # Copies: Keras's `predict` gives the variables' own arrays away to its program.
        state = [[jax.numpy.copy(variable.value) for variable in part] for part in variables]

        def apply(state: Any, batch: Any) -> Any:
            return model.stateless_call(*state, batch, training=False)[0]

        program = jax.jit(apply)
        return (lambda batch: program(state, batch)), Jit(True, "auto: one program is compiled")

    def _scans(self, config: RunConfig) -> bool:
        """Return whether an epoch is one scan: on a CPU that made convolutions ten times slower."""
        return jax.default_backend() != "cpu" or not config.has(Convolution)


BACKEND = JaxBackend()
