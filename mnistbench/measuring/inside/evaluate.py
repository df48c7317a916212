"""The body of `evaluate`, inside its own process: a trained model, tested once.

Imports Keras: only measuring processes import this module.
"""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from mnistbench import data
from mnistbench.config.run_config import RunConfig
from mnistbench.measuring.clock import PhaseClock
from mnistbench.measuring.inside.execution import EXECUTIONS
from mnistbench.measuring.inside.foreign import (
    compile_on_own_terms,
    images_for,
    load_model,
    own_terms,
)
from mnistbench.measuring.inside.framework import backend
from mnistbench.measuring.inside.measures import process_metrics
from mnistbench.measuring.inside.repeat import load, start, test
from mnistbench.measuring.jobs import (
    EvaluateJob,
    EvaluationResult,
    Guesses,
    GuessJob,
    Listener,
)
from mnistbench.results.phases import MODEL_LOAD, PREPROCESS, PhaseRecord
from mnistbench.results.rows import Metric

_PROBED = 64
"""Images that are made numbers of to see what a model gives."""


def run_evaluation(job: EvaluateJob, import_phase: PhaseRecord, tell: Listener) -> EvaluationResult:
    """Load data and model, test, and let the model guess every image.

    Raises InputError for a file that is no model, and for one that does not fit the data.
    """
    started = time.perf_counter()
    device = start(job.device, job.seed, job.config)
    startup_seconds = time.perf_counter() - started

    clock = PhaseClock(tell, backend().teardown_seconds)
    config = job.config
    identity, dataset = _read(clock, config)
    trained_on = _trained_on(job, dataset)
    # Before the images are made numbers of: the model may do that itself.
    with clock.phase(MODEL_LOAD):
        model = load_model(job.model, config)
    terms = own_terms(model, job.model, config)
    config = terms.config
    way = EXECUTIONS[config.training.execution]
    with clock.phase(PREPROCESS):
        images = way.images(dataset, config, job.split, trained_on)
    images = images_for(model, images)
    logits, remarks = compile_on_own_terms(model, terms, config, _some_numbers(images))
    tested = test(clock, way(model, config, device, job.seed), images)
    clock.total()
    metrics = (
        Metric(f"{job.split}_loss", tested["loss"], ""),
        Metric(f"{job.split}_accuracy", tested["accuracy"], "1"),
        Metric(f"{job.split}_samples", len(images.images), "1"),
        Metric("parameters", model.count_params(), "1"),
        *process_metrics(),
        Metric("startup_seconds", startup_seconds, "s"),
    )
    guesses = guesses_of(model, _numbers(images), config, logits) if job.with_guesses else None
    framework, precision = keras.backend.backend(), keras.config.dtype_policy().name
    return EvaluationResult(
        metrics, framework, device, precision, identity, import_phase, guesses, remarks
    )


def _read(clock: PhaseClock, config: RunConfig) -> tuple[data.DataIdentity, data.Dataset]:
    whole = load(clock, config)
    return data.identify(whole, config), data.select(whole, config, trains=False)


def _trained_on(job: EvaluateJob, dataset: data.Dataset) -> npt.NDArray[np.uint8]:
    if job.config == job.trained_by or job.config.dataset.normalization != "standardize":
        return dataset.x_train
    return data.select(data.load(job.trained_by), job.trained_by, trains=False).x_train


def _numbers(images: data.Numbers | data.RawImages) -> Any:
    return images.images if isinstance(images, data.Numbers) else images.numbers()


def _some_numbers(images: data.Numbers | data.RawImages) -> Any:
    if isinstance(images, data.Numbers):
        return images.images
    return images.part(0, _PROBED).numbers()


def guesses_of(
    model: keras.Model, images: Any, config: RunConfig, logits: bool
) -> npt.NDArray[Any]:
    """Return the model's probabilities for images as it takes them: float32, (n, classes)."""
    # In batches as the test's: another size can round differently.
    outputs = model.predict(images, batch_size=config.training.batch_size)
    return probabilities(outputs, logits)


def probabilities(outputs: Any, logits: bool) -> npt.NDArray[Any]:
    """Return what a model gives as probabilities, float32: of logits their softmax."""
    guesses = np.asarray(outputs, np.float32)
    return np.asarray(softmax(guesses, axis=1)) if logits else guesses


def run_guesses(job: GuessJob) -> Guesses:
    """Return the model's probabilities for the job's images."""
    backend().choose_device(job.device)
    model = load_model(job.model, job.config)
    terms = own_terms(model, job.model, job.config)
    config = terms.config
    reference = job.images
    if config.dataset.normalization in ("divide_max", "standardize"):
        reference = data.select(data.load(config), config, trains=False).x_train
    numbers = images_for(model, data.image_numbers(job.images, config, reference))
    logits, remarks = compile_on_own_terms(model, terms, config, numbers)
    return Guesses(guesses_of(model, numbers, config, logits), remarks)
