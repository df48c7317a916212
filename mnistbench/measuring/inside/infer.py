"""The body of `infer`, inside its own process: one way to apply a network, at one batch size.

Imports Keras: only measuring processes import this module.
"""

from __future__ import annotations

import itertools
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt

from mnistbench import data
from mnistbench.config.run_config import RunConfig
from mnistbench.measuring.answers import check_answers, tolerance
from mnistbench.measuring.clock import PhaseClock
from mnistbench.measuring.inside import models
from mnistbench.measuring.inside.applying import WAYS, Array, Way
from mnistbench.measuring.inside.evaluate import guesses_of, probabilities
from mnistbench.measuring.inside.foreign import (
    compile_on_own_terms,
    images_for,
    load_model,
    own_terms,
)
from mnistbench.measuring.inside.framework import backend
from mnistbench.measuring.inside.measures import process_metrics
from mnistbench.measuring.inside.repeat import load, start
from mnistbench.measuring.jobs import InferenceResult, InferJob, Listener
from mnistbench.results.inference import (
    OFFLINE_BATCHES,
    InferenceRow,
    metric_names,
    percentile_seconds,
    queries_needed,
)
from mnistbench.results.phases import (
    BUILD,
    INFER,
    MODEL_LOAD,
    PREPROCESS,
    WARM_UP,
    PhaseRecord,
)
from mnistbench.results.rows import Metric

_WARM_UP_QUERIES, _WARM_UP_SHARE = 3, 0.25
"""At least so many queries are not counted, and those of so much of the seconds."""
_DIFFERENT_QUERIES = 256
_CHECKED_IMAGES, _CHECKED_QUERIES = 256, 16


@dataclass(frozen=True)
class _Subject:
    """A network, and images as it takes them."""

    model: keras.Model
    config: RunConfig
    images: Array
    """float32."""
    logits: bool
    """Whether it gives no probabilities."""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Times:
    """What was measured of one way."""

    queries: npt.NDArray[np.float64]
    """Seconds of each, the shortest first."""
    cpu_seconds: float
    """Of the processor, all threads of this process, for all of them."""
    teardown_seconds: float | None
    """Of all of them, what releasing input pipelines took."""
    offline_images: int
    offline_queries: int
    offline_seconds: float


def run_inference(job: InferJob, import_phase: PhaseRecord, tell: Listener) -> InferenceResult:
    """Load or build the network, apply it for the job's seconds, and check its answers.

    Raises InputError for a file that is no model or does not fit the data, and RunError for
    outputs that are not those of `evaluate`.
    """
    started = time.perf_counter()
    device = start(job.device, job.seed, job.config)
    startup_seconds = time.perf_counter() - started
    clock = PhaseClock(tell, backend().teardown_seconds)
    whole = load(clock, job.config)
    identity = data.identify(whole, job.config)
    subject = _subject(clock, job, data.select(whole, job.config, trains=False))
    del whole
    with backend().without_gradients():
        with clock.phase(WARM_UP):
            way = _warmed_up(job, subject, device)
        with clock.phase(INFER):
            times = _measured(job, way, subject.images)
        checked, difference = _checked(job, way, subject, device)
    clock.total()
    row = _row(job, clock, times, checked, difference)
    metrics = (
        *_figures(row, times),
        Metric("infer_execution", job.execution, ""),
        Metric("infer_batch_size", job.batch_size, "1"),
        Metric("infer_round", job.round, ""),
        Metric("infer_queries", row.queries, "1"),
        Metric("parameters", subject.model.count_params(), "1"),
        *process_metrics(),
        Metric("startup_seconds", startup_seconds, "s"),
        Metric("infer_jit_compile", way.jit.is_on, ""),
        Metric("infer_jit_reason", way.jit.reason, ""),
        Metric("intra_op_threads", backend().threads(), "1"),
        Metric("seed", job.seed, ""),
    )
    return InferenceResult(
        metrics, keras.backend.backend(), device, keras.config.dtype_policy().name, identity,
        import_phase, row, subject.remarks,
    )  # fmt: skip


def _subject(clock: PhaseClock, job: InferJob, dataset: data.Dataset) -> _Subject:
    if job.model is None:
        with clock.phase(BUILD):
            model = models.build_model(job.config)
            models.compile_model(model, job.config)
        with clock.phase(PREPROCESS):
            images = _as_float32(data.numbers(dataset, job.config, "test").images)
        return _Subject(model, job.config, images, logits=False)
    with clock.phase(MODEL_LOAD):
        model = load_model(job.model, job.config)
    terms = own_terms(model, job.model, job.config)
    with clock.phase(PREPROCESS):
        numbers = data.numbers(dataset, terms.config, "test").images
        images = _as_float32(images_for(model, numbers))
    logits, remarks = compile_on_own_terms(model, terms, terms.config, images)
    return _Subject(model, terms.config, images, logits, remarks)


