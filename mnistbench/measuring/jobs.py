"""What crosses between the command and a measuring process: jobs one way, records the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt

from mnistbench.config.run_config import RunConfig
from mnistbench.data.dataset import DataIdentity
from mnistbench.data.preprocessing import Split
from mnistbench.machine.workloads import Point
from mnistbench.measuring.partners import Ready
from mnistbench.results.inference import InferenceRow
from mnistbench.results.phases import PhaseRecord, PhaseStarted
from mnistbench.results.rows import HistoryRow, Metric


@dataclass(frozen=True)
class Probe:
    """What the framework tells of itself before anything is measured."""

    device: str
    """`cpu` or `gpu`, as resolved."""
    facts: Mapping[str, object]
    """Attributes for machine.csv."""


@dataclass(frozen=True)
class RepeatJob:
    """What a measuring process is asked to do once."""

    config: RunConfig
    device: str
    """`auto`, `cpu` or `gpu`."""
    seed: int
    """The seed of this repeat, derived from the config's root."""
    asks: bool = field(default=False, kw_only=True)
    """Whether it asks after each epoch but the last if it is to go on."""


@dataclass(frozen=True)
class Downloading:
    """So much of a data set has arrived; for the progress bar."""

    title: str
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class TrainJob(RepeatJob):
    """A repeat that keeps what it learnt."""

    folder: Path
    """The run's folder: receives the model, the summary, checkpoints and logs."""
    checkpoint_every: int | None = None
    """Epochs between two checkpoints; None for none."""
    resume: Path | None = None
    """The checkpoint to go on from."""
    tensorboard: bool = False
    """Whether to write logs for TensorBoard."""
    graphviz: bool = False
    """Whether Graphviz is there to draw the network."""


@dataclass(frozen=True)
class EvaluateJob:
    """A trained model to be tested once."""

    config: RunConfig
    """The one it was trained by, but for the place of the images it is tested on."""
    trained_by: RunConfig
    """The one it was trained by: `standardize` is by the mean of its training images."""
    device: str
    """`auto`, `cpu` or `gpu`."""
    seed: int
    model: Path
    """The `.keras` file."""
    split: Split
    with_guesses: bool
    """Whether to return what the model takes each image for."""


@dataclass(frozen=True)
class GuessJob:
    """Images without labels for a trained model."""

    config: RunConfig
    device: str
    model: Path
    images: npt.NDArray[Any]
    """uint8, (n, height, width, channels)."""


@dataclass(frozen=True)
class InferJob(RepeatJob):
    """A network to be applied in one way at one batch size, again and again."""

    model: Path | None
    """The `.keras` file; None for the config's network, its weights as drawn."""
    round: int
    repeat: int
    execution: str
    """A key of `results.inference.WAYS`."""
    batch_size: int
    seconds: float
    """Of single queries, and as long again of offline ones."""


@dataclass(frozen=True)
class RatesJob:
    """Workloads whose rates are to be measured."""

    device: str
    """`auto`, `cpu` or `gpu`."""
    points: tuple[Point, ...]
    rounds: int
    """Through all points, so that what disturbs the machine for a moment disturbs them alike."""
    samples: int
    """Of each point in each round, at most."""
    seconds: float
    """After so long a point takes no further sample in a round."""


@dataclass(frozen=True)
class EpochEnded:
    """An epoch of training is over; for the progress bar."""

    epoch: int
    """From 1."""


@dataclass(frozen=True)
class EpochLearnt:
    """An epoch is over, and its process waits for `GoOn` or `Prune` of the same epoch."""

    epoch: int
    """From 1."""
    accuracy: float
    """On the images that each epoch is validated on, from 0 to 1."""


@dataclass(frozen=True)
class GoOn:
    """To a process: the training goes on after this epoch."""

    epoch: int


@dataclass(frozen=True)
class Prune:
    """To a process: the training ends after this epoch, as it promises too little."""

    epoch: int


@dataclass(frozen=True)
class StopRequested:
    """The training has seen that the user asked for an early end."""


Message = (
    PhaseStarted | PhaseRecord | EpochEnded | EpochLearnt | Downloading | StopRequested
    | HistoryRow | Ready
)  # fmt: skip
"""All that a measuring process tells while it works."""

Listener = Callable[[Message], None]
Answer = Callable[[Message], GoOn | Prune | None]
"""What is sent back to the process for what it tells; None for nothing."""


@dataclass(frozen=True)
class Stopped:
    """What `train` returns when the user asked it to stop."""

    epoch: int
    """The last epoch that was finished and kept; 0 for none."""


@dataclass(frozen=True)
class RepeatResult:
    """What one repeat measured beside its phases."""

    metrics: tuple[Metric, ...]
    backend: str
    """The framework that measured, as Keras tells it."""
    device: str
    """`cpu` or `gpu`, as resolved."""
    precision: str
    """Keras's dtype policy, for example `float32`."""
    identity: DataIdentity
    import_phase: PhaseRecord
    """The import in this process, or in the one it was forked from."""
    pruned_epoch: int | None = field(default=None, kw_only=True)
    """The epoch after which it was told to end, without a test; None for a whole training."""


@dataclass(frozen=True)
class EvaluationResult(RepeatResult):
    """What one evaluation measured, and every guess."""

    probabilities: npt.NDArray[Any] | None
    """float32, (n, classes), in the order of the images; None if they were not asked for."""
    remarks: tuple[str, ...] = ()
    """In what the model was judged by terms of its own, a line each."""


@dataclass(frozen=True)
class InferenceResult(RepeatResult):
    """What one process measured of one way to apply a network."""

    row: InferenceRow
    remarks: tuple[str, ...] = ()
    """As those of an EvaluationResult."""


@dataclass(frozen=True)
class Guesses:
    """What a model takes images for."""

    probabilities: npt.NDArray[Any]
    """float32, (n, classes), in the order of the images."""
    remarks: tuple[str, ...]
    """As those of an EvaluationResult."""
