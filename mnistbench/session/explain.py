"""Where the time of a config goes on this machine, and which settings would save it.

The parts of a training are told by what is left when others are taken away: the same epoch as one
compiled program has no Python between its steps, and a network that computes nothing leaves the
bringing of the batches. Every setting that is advised was measured, interleaved with the config as
it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from mnistbench.analysis import stats
from mnistbench.config.frameworks import BACKENDS
from mnistbench.config.run_config import RunConfig
from mnistbench.config.work import train_phase_work
from mnistbench.errors import RunError
from mnistbench.machine.workloads import COPY, MATRIX_PRODUCT_OF
from mnistbench.measuring.executor import StartMethod, TaskFailure
from mnistbench.measuring.jobs import Probe, RepeatJob
from mnistbench.measuring.tasks import input_pipeline
from mnistbench.results.phases import TRAIN
from mnistbench.results.rows import PartRow, SettingRow
from mnistbench.results.tables import LOG, PARTS, PARTS_PICTURE, SETTINGS
from mnistbench.session.benchmark import BenchmarkPlan, BenchmarkResult, run_benchmark
from mnistbench.session.crews import executor_of
from mnistbench.session.events import Listener
from mnistbench.session.one_image import OneImage, measure_one_image
from mnistbench.session.parts import (
    COMPUTING,
    UNTOLD,
    epochs_run,
    has_pipeline,
    has_python_between_steps,
    metric,
    parts,
    phase_seconds,
)
from mnistbench.session.records import Run, metric_values
from mnistbench.session.settings import Setting, candidates, check_explainable
from mnistbench.session.waiting import Waited, Waiting

LEAST_REPEATS = 3
"""Fewer give an interval from nothing to a thousandfold: they are too few to tell."""


@dataclass(frozen=True)
class ExplainPlan:
    """What to explain, and how often to measure each way."""

    config: RunConfig
    """Its epochs are those that are measured."""
    repeats: int
    output: Path
    start_method: StartMethod = "auto"


@dataclass(frozen=True)
class Use:
    """What the computing of the training steps makes of the machine's measured peak."""

    flops_per_second: float
    peak_flops_per_second: float
    """Of a matrix product in the same precision."""
    bytes_per_second: float
    """At least so many: what must be moved."""
    peak_bytes_per_second: float
    """Of a memory copy."""


@dataclass(frozen=True)
class Explanation:
    """Where the time goes, and what was tried."""

    result: BenchmarkResult
    parts: tuple[PartRow, ...]
    accuracy: float
    """Median on the test set, with the config as it is."""
    trials: tuple[SettingRow, ...]
    """The fastest first."""
    not_tried: tuple[str, ...]
    """Settings that this machine or the config rules out, and why."""
    use: Use | None
    """Of the machine by the computing; None where its peak in this precision is not measured."""
    waited: Waited
    """What passes between a `benchmark` and its first phase."""
    one_image: OneImage | None = None
    """What a `predict` of one image takes, and what of that is not the network."""

    @property
    def run(self) -> Run:
        """Return the run of the config as it is; the table and the picture are in its folder."""
        return self.result.runs[0]

    @property
    def repeats(self) -> int:
        """Return the repeats of the config as it is, and of each setting."""
        return len(self.run.repeats)

    @property
    def untold(self) -> tuple[str, ...]:
        """Return the parts whose repeats do not show that they take any time."""
        return tuple(part.part for part in self.parts if part.measured_by.endswith(UNTOLD))

    @property
    def advice(self) -> tuple[SettingRow, ...]:
        """Return the one or two settings that help most: faster beyond doubt."""
        return tuple(trial for trial in self.trials if (trial.low or 0) > 1)[:2]


