"""The body of `evaluate`, inside its own process: a trained model, tested once.

Imports Keras: only measuring processes import this module.
"""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from mnistbench import data
from mnistbench.config.run_config import RunConfig
from mnistbench.errors import InputError
from mnistbench.measuring.clock import PhaseClock
from mnistbench.measuring.inside import models
from mnistbench.measuring.inside.execution import EXECUTIONS
from mnistbench.measuring.inside.framework import backend
from mnistbench.measuring.inside.measures import process_metrics
from mnistbench.measuring.inside.repeat import load, start, test
from mnistbench.measuring.jobs import EvaluateJob, EvaluationResult, GuessJob, Listener
from mnistbench.results.phases import MODEL_LOAD, PREPROCESS, PhaseRecord
from mnistbench.results.rows import Metric


def run_evaluation(job: EvaluateJob, import_phase: PhaseRecord, tell: Listener) -> EvaluationResult:
    """Load data and model, test, and let the model guess every image.

    Raises InputError for a file that is no model, and for one that does not fit the data.
    """
    started = time.perf_counter()
    device = start(job.device, job.seed, job.config)
    startup_seconds = time.perf_counter() - started

    clock = PhaseClock(tell)
    config = job.config
    whole = load(clock, config)
    identity = data.identify(whole, config)
    dataset = data.select(whole, config, trains=False)
    trained_on = _trained_on(job, dataset)
    way = EXECUTIONS[config.training.execution]
    with clock.phase(PREPROCESS):
        images = way.images(dataset, config, job.split, trained_on)
    with clock.phase(MODEL_LOAD):
        model = load_model(job.model, config)
    tested = test(clock, way(model, config, device, job.seed), images)
    clock.total()
    return EvaluationResult(
        metrics=(
            Metric(f"{job.split}_loss", tested["loss"], ""),
            Metric(f"{job.split}_accuracy", tested["accuracy"], "1"),
            Metric(f"{job.split}_samples", len(images.images), "1"),
            Metric("parameters", model.count_params(), "1"),
            *process_metrics(),
            Metric("startup_seconds", startup_seconds, "s"),
        ),
        device=device,
        precision=keras.config.dtype_policy().name,
        identity=identity,
        import_phase=import_phase,
        probabilities=_guesses(model, _numbers(images), config) if job.with_guesses else None,
    )


def _trained_on(job: EvaluateJob, dataset: data.Dataset) -> npt.NDArray[np.uint8]:
    if job.config == job.trained_by or job.config.dataset.normalization != "standardize":
        return dataset.x_train
    return data.select(data.load(job.trained_by), job.trained_by, trains=False).x_train


def _numbers(images: data.Numbers | data.RawImages) -> Any:
    return images.images if isinstance(images, data.Numbers) else images.numbers()


def _guesses(model: keras.Model, images: Any, config: RunConfig) -> npt.NDArray[Any]:
    # In batches as the test's: another size can round differently.
    guesses = model.predict(images, batch_size=config.training.batch_size)
    return np.asarray(guesses, np.float32)


def run_guesses(job: GuessJob) -> npt.NDArray[Any]:
    """Return the model's probabilities for the job's images."""
    backend().choose_device(job.device)
    model = load_model(job.model, job.config)
    reference = job.images
    if job.config.dataset.normalization in ("divide_max", "standardize"):
        reference = data.select(data.load(job.config), job.config, trains=False).x_train
    numbers = data.image_numbers(job.images, job.config, reference)
    return _guesses(model, numbers, job.config)


def load_model(path: Any, config: RunConfig) -> keras.Model:
    """Return the model of a file, compiled as the config says, without running code in the file.

    Raises InputError if it is no model, or not one for the config's images and classes.
    """
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"cannot be loaded as a Keras model: {first_line}",
            source=path,
            hint="give a .keras file as `mnistbench train` writes it",
        ) from None
    _check_shapes(model, path, config)
    models.compile_model(model, config)
    return model


def _check_shapes(model: keras.Model, path: Any, config: RunConfig) -> None:
    wanted = (
        (None, *config.model.input_shape(config.facts.image_shape)),
        (None, config.facts.classes),
    )
    found = (model.input_shape, model.output_shape)
    for side, fits, is_ in zip(("input", "output"), wanted, found, strict=True):
        if is_ != fits:
            raise InputError(
                f"its {side} is {is_}, but {config.name} on {config.facts.title} needs {fits}",
                source=path,
                hint="give the config it was trained by with --config",
            )
