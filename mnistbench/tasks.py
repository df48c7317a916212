"""What crosses between the command and a measuring process: jobs one way, records the other.

The tasks here are all that a measuring process can be asked. Their bodies, and TensorFlow,
are imported inside them: the command reads this module too, and must stay light.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mnistbench.config import RunConfig
from mnistbench.data.dataset import DataIdentity
from mnistbench.timing import Listener, PhaseRecord


@dataclass(frozen=True)
class Probe:
    """What TensorFlow tells of itself before anything is measured."""

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
class EpochEnded:
    """An epoch of training is over; for the progress bar."""

    epoch: int
    """From 1."""


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


def probe(device: str, tell: Listener) -> Probe:
    """Resolve the device and describe TensorFlow; raise InputError for a GPU that is not there."""
    from mnistbench.tensorflow_process import choose_device, import_record, tensorflow_facts

    imported = import_record()
    resolved = choose_device(device)
    return Probe(resolved, {**tensorflow_facts(), "import_seconds": imported.seconds})


def repeat(job: RepeatJob, tell: Listener) -> RepeatResult:
    """Run one repeat in this process."""
    from mnistbench.tensorflow_process import import_record

    imported = import_record()
    from mnistbench.training import run_repeat

    return run_repeat(job, imported, tell)


def download(name: str, tell: Listener) -> PhaseRecord:
    """Download a data set by Keras's own loader and store it; raise InputError if that fails."""
    from mnistbench.tensorflow_process import import_record

    import_record()
    from mnistbench.keras_download import run_download

    return run_download(name, tell)
