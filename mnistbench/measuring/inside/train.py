"""The body of `train`, inside its own process: a repeat that keeps the model.

Imports Keras: only measuring processes import this module.

Going on from a checkpoint gives what an unbroken run gives because a checkpoint holds all that
changes: weights, the optimizer's variables, and the states of the layers' random generators,
which Keras leaves out of a saved model, and what `fit` draws the order of the images from, where
that is not the seed alone. A fused epoch draws it from the seed and its own number.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mnistbench.measuring.child import stop_requested
from mnistbench.measuring.inside.execution import training_samples
from mnistbench.measuring.inside.framework import backend
from mnistbench.measuring.inside.measures import EpochClock
from mnistbench.measuring.inside.repeat import prepare, repeat_result, target_callbacks, test, train
from mnistbench.measuring.jobs import Listener, RepeatResult, Stopped, StopRequested, TrainJob
from mnistbench.results.checkpoints import checkpoint_path
from mnistbench.results.folder import output_error
from mnistbench.results.phases import PhaseRecord
from mnistbench.results.rows import HistoryRow
from mnistbench.results.tables import ARCHITECTURE, MODEL, SUMMARY, TENSORBOARD
from mnistbench.results.whole import whole_file, write_whole


class _Stop(Exception):  # noqa: N818  leaves `fit` in the middle of an epoch
    """The user asked for an early end."""


def run_train(job: TrainJob, import_phase: PhaseRecord, tell: Listener) -> RepeatResult | Stopped:
    """Train, and write the model, its summary, checkpoints and TensorBoard's logs.

    When the user asks to stop, the model as of the last finished epoch is kept.
    """
    prepared = prepare(job, tell)
    model = prepared.model
    _describe(model, job)
    with prepared.replicas.scope():
        finished = _restore(model, job.resume) if job.resume else 0
    epochs = EpochClock(tell)
    samples = training_samples(prepared.train_images, job.config)
    keeper = _Keeper(job, epochs, samples, tell, finished)
    callbacks = [epochs, keeper, *target_callbacks(job.config), *_tensorboard(job)]
    try:
        learned = train(prepared, callbacks, finished)
    except _Stop:
        return _stop(keeper, callbacks, job)
    save_model(model, job.folder / MODEL)
    tested = test(prepared.clock, prepared.execution, prepared.test_images)
    return repeat_result(job, prepared, epochs, learned, tested, import_phase, finished)


def save_model(model: keras.Model, path: Path) -> None:
    """Write a model so that a crash leaves the old file or the new one, whole."""
    try:
        path.parent.mkdir(exist_ok=True)
        with whole_file(path) as partial:
            model.save(partial)
    except OSError as error:
        raise output_error(path, error) from None


def _describe(model: keras.Model, job: TrainJob) -> None:
    write_whole(job.folder / SUMMARY, summary_text(model).encode())
    if job.graphviz:
        _draw_by_graphviz(model, job.folder / ARCHITECTURE)


def _draw_by_graphviz(model: keras.Model, path: Path) -> None:
    """Draw the network in place of our own picture of it, which stays if this fails."""
    try:
        with whole_file(path) as partial:
            keras.utils.plot_model(
                model, partial, show_shapes=True, show_layer_activations=True, dpi=120
            )
    except Exception as error:  # noqa: BLE001  a picture is no reason to lose a training
        print(f"Graphviz could not draw the network: {error}", file=sys.stderr)


def summary_text(model: keras.Model) -> str:
    """Return the layer table of a built model as Keras knows it."""
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    total = model.count_params()
    row = "{:<34}{:<24}{:>14}  {}".format
    lines = [row("Layer (type)", "Output shape", "Parameters", "Trainable")]
    for layer in model.layers:
        kind = f"{layer.name} ({type(layer).__name__})"
        shape = str(tuple(layer.output.shape))
        learns = "yes" if layer.trainable_weights else "no" if layer.weights else ""
        lines.append(row(kind, shape, f"{layer.count_params():,}", learns))
    lines += ["", f"Parameters: {total:,}", f"Trainable: {trainable:,}"]
    lines.append(f"Not trainable: {total - trainable:,}")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _tensorboard(job: TrainJob) -> list[keras.callbacks.Callback]:
    if not job.tensorboard:
        return []
    return [keras.callbacks.TensorBoard(job.folder / TENSORBOARD, write_graph=False)]


def _stop(keeper: _Keeper, callbacks: list[keras.callbacks.Callback], job: TrainJob) -> Stopped:
    for callback in callbacks:
        callback.on_train_end()
    if keeper.finished:
        keeper.return_to_last_epoch()
        keeper.write_checkpoint()
        save_model(keeper.model, job.folder / MODEL)
    return Stopped(keeper.finished)


def _state(model: keras.Model) -> list[Any]:
    """Return every variable that training changes, the random generators' included."""
    return [*model.variables, *model.optimizer.variables]


