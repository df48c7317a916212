"""What crosses between the command and a measuring process: jobs one way, records the other.

The tasks here are all that a measuring process can be asked. Their bodies, and the framework,
are imported inside them: the command reads this module too, and must stay light.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from mnistbench.config import RunConfig
from mnistbench.data.dataset import DataIdentity
from mnistbench.data.preprocessing import Split
from mnistbench.timing import Listener, PhaseRecord
from mnistbench.workloads import Point


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
class Sample:
    """One measured rate of one workload."""

    workload: str
    size: int
    seconds: float
    """Of one or several calls in a row."""
    rate: float
    unit: str


@dataclass(frozen=True)
class EpochEnded:
    """An epoch of training is over; for the progress bar."""

    epoch: int
    """From 1."""


@dataclass(frozen=True)
class StopRequested:
    """The training has seen that the user asked for an early end."""


@dataclass(frozen=True)
class Stopped:
    """What `train` returns when the user asked it to stop."""

    epoch: int
    """The last epoch that was finished and kept; 0 for none."""


@dataclass(frozen=True)
class Metric:
    """One figure of a repeat beside its times."""

    name: str
    value: float | int | str | bool | None
    unit: str
    """`s`, `bytes`, `samples/s`, `1` for shares and counts; empty for text and losses."""


@dataclass(frozen=True)
class RepeatResult:
    """What one repeat measured beside its phases."""

    metrics: tuple[Metric, ...]
    device: str
    """`cpu` or `gpu`, as resolved."""
    precision: str
    """Keras's dtype policy, for example `float32`."""
    identity: DataIdentity
    import_phase: PhaseRecord
    """The import in this process, or in the one it was forked from."""


@dataclass(frozen=True)
class EvaluationResult(RepeatResult):
    """What one evaluation measured, and every guess."""

    probabilities: npt.NDArray[Any] | None
    """float32, (n, classes), in the order of the images; None if they were not asked for."""


def probe(device: str, tell: Listener) -> Probe:
    """Resolve the device and describe the framework; raise InputError for a GPU not there."""
    from mnistbench.measuring_process import backend, framework_facts, import_record

    imported = import_record()
    resolved = backend().choose_device(device)
    return Probe(resolved, {**framework_facts(), "import_seconds": imported.seconds})


def repeat(job: RepeatJob, tell: Listener) -> RepeatResult:
    """Run one repeat in this process."""
    from mnistbench.measuring_process import import_record

    imported = import_record()
    from mnistbench.training import run_repeat

    return run_repeat(job, imported, tell)


def input_pipeline(job: RepeatJob, tell: Listener) -> float:
    """Return the seconds in which Keras brings an epoch's batches to a step that ignores them."""
    from mnistbench.measuring_process import import_record

    import_record()
    from mnistbench.explain_task import run_input_pipeline

    return run_input_pipeline(job)


def download(name: str, tell: Listener) -> PhaseRecord:
    """Download a data set by Keras's own loader and store it; raise InputError if that fails."""
    from mnistbench.measuring_process import import_record

    import_record()
    from mnistbench.keras_download import run_download

    return run_download(name, tell)


def train(job: TrainJob, tell: Listener) -> RepeatResult | Stopped:
    """Train once in this process, writing the model and checkpoints into the run's folder."""
    from mnistbench.measuring_process import import_record

    imported = import_record()
    from mnistbench.train_task import run_train

    return run_train(job, imported, tell)


def evaluate(job: EvaluateJob, tell: Listener) -> EvaluationResult:
    """Test a trained model in this process."""
    from mnistbench.measuring_process import import_record

    imported = import_record()
    from mnistbench.evaluate_task import run_evaluation

    return run_evaluation(job, imported, tell)


def guess(job: GuessJob, tell: Listener) -> npt.NDArray[Any]:
    """Return the model's probabilities for images, float32 (n, classes)."""
    from mnistbench.measuring_process import import_record

    import_record()
    from mnistbench.evaluate_task import run_guesses

    return run_guesses(job)


def rates(job: RatesJob, tell: Listener) -> tuple[Sample, ...]:
    """Measure rates of workloads; raise InputError for a GPU that is not there."""
    from mnistbench.measuring_process import import_record

    import_record()
    from mnistbench.workload_kernels import run_rates

    return run_rates(job)
