"""The phases of a repeat: their names, and the record of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mnistbench.results import wall_clock

IMPORT = "import"
DATA_LOAD = "data-load"
PREPROCESS = "preprocess"
BUILD = "build"
COMPILE = "compile"
TRAIN = "train"
TEST = "test"
TOTAL = "total"
MODEL_LOAD = "model-load"
WARM_UP = "warm-up"
INFER = "infer"

PHASES = (IMPORT, DATA_LOAD, PREPROCESS, BUILD, COMPILE, TRAIN, TEST, TOTAL)

DATA_DOWNLOAD = "data-download"
"""Not of every repeat: before the first one of a session whose data had to be downloaded."""
EVALUATION_PHASES = (IMPORT, DATA_LOAD, PREPROCESS, MODEL_LOAD, TEST, TOTAL)
"""What `evaluate` times."""
INFERENCE_PHASES = (IMPORT, DATA_LOAD, MODEL_LOAD, PREPROCESS, WARM_UP, INFER, TOTAL)
"""What `infer` times of a saved model."""
UNTRAINED_PHASES = (IMPORT, DATA_LOAD, BUILD, PREPROCESS, WARM_UP, INFER, TOTAL)
"""What it times of a config's network."""

STATUS_OK = "ok"
STATUS_FAILED = "failed"
STATUS_INHERITED = "inherited"
STATUS_NOT_RUN = "not-run"
STATUS_INTERRUPTED = "interrupted"
"""The user stopped it before its end."""
STATUS_PRUNED = "pruned"
"""A search ended the training after an epoch that promised too little: no time of a whole one."""
STATUS_DUET: Final = "duet"
"""It ended, on half of the cores beside a busy neighbour: a time to compare with its own only."""
STATUS_ONE_CORE: Final = "one-core"
"""It ended, on a core that it had to share: a time to compare with that of who shared it only."""
AT_ONCE = (STATUS_DUET, STATUS_ONE_CORE)
"""Two sides at the same time; each is the name of that design, too."""
ENDED_WHOLE = (STATUS_OK, *AT_ONCE)
STATUS_PARALLEL = "parallel:"
"""And so many at a time: it ended, on its share of the cores beside other trainings on theirs."""
STATUS_RESUMED = "resumed"
"""It ended, but an earlier process had done a part of it: no time to compare with."""


@dataclass(frozen=True)
class PhaseStarted:
    """A phase began; sent before its clock starts, so that a killed process tells where it was."""

    phase: str


@dataclass(frozen=True)
class PhaseRecord:
    """One phase of one repeat, as measured inside the process that ran it."""

    phase: str
    seconds: float | None
    """Wall time by `time.perf_counter_ns`, in seconds; None if the phase did not end."""
    cpu_seconds: float | None
    """User and system time of all threads of the process, in seconds."""
    start_utc: str
    """Start by the wall clock, ISO 8601 in UTC; empty if the phase did not start."""
    status: str
    """`ok`, `failed`, `killed:SIGNAL`, `inherited`, `not-run`, `interrupted`, `pruned`, `resumed`,
    `duet`, `one-core` or `parallel:N`."""
    teardown_seconds: float | None = None
    """Of its wall time, what the framework took to release its input pipelines; None where that is
    not known."""


def is_measured(status: str) -> bool:
    """Return whether a phase ended, and its time can be compared with others of its kind."""
    return status in ENDED_WHOLE or status.startswith(STATUS_PARALLEL)


def utc_now() -> str:
    """Return the wall-clock time as ISO 8601 in UTC with microseconds."""
    return wall_clock.utc().isoformat(timespec="microseconds").replace("+00:00", "Z")