def _generator_states(model: keras.Model) -> list[Any]:
    saved = {id(weight) for weight in model.weights}
    return [variable for variable in model.variables if id(variable) not in saved]


def _restore(model: keras.Model, checkpoint: Path) -> int:
    """Give the model the state of a checkpoint; return the epochs that it has behind it."""
    saved = keras.models.load_model(checkpoint, safe_mode=True)
    state = _read_state(checkpoint)
    model.set_weights(saved.get_weights())
    model.optimizer.build(model.trainable_variables)
    pairs = [
        *zip(model.optimizer.variables, saved.optimizer.variables, strict=True),
        *zip(_generator_states(model), state["generators"], strict=True),
    ]
    for variable, value in pairs:
        variable.assign(np.asarray(value, variable.dtype))
    return int(state["epoch"])


def _read_state(checkpoint: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(checkpoint.with_suffix(".json").read_text(encoding="utf-8"))
    return state


class _Keeper(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells each epoch, keeps its state, and ends the training when the user asks."""

    def __init__(
        self, job: TrainJob, epochs: EpochClock, samples: int, tell: Listener, finished: int
    ) -> None:
        super().__init__()
        self._job = job
        self._epochs = epochs
        self._samples = samples
        self._tell = tell
        self._kept: list[Any] = []
        self._order: Any = None
        self.finished = finished
        """Epochs behind the kept state."""

    def on_train_begin(self, logs: object = None) -> None:
        if self._job.resume is not None:
            backend().set_order_state(_read_state(self._job.resume).get("order"))
        self._keep()

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._stop_if_asked()

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        self._stop_if_asked()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.finished = epoch + 1
        self._keep()
        every = self._job.checkpoint_every
        if every is not None and self.finished % every == 0:
            self.write_checkpoint()
        self._tell(self._logged(logs or {}))

    def _stop_if_asked(self) -> None:
        if stop_requested():
            self._tell(StopRequested())
            raise _Stop

    def return_to_last_epoch(self) -> None:
        for variable, value in zip(_state(self.model), self._kept, strict=True):
            variable.assign(value)

    def write_checkpoint(self) -> None:
        path = checkpoint_path(self._job.folder, self.finished)
        save_model(self.model, path)
        generators = [np.array(state).tolist() for state in _generator_states(self.model)]
        state = {"epoch": self.finished, "generators": generators, "order": self._order}
        write_whole(path.with_suffix(".json"), json.dumps(state).encode())

    def _keep(self) -> None:
        self._kept = [np.array(variable) for variable in _state(self.model)]
        self._order = backend().order_state()

    def _logged(self, logs: dict[str, float]) -> HistoryRow:
        training_seconds = self._epochs.training_seconds[-1]
        rate = self.model.optimizer.learning_rate  # a copy on each of several devices
        return HistoryRow(
            epoch=self.finished,
            loss=logs["loss"],
            accuracy=logs["accuracy"],
            val_loss=logs.get("val_loss"),
            val_accuracy=logs.get("val_accuracy"),
            learning_rate=_known(float(keras.ops.convert_to_numpy(rate))),
            seconds=self._epochs.epoch_seconds[-1],
            samples_per_second=self._samples / training_seconds if training_seconds else None,
        )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
