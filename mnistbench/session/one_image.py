"""What Keras's `predict` of a single image takes, and how much of that is not the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median

from mnistbench.analysis.inference import summaries
from mnistbench.config.run_config import RunConfig
from mnistbench.errors import RunError
from mnistbench.measuring.executor import StartMethod
from mnistbench.results.inference import COMPILED, PREDICT
from mnistbench.results.tables import INFERENCES
from mnistbench.session.events import Listener
from mnistbench.session.infer import InferencePlan, Subject, run_inference
from mnistbench.session.records import Run

_SECONDS = 0.5


@dataclass(frozen=True)
class OneImage:
    """A `predict` of one image against the same as one program, which has no Python inside."""

    run: Run
    predict_seconds: float
    """Median over fresh processes of their median queries, as is the next one."""
    compiled_seconds: float
    teardown_seconds: float | None
    """Of the `predict`, what the framework took to release the pipeline; None if not known."""
    share: float
    """Of the `predict`, what one program does without: Python, and the pipeline of each call."""
    low: float | None
    """Of the share's 95 % interval; None where the processes are too few to tell."""
    high: float | None


def measure_one_image(
    config: RunConfig, repeats: int, folder: Path, start_method: StartMethod, tell: Listener
) -> OneImage:
    """Measure the config's network, not trained, into a run's folder.

    Raises RunError if a process fails, and KeyboardInterrupt if the user stops it.
    """
    plan = InferencePlan(
        (Subject(config, None),), (PREDICT, COMPILED), (1,), _SECONDS, repeats,
        folder / INFERENCES, "explain", start_method,
    )  # fmt: skip
    inference = run_inference(plan, tell)
    if inference.interrupted:
        raise KeyboardInterrupt
    for failed in inference.failures:
        raise RunError(f"predict of one image {failed.status}: {failed.reason}")
    (run,) = inference.runs
    rows = inference.rows_of(run)
    predict, compiled = summaries(rows)
    waits = [row.teardown_seconds for row in rows if row.execution == PREDICT]
    known = [seconds for seconds in waits if seconds is not None]
    assert compiled.times_faster is not None  # both are in every round
    return OneImage(
        run,
        predict.latency_seconds,
        compiled.latency_seconds,
        median(known) if known else None,
        1 - 1 / compiled.times_faster,
        None if compiled.low is None else 1 - 1 / compiled.low,
        None if compiled.high is None else 1 - 1 / compiled.high,
    )
