"""What every backend can do: the only questions that the rest asks of a framework."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from mnistbench.config.run_config import RunConfig
from mnistbench.data import RawImages
from mnistbench.errors import InputError
from mnistbench.measuring.jobs import Member


@dataclass(frozen=True)
class Jit:
    """Whether the training is compiled (by XLA, with torch by `torch.compile`), and why."""

    is_on: bool
    reason: str


Application = Callable[[npt.NDArray[np.float32]], Any]
"""A model as one program: a batch of images in, outputs on the device out."""


class Programs(Protocol):
    """An epoch and a test of one model as one call each, over images that lie on the device."""

    def compile_training(self, images: RawImages, validated_on: RawImages | None) -> None:
        """Bring the images to the device and compile all that an epoch calls."""

    def train(self, order: npt.NDArray[np.int32]) -> dict[str, float]:
        """Train an epoch on the images in this order; return its mean loss and accuracy."""

    def test(self, images: RawImages) -> dict[str, float]:
        """Return mean loss and accuracy over the images."""


class Replicas(Protocol):
    """Copies of a model, each on a device of its own, that learn in step from shares of a batch."""

    count: int
    """In sync, of all processes together."""
    processes: int

    def scope(self) -> AbstractContextManager[Any]:
        """Return within what the model is made, compiled and given a state."""

    def shares(self, batch_size: int) -> list[int]:
        """Return how many images of a batch each replica gets, as the framework has it."""

    def part(self, array: Any) -> Any:
        """Return what this process brings of an array of images or labels."""

    def copies(self, model: Any) -> list[Sequence[npt.NDArray[Any]]]:
        """Return the copies of each weight that training changes."""

    def leave(self) -> None:
        """End what ties this process to others; the last thing that is done with them."""


class Backend(ABC):
    """A framework, in a measuring process that has imported it."""

    title: ClassVar[str]

    def choose_device(self, wanted: str) -> str:
        """Return the device that will be used: `cpu` or `gpu`.

        The environment of a process for the CPU hides the GPUs already.
        Raises InputError if a GPU is wanted and the framework sees none.
        """
        has_gpu = wanted != "cpu" and self.has_gpu()
        if wanted == "gpu" and not has_gpu:
            raise InputError(
                f"'gpu' was asked for, but {self.title} sees none on this machine",
                field="device",
                hint="see: mnistbench machine-info; or use --device cpu",
            )
        return "gpu" if has_gpu else "cpu"

    @abstractmethod
    def has_gpu(self) -> bool:
        """Return whether the framework sees a GPU."""

    @abstractmethod
    def be_deterministic(self) -> None:
        """Ask for bit-equal results also on a GPU; before anything runs there."""

    def prepare_fused(self, config: RunConfig) -> None:  # noqa: B027 - some have nothing to do
        """Set what suits programs of a whole epoch, where it is read once, before the start."""

    def prepare_replicas(self, config: RunConfig, wanted: str, member: Member | None) -> None:
        """Make ready for several devices, before the first is made; the config allows them.

        `wanted` is `auto`, `cpu` or `gpu`; `member` says which of several processes this is.
        """
        raise NotImplementedError(self.title)

    def device_count(self, device: str) -> int:
        """Return how many devices of this process it sees, of the kind `cpu` or `gpu`."""
        return 1

    def replicas(self, device: str, a_process: int) -> Replicas:
        """Return copies on so many devices of each process, `cpu` or `gpu`."""
        raise NotImplementedError(self.title)

    def set_threads(self, count: int) -> None:
        """Let an operation use so many threads of a CPU; before the first."""
        raise NotImplementedError(self.title)

    def threads(self) -> int | None:
        """Return how many threads an operation may use; None where the framework decides."""
        return None

    def has_onednn(self) -> bool | None:
        """Return whether it computes with oneDNN on a CPU; None where that is not known."""
        return None

    @abstractmethod
    def start(self) -> None:
        """Make devices and threads, which the first operation does otherwise."""

    @abstractmethod
    def wait(self) -> None:
        """Return when every operation sent to the device has finished."""

    def teardown_seconds(self) -> float | None:
        """Return what releasing input pipelines took so far; None where it is not known."""
        return None

    @abstractmethod
    def facts(self) -> Mapping[str, object]:
        """Return versions, build, settings and devices, for machine.csv."""

    @abstractmethod
    def order_state(self) -> Any:
        """Return, as JSON, what `fit` draws the order of the images from; None for the seed."""

    @abstractmethod
    def set_order_state(self, state: Any) -> None:
        """Let `fit` go on as it would have from this state."""

    @abstractmethod
    def automatic_jit(self, config: RunConfig, device: str, steps: int | None) -> Jit:
        """Return what `jit: auto` means for a program that runs so many steps; None for no end."""

    @abstractmethod
    def programs(self, model: Any, config: RunConfig, jit: bool) -> Programs:
        """Return the fused epoch and tests of a compiled model."""

    def without_gradients(self) -> AbstractContextManager[object]:
        """Return a context in which a model that is called notes nothing for a gradient."""
        return nullcontext()

    @abstractmethod
    def one_program(
        self, model: Any, images: npt.NDArray[np.float32], config: RunConfig, device: str
    ) -> tuple[Application, Jit]:
        """Return the model as one program over batches like `images`, and whether it is compiled.

        Its outputs stay on the device. It may be compiled only when it is first called.
        """


def wanted_jit(config: RunConfig, automatic: Jit) -> Jit:
    """Return what the config says, or where it leaves the choice, the automatic one."""
    wanted = config.training.jit
    return automatic if wanted == "auto" else Jit(wanted == "on", f"training.jit is {wanted}")


def one_hot_classes(config: RunConfig) -> int | None:
    """Return how many classes the loss takes one-hot; None where it takes labels."""
    return None if config.training.loss.startswith("sparse_") else config.facts.classes