def _as_float32(images: Array) -> Array:
    """Return what a network computes with: every way is given the same, and none converts it."""
    return np.ascontiguousarray(images, np.float32)


def _warmed_up(job: InferJob, subject: _Subject, device: str) -> Way:
    """Return the way, traced and compiled, after queries that are not counted."""
    size = job.batch_size
    way = WAYS[job.execution](subject.model, subject.config, device, size, subject.images)
    queries = _queries(job, subject.images)
    _latencies(way, queries, _WARM_UP_SHARE * job.seconds, _WARM_UP_QUERIES)
    way.offline(_pool(subject.images, size)[: 2 * size])
    return way


def _queries(job: InferJob, images: Array) -> list[Array]:
    """Return batches drawn from the images: no two in a row need be the same."""
    generator = np.random.default_rng(job.seed)
    last = len(images) - job.batch_size
    starts = generator.integers(0, last + 1, _DIFFERENT_QUERIES)
    return [images[start : start + job.batch_size] for start in starts]


def _pool(images: Array, batch_size: int) -> Array:
    """Return the images of an offline query: whole batches, and not too many."""
    batches = min(len(images) // batch_size, OFFLINE_BATCHES)
    return images[: batches * batch_size]


def _measured(job: InferJob, way: Way, images: Array) -> _Times:
    before, before_cpu = backend().teardown_seconds(), time.process_time()
    queries = _latencies(way, _queries(job, images), job.seconds, queries_needed(50))
    cpu_seconds, after = time.process_time() - before_cpu, backend().teardown_seconds()
    teardown = None if before is None or after is None else after - before
    pool = _pool(images, job.batch_size)
    passes = 0
    begin = time.perf_counter_ns()
    while True:
        way.offline(pool)
        passes += 1
        seconds = (time.perf_counter_ns() - begin) / 1e9
        if seconds >= job.seconds:
            return _Times(np.sort(queries), cpu_seconds, teardown, len(pool), passes, seconds)


def _latencies(
    way: Way, queries: Sequence[Array], seconds: float, least: int
) -> npt.NDArray[np.float64]:
    """Return the seconds of single queries, one after the other, for so long and so many."""
    clock, one = time.perf_counter_ns, way.one
    taken = array("q")
    last = clock() + int(seconds * 1e9)
    for query in itertools.cycle(queries):
        begin = clock()
        one(query)
        end = clock()
        taken.append(end - begin)
        if end >= last and len(taken) >= least:
            break
    return np.frombuffer(taken, np.int64) / 1e9


def _checked(job: InferJob, way: Way, subject: _Subject, device: str) -> tuple[int, float]:
    """Return how many images' outputs are those of `evaluate`, and their largest difference.

    After the times were taken: `evaluate` predicts too, and would leave its traces behind.
    """
    size, model = job.batch_size, subject.model
    images = _pool(subject.images, size)[: max(size, _CHECKED_IMAGES // size * size)]
    reference = guesses_of(model, images, subject.config, subject.logits)
    allowed = tolerance(keras.config.dtype_policy().name, device)
    starts = range(0, len(images), size)[:_CHECKED_QUERIES]
    single = np.concatenate([way.one(images[start : start + size]) for start in starts])
    name = f"{job.execution} at batch size {size}"
    differences = [
        check_answers(name, probabilities(outputs, subject.logits), expected, allowed)
        for outputs, expected in (
            (single, reference[: len(single)]),
            (way.offline(images), reference),
        )
    ]
    return len(images), max(differences)


def _row(
    job: InferJob, clock: PhaseClock, times: _Times, checked: int, difference: float
) -> InferenceRow:
    count, teardown = len(times.queries), times.teardown_seconds
    return InferenceRow(
        repeat=job.repeat,
        round=job.round,
        execution=job.execution,
        batch_size=job.batch_size,
        warm_up_seconds=clock.records[WARM_UP].seconds or 0.0,
        queries=count,
        latency_seconds=float(np.median(times.queries)),
        latency_p90_seconds=percentile_seconds(times.queries, 90),
        latency_p99_seconds=percentile_seconds(times.queries, 99),
        teardown_seconds=None if teardown is None else teardown / count,
        offline_images=times.offline_images,
        offline_queries=times.offline_queries,
        samples_per_second=times.offline_images * times.offline_queries / times.offline_seconds,
        checked_images=checked,
        largest_difference=difference,
    )


def _figures(row: InferenceRow, times: _Times) -> list[Metric]:
    cpu_seconds = f"{row.execution}_batch_{row.batch_size}_cpu_seconds"
    return [
        *(
            Metric(name, getattr(row, column), "s" if column.endswith("_seconds") else "samples/s")
            for column, name in metric_names(row.execution, row.batch_size).items()
        ),
        Metric(cpu_seconds, times.cpu_seconds / row.queries, "s"),
    ]
