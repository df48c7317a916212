"""PyTorch as a backend. Only measuring processes import this module."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from mnistbench.config.network import Dropout
from mnistbench.config.run_config import RunConfig
from mnistbench.measuring.inside.backends.base import (
    Application,
    Backend,
    Jit,
    Programs,
    wanted_jit,
)


class TorchBackend(Backend):
    """Keras on PyTorch."""

    title = "PyTorch"

    def __init__(self) -> None:
        """How many threads there are is PyTorch's own choice, until it is told."""
        self._threads: int | None = None

    def has_gpu(self) -> bool:
        """Return whether Keras puts what it makes on a GPU: its choice, made at its import."""
        return bool(_device().type != "cpu")

    def be_deterministic(self) -> None:  # noqa: D102
        # cuBLAS wants this said before it starts.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)

    def start(self) -> None:
        """Start the threads too: they come with the first operation large enough for several."""
        torch.ones(1 << 20, device=_device()).sum().item()

    def wait(self) -> None:  # noqa: D102
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        elif _device().type == "mps":
            torch.mps.synchronize()

    def set_threads(self, count: int) -> None:  # noqa: D102
        torch.set_num_threads(count)
        self._threads = count

    def threads(self) -> int | None:  # noqa: D102
        return self._threads

    def has_onednn(self) -> bool | None:  # noqa: D102
        return bool(torch.backends.mkldnn.is_available())

    def facts(self) -> Mapping[str, object]:  # noqa: D102
        cudnn = torch.backends.cudnn
        gpus = range(torch.cuda.device_count())
        return {
            "torch_version": torch.__version__,
            "torch_git_version": torch.version.git_version,
            "torch_cuda_version": torch.version.cuda,
            "torch_cudnn_version": cudnn.version() if cudnn.is_available() else None,
            "torch_mkl": torch.backends.mkl.is_available(),
            "torch_onednn": self.has_onednn(),
            "torch_cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "torch_matmul_precision": torch.get_float32_matmul_precision(),
            "torch_intra_op_threads": torch.get_num_threads(),
            "torch_inter_op_threads": torch.get_num_interop_threads(),
            **{f"torch_gpu_{gpu}_name": torch.cuda.get_device_name(gpu) for gpu in gpus},
        }

    def order_state(self) -> Any:
        """Return PyTorch's state: every epoch draws its order from that."""
        return torch.get_rng_state().tolist()

    def set_order_state(self, state: Any) -> None:  # noqa: D102
        torch.set_rng_state(torch.tensor(state, dtype=torch.uint8))

    def automatic_jit(  # noqa: D102
        self, config: RunConfig, device: str, steps: int | None
    ) -> Jit:
        if config.has(Dropout):
            return Jit(False, "auto: dropout can be neither traced nor compiled")
        return Jit(False, "auto: torch.compile takes longer than it saves; the step is traced")

    def programs(self, model: Any, config: RunConfig, jit: bool) -> Programs:  # noqa: D102
        from mnistbench.measuring.inside.backends.fused_torch import TorchPrograms

        return TorchPrograms(model, config, jit)

    def without_gradients(self) -> AbstractContextManager[object]:  # noqa: D102
        context: AbstractContextManager[object] = torch.no_grad()
        return context

    def one_program(
        self, model: Any, images: npt.NDArray[np.float32], config: RunConfig, device: str
    ) -> tuple[Application, Jit]:
        """Trace the model as a fused step is: its Python runs once."""
        place = _device()
        automatic = Jit(False, "auto: torch.compile takes longer than it saves; it is traced")
        jit = wanted_jit(config, automatic)

        def call(batch: Any) -> Any:
            return model(batch, training=False)

        program: Any = make_fx(call)(torch.from_numpy(images).to(place))
        if jit.is_on:
            program = torch.compile(program)
        return (lambda batch: program(torch.from_numpy(batch).to(place))), jit


def _device() -> torch.device:
    device: torch.device = keras.ops.convert_to_tensor(0.0).device
    return device


BACKEND = TorchBackend()
