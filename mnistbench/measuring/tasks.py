"""All that a measuring process can be asked; what a task needs is imported inside it.

The command reads this module too, and must stay light.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from mnistbench.config.temporary import temporary_folder
from mnistbench.measuring.jobs import (
    EvaluateJob,
    EvaluationResult,
    Guesses,
    GuessJob,
    InferenceResult,
    InferJob,
    Listener,
    Probe,
    RatesJob,
    RepeatJob,
    RepeatResult,
    Stopped,
    TrainJob,
)
from mnistbench.results.phases import PhaseRecord
from mnistbench.results.rows import Sample


def probe(device: str, tell: Listener) -> Probe:
    """Resolve the device and describe the framework; raise InputError for a GPU not there."""
    from mnistbench.measuring.inside.framework import backend, framework_facts, import_record

    imported = import_record()
    resolved = backend().choose_device(device)
    return Probe(resolved, {**framework_facts(), "import_seconds": imported.seconds})


def repeat(job: RepeatJob, tell: Listener) -> RepeatResult:
    """Run one repeat in this process."""
    from mnistbench.measuring.inside.framework import import_record

    imported = import_record()
    from mnistbench.measuring.inside.repeat import run_repeat

    return run_repeat(job, imported, tell)


def duet(job: RepeatJob, tell: Listener) -> RepeatResult:
    """Run one repeat in this process, in step with another process's."""
    from mnistbench.measuring.inside.framework import import_record

    imported = import_record()
    from mnistbench.measuring.inside.duet import run_duet

    return run_duet(job, imported, tell)


def input_pipeline(job: RepeatJob, tell: Listener) -> float:
    """Return the seconds in which Keras brings an epoch's batches to a step that ignores them."""
    from mnistbench.measuring.inside.framework import import_record

    import_record()
    from mnistbench.measuring.inside.input_pipeline import run_input_pipeline

    return run_input_pipeline(job)


def download(name: str, tell: Listener) -> PhaseRecord:
    """Download a data set by Keras's own loader and store it; raise InputError if that fails."""
    from mnistbench.measuring.inside.framework import import_record

    with beside_a_damaged_cache(name):
        import_record()
        from mnistbench.measuring.inside.download import run_download

        return run_download(name, tell)


@contextmanager
def beside_a_damaged_cache(name: str) -> Iterator[None]:
    """Let Keras download into a folder of its own where its cache has a copy already.

    A copy that was whole would have been taken; Keras would not replace an unpacked one.
    """
    from mnistbench.config.datasets import DATASETS
    from mnistbench.data.sources import keras_sources

    if not keras_sources(DATASETS[name]):
        yield
        return
    with temporary_folder() as scratch:
        # Of this process alone, and read as Keras is imported.
        os.environ["KERAS_HOME"] = str(scratch)
        yield


def train(job: TrainJob, tell: Listener) -> RepeatResult | Stopped:
    """Train once in this process, writing the model and checkpoints into the run's folder."""
    from mnistbench.measuring.inside.framework import import_record

    imported = import_record()
    from mnistbench.measuring.inside.train import run_train

    return run_train(job, imported, tell)


def evaluate(job: EvaluateJob, tell: Listener) -> EvaluationResult:
    """Test a trained model in this process."""
    from mnistbench.measuring.inside.framework import import_record

    imported = import_record()
    from mnistbench.measuring.inside.evaluate import run_evaluation

    return run_evaluation(job, imported, tell)


def guess(job: GuessJob, tell: Listener) -> Guesses:
    """Return the model's probabilities for images."""
    from mnistbench.measuring.inside.framework import import_record

    import_record()
    from mnistbench.measuring.inside.evaluate import run_guesses

    return run_guesses(job)


def infer(job: InferJob, tell: Listener) -> InferenceResult:
    """Apply a network in one way at one batch size, again and again."""
    from mnistbench.measuring.inside.framework import import_record

    imported = import_record()
    from mnistbench.measuring.inside.infer import run_inference

    return run_inference(job, imported, tell)


def rates(job: RatesJob, tell: Listener) -> tuple[Sample, ...]:
    """Measure rates of workloads; raise InputError for a GPU that is not there."""
    from mnistbench.measuring.inside.framework import import_record

    import_record()
    from mnistbench.measuring.inside.kernels import run_rates

    return run_rates(job)