def explain(plan: ExplainPlan, tell: Listener) -> Explanation:
    """Measure the config and what could be faster, and write what was found beside its run.

    Raises RunError if a repeat fails, and KeyboardInterrupt if the user stops it: the repeats
    that ended are kept.
    """
    check_explainable(plan.config)
    waiting = Waiting()
    told = waiting.probe(executor_of(plan.config, plan.start_method), plan.config)
    settings, not_tried = candidates(plan.config, _has_onednn(plan.config, told))
    configs = (plan.config, *(setting.config for setting in settings))
    result = run_benchmark(_benchmark(plan, configs), waiting.listening(tell))
    if result.interrupted:
        raise KeyboardInterrupt
    for failed in result.failures:
        raise RunError(f"repeat {failed.turn.repeat} {failed.status}: {failed.reason}")
    base, *others = result.runs
    pipeline = _pipeline_seconds(plan, base) if has_pipeline(plan.config) else []
    fused = others[0] if has_python_between_steps(plan.config) else base
    rows = parts(base, fused, pipeline)
    trials = [_trial(setting, base, run) for setting, run in zip(settings, others, strict=True)]
    trials.sort(key=lambda trial: trial.train_seconds)
    accuracy = median(metric_values(base, "test_accuracy"))
    use = _use(base, next(part.seconds for part in rows if part.part == COMPUTING))
    one_image = measure_one_image(
        plan.config, plan.repeats, base.folder.path, plan.start_method, tell
    )
    explanation = Explanation(
        result, rows, accuracy, tuple(trials), tuple(not_tried), use, waiting.ended(), one_image
    )
    _keep(explanation)
    return explanation


def _benchmark(plan: ExplainPlan, configs: tuple[RunConfig, ...]) -> BenchmarkPlan:
    return BenchmarkPlan(
        configs,
        plan.repeats,
        0,
        plan.output,
        "explain",
        plan.start_method,
        calibrate=False,
        roofline=True,
    )


def _has_onednn(config: RunConfig, told: Probe) -> bool | None:
    """Return whether the config as it is computes with oneDNN, where there is a choice."""
    if not BACKENDS[config.backend].onednn_variable:
        return None
    has_it = told.facts.get(f"{config.backend}_onednn")
    return has_it if isinstance(has_it, bool) and told.device == "cpu" else None


def _keep(explanation: Explanation) -> None:
    """Write the parts as a table and a picture into the folder of the config as it is."""
    from mnistbench.results import pictures

    folder, config = explanation.run.folder, explanation.run.config
    folder.write_table(PARTS, explanation.parts)
    folder.write_table(SETTINGS, explanation.trials)
    title = f"{config.name} on {explanation.run.device}, epochs {config.training.epochs}"
    figure = pictures.parts_figure(title, [(part.part, part.seconds) for part in explanation.parts])
    pictures.save(figure, folder.path / PARTS_PICTURE)


def _pipeline_seconds(plan: ExplainPlan, run: Run) -> list[float]:
    """Return the seconds an epoch of batches for a network that ignores them, of each repeat."""
    executor = executor_of(plan.config, plan.start_method)
    seeds = [record.turn.seed for record in run.repeats]
    log = run.folder.path / LOG
    jobs = [RepeatJob(plan.config, plan.config.device, seed) for seed in seeds]
    try:
        return [executor.run(input_pipeline, job, log, lambda message: None) for job in jobs]
    except TaskFailure as failure:
        raise RunError(f"the input pipeline could not be measured: {failure.reason}") from None


def _use(run: Run, seconds: float) -> Use | None:
    """Return what the steps make of the machine in so many seconds of computing."""
    result = run.repeats[0].result
    product = MATRIX_PRODUCT_OF.get(result.precision) if result else None
    if result is None or product is None or {product.name, COPY.name} - set(run.peaks):
        return None
    work = train_phase_work(
        run.config,
        steps=int(metric(run, "train_steps")),
        trained=epochs_run(run) * int(metric(run, "train_samples")),
        validated=0,
        precision=result.precision,
    )
    return Use(
        work.flops / seconds,
        run.peaks[product.name].rate,
        work.bytes / seconds,
        run.peaks[COPY.name].rate,
    )


def _trial(setting: Setting, base: Run, run: Run) -> SettingRow:
    before, after = phase_seconds(base, TRAIN), phase_seconds(run, TRAIN)
    interval = stats.paired_ratio(np.array(after), np.array(before), 0.95)
    is_told = len(after) >= LEAST_REPEATS and bool(np.isfinite(interval.high))
    return SettingRow(
        setting.text,
        len(after),
        median(after),
        float(interval.ratio),
        float(interval.low) if is_told else None,
        float(interval.high) if is_told else None,
        median(metric_values(run, "test_accuracy")),
    )
