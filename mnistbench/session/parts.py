"""What the parts of a training take: what is left of it when others are taken away."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, median, stdev

from mnistbench.config.frameworks import BACKENDS
from mnistbench.config.run_config import RunConfig
from mnistbench.results.phases import (
    BUILD,
    COMPILE,
    DATA_LOAD,
    IMPORT,
    PREPROCESS,
    STATUS_OK,
    TEST,
    TRAIN,
)
from mnistbench.results.rows import PartRow
from mnistbench.session.records import Run, metric_values

COMPUTING = "compute"
TRACING, REST = "trace and compile", "validation and rest"
PIPELINE, DISPATCH = "input pipeline", "Python dispatch"
TEARDOWN = "releasing the input"
BETWEEN_STEPS = "Python dispatch and input"
UNTOLD = "not told apart from 0"
"""What is said of a part whose repeats do not show that it takes any time."""

_CONFIDENCE = 0.95


def has_python_between_steps(config: RunConfig) -> bool:
    """Return whether Python calls each step, and not an epoch of them."""
    return config.training.execution == "fit"


def has_pipeline(config: RunConfig) -> bool:
    """Return whether the input pipeline can be told apart."""
    return has_python_between_steps(config) and BACKENDS[config.backend].has_input_pipeline


def parts(base: Run, fused: Run, pipeline_seconds: Sequence[float]) -> tuple[PartRow, ...]:
    """Return where the time of `base` goes; `fused` is the same as one compiled program.

    `pipeline_seconds` are of an epoch of the input pipeline alone, empty where there is none.
    """
    rows = [
        ("import", _phase(base, IMPORT), "the import phase"),
        ("data", _phase(base, DATA_LOAD), "the data-load phase"),
        ("preprocess", _phase(base, PREPROCESS), "the preprocess phase"),
        ("build", _phase(base, BUILD) + _phase(base, COMPILE), "the build and compile phases"),
        *_train_parts(base, fused, median(pipeline_seconds) if pipeline_seconds else None),
        ("test", _phase(base, TEST), "the test phase"),
    ]
    whole = sum(seconds for _, seconds, _ in rows)
    remainders = _remainders(base, fused, pipeline_seconds)
    return tuple(
        PartRow(
            name,
            seconds,
            seconds / whole,
            f"{by}; {UNTOLD}" if name in remainders and not is_told(remainders[name]) else by,
        )
        for name, seconds, by in rows
    )


def is_told(seconds: Sequence[float]) -> bool:
    """Return whether repeats of a difference show that it is above 0; one repeat shows its sign."""
    if len(seconds) < 2:
        return all(value > 0 for value in seconds)
    from scipy import stats

    width = stats.t.ppf((1 + _CONFIDENCE) / 2, len(seconds) - 1) * stdev(seconds)
    return bool(mean(seconds) > width / len(seconds) ** 0.5)


def _remainders(base: Run, fused: Run, pipeline_seconds: Sequence[float]) -> dict[str, list[float]]:
    """Return each part that is a difference, repeat by repeat; it can come out below 0."""
    epochs = epochs_run(base)
    times = zip(
        metric_values(base, "train_steps"),
        metric_values(base, "first_step_seconds"),
        metric_values(base, "steady_step_seconds"),
        metric_values(fused, "steady_step_seconds"),
        phase_seconds(base, TRAIN),
        pipeline_seconds or [0.0] * len(base.repeats),
        metric_values(base, "train_teardown_seconds"),
        strict=False,
    )
    names = (TRACING, REST, BETWEEN_STEPS, PIPELINE, DISPATCH)
    rows: dict[str, list[float]] = {name: [] for name in names}
    for steps, first, steady, compiled, train, pipeline, teardown in times:
        if None in (steps, first, steady, compiled):
            continue
        rows[TRACING].append(first - steady)
        rows[REST].append(train - first - steady * (steps - 1) - (teardown or 0.0))
        between = (steady - compiled) * steps
        rows[BETWEEN_STEPS].append(between)
        rows[PIPELINE].append(min(pipeline * epochs, between))
        rows[DISPATCH].append(between - pipeline * epochs)
    return rows


def _train_parts(
    base: Run, fused: Run, pipeline_seconds: float | None
) -> list[tuple[str, float, str]]:
    steps = metric(base, "train_steps")
    stepping = metric(base, "steady_step_seconds") * steps
    computing = min(metric(fused, "steady_step_seconds") * steps, stepping)
    if not has_python_between_steps(base.config):
        tracing, by = metric(base, "trace_compile_seconds"), "trace_compile_seconds"
        steps_parts = [(COMPUTING, computing, "the steps of the compiled epoch")]
    else:
        tracing = max(0.0, metric(base, "first_step_seconds") - stepping / steps)
        by = "the first step less a later one"
        steps_parts = [
            (COMPUTING, computing, "the same steps as one compiled epoch"),
            *_between_steps(stepping - computing, pipeline_seconds, epochs_run(base)),
            *_teardown(base),
        ]
    rest = max(0.0, _phase(base, TRAIN) - tracing - sum(part[1] for part in steps_parts))
    return [
        (TRACING, tracing, by),
        *steps_parts,
        (REST, rest, "the train phase less all of these"),
    ]


def _teardown(base: Run) -> list[tuple[str, float, str]]:
    values = metric_values(base, "train_teardown_seconds")
    known = [seconds for seconds in values if seconds is not None]
    return [(TEARDOWN, median(known), "train_teardown_seconds")] if known else []


def _between_steps(
    seconds: float, pipeline_seconds: float | None, epochs: int
) -> list[tuple[str, float, str]]:
    """Return what `fit` takes beside the computing: bringing batches, and calls from Python."""
    if pipeline_seconds is None:
        return [(BETWEEN_STEPS, seconds, "fit less the computing")]
    # The pipeline runs beside the computing: nobody waits for more than computing leaves.
    waiting = min(pipeline_seconds * epochs, seconds)
    return [
        (PIPELINE, waiting, "fit with a network that computes nothing"),
        (DISPATCH, seconds - waiting, "fit less these two"),
    ]


def epochs_run(run: Run) -> int:
    """Return the epochs that were run, which a target can make fewer than the config's."""
    return sum(m.name.endswith("_train_loss") for m in run.repeats[0].metrics)


def _phase(run: Run, name: str) -> float:
    return median(phase_seconds(run, name) or [0.0])


def phase_seconds(run: Run, name: str) -> list[float]:
    """Return a phase of every repeat that finished it, in seconds."""
    return [
        phase.seconds
        for record in run.repeats
        for phase in record.phases
        if phase.phase == name and phase.status == STATUS_OK and phase.seconds is not None
    ]


def metric(run: Run, name: str) -> float:
    """Return the median of a metric over the repeats that know it."""
    return float(median(value for value in metric_values(run, name) if value is not None))
