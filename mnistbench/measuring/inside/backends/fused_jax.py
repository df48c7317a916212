"""A training epoch and a test as JAX programs, compiled ahead: a scan over all batches.

A step is Keras's own `train_step` and `test_step` for JAX: the model's call, its loss, its
metrics, its optimizer. Imports JAX: only measuring processes import this module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import numpy.typing as npt

from mnistbench.config.run_config import RunConfig
from mnistbench.data import RawImages
from mnistbench.measuring.inside.backends.base import one_hot_classes

_State = tuple[list[Any], ...]
_Step = Callable[[_State, Any, Any, Any], _State]
_Program = Callable[[_State, npt.NDArray[np.int32]], tuple[_State, dict[str, Any]]]


class JaxPrograms:
    """The programs of one model over images that lie on the device."""

    def __init__(self, model: keras.Model, config: RunConfig, scans: bool) -> None:
        """`model` is compiled for Keras; `scans`: one program for all batches, or one for each."""
        self._model = model
        self._batch_size = config.training.batch_size
        self._classes = one_hot_classes(config)
        self._scans = scans
        self._epoch: _Program
        self._tests: list[tuple[RawImages, _Program]] = []

    def compile_training(self, images: RawImages, validated_on: RawImages | None) -> None:
        """Bring the images to the device and compile all that an epoch calls."""
        self._model.optimizer.build(self._model.trainable_variables)
        self._epoch = self._program(images, training=True)
        if validated_on is not None:
            self._test_of(validated_on)

    def train(self, order: npt.NDArray[np.int32]) -> dict[str, float]:
        """Train an epoch on the images in this order; return its mean loss and accuracy."""
        state, results = self._epoch(_values(self._variables(training=True)), order)
        for variables, values in zip(self._variables(training=True), state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        return _floats(results)

    def test(self, images: RawImages) -> dict[str, float]:
        """Return mean loss and accuracy over the images."""
        order = np.arange(len(images.images), dtype=np.int32)
        program = self._test_of(images)
        return _floats(program(_values(self._variables(training=False)), order)[1])

    def _test_of(self, images: RawImages) -> _Program:
        """Return the test over these images; it is made once."""
        for of, made in self._tests:
            if of is images:
                return made
        self._tests.append((images, self._program(images, training=False)))
        return self._tests[-1][1]

    def _variables(self, training: bool) -> _State:
        """Return what a step takes, in the order of Keras's own state."""
        model = self._model
        state = model.trainable_variables, model.non_trainable_variables
        return (*state, model.optimizer.variables) if training else state

    def _program(self, raw: RawImages, training: bool) -> _Program:
        """Compile for these images now; the state of a training is changed in place."""
        self._build_metrics()
        placed = jax.device_put(raw.images), jax.device_put(raw.labels)
        step = self._train_step(raw) if training else self._test_step(raw)
        state = _values(self._variables(training))
        in_place = (0,) if training else ()
        if not self._scans:
            return self._stepped(jax.jit(step, donate_argnums=in_place), state, placed)
        whole = jax.jit(self._scanned(step), donate_argnums=in_place)
        compiled = whole.lower(state, *placed, _places(len(raw.images))).compile()
        return lambda state, order: compiled(state, *placed, order)

    def _scanned(self, step: _Step) -> Callable[..., Any]:
        """Return all full batches as a scan, and the partial last one after it."""
        size = self._batch_size

        def whole(state: _State, images: Any, labels: Any, order: Any) -> Any:
            def next_step(state: _State, places: Any) -> tuple[_State, None]:
                return step(state, images, labels, places), None

            full = len(order) - len(order) % size
            batches = order[:full].reshape(full // size, size)
            state, _ = jax.lax.scan(next_step, (*state, self._no_metrics()), batches)
            if full < len(order):
                state = step(state, images, labels, order[full:])
            return state[:-1], self._results(state[-1])

        return whole

    def _stepped(self, step: Any, state: _State, placed: tuple[Any, Any]) -> _Program:
        """Return a loop over batches: a compiled step for the full ones and one for the last."""
        size, count = self._batch_size, len(placed[0])
        begin = jax.jit(self._no_metrics).lower().compile()
        end = jax.jit(self._results).lower(begin()).compile()
        steps = {
            length: step.lower((*state, begin()), *placed, _places(length)).compile()
            for length in {min(size, count), count % size} - {0}
        }

        def whole(state: _State, order: npt.NDArray[np.int32]) -> tuple[_State, dict[str, Any]]:
            state = (*state, begin())
            for start in range(0, count, size):
                places = order[start : start + size]
                state = steps[len(places)](state, *placed, places)
            return state[:-1], end(state[-1])

        return whole

    def _train_step(self, raw: RawImages) -> _Step:
        def step(state: _State, images: Any, labels: Any, places: Any) -> _State:
            _, after = self._model.train_step(state, self._batch(raw, images, labels, places))
            return tuple(after)

        return step

    def _test_step(self, raw: RawImages) -> _Step:
        def step(state: _State, images: Any, labels: Any, places: Any) -> _State:
            _, after = self._model.test_step(state, self._batch(raw, images, labels, places))
            return tuple(after)

        return step

    def _batch(self, raw: RawImages, images: Any, labels: Any, places: Any) -> tuple[Any, Any]:
        taken = jnp.take(images, places, axis=0, mode="clip")
        labels = jnp.take(labels, places, axis=0, mode="clip")
        normalized = (taken.astype(jnp.float32) - raw.offset) / raw.scale
        if self._classes is not None:
            return normalized, jax.nn.one_hot(labels, self._classes)
        return normalized, labels

    def _build_metrics(self) -> None:
        """Let Keras make the metrics' variables, which it does when it sees the first batch."""
        guesses = jax.ShapeDtypeStruct((1, self._model.output_shape[-1]), np.float32)
        labels = guesses if self._classes else jax.ShapeDtypeStruct((1,), np.uint8)
        with keras.StatelessScope():
            jax.eval_shape(self._model.compute_metrics, None, labels, guesses)

    def _no_metrics(self) -> list[Any]:
        with keras.StatelessScope() as scope:
            self._model.reset_metrics()
        return [scope.get_current_value(variable) for variable in self._model.metrics_variables]

    def _results(self, metrics: list[Any]) -> dict[str, Any]:
        with keras.StatelessScope(zip(self._model.metrics_variables, metrics, strict=True)):
            results: dict[str, Any] = self._model.get_metrics_result()
        return results


def _places(count: int) -> Any:
    return jax.ShapeDtypeStruct((count,), np.int32)


def _values(state: _State) -> _State:
    return tuple([variable.value for variable in part] for part in state)


def _floats(results: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in results.items()}
