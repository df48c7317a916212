"""A training epoch and a test as JAX programs: a scan over all batches, compiled ahead.

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

from mnistbench.backends.base import one_hot_classes
from mnistbench.config import RunConfig
from mnistbench.data import RawImages

_State = tuple[list[Any], ...]


class JaxPrograms:
    """The programs of one model over images that lie on the device."""

    def __init__(self, model: keras.Model, config: RunConfig) -> None:
        """`model` is compiled."""
        self._model = model
        self._batch_size = config.training.batch_size
        self._classes = one_hot_classes(config)
        self._epoch: Any = None
        self._tests: list[tuple[RawImages, Any]] = []

    def compile_training(self, images: RawImages, validated_on: RawImages | None) -> None:
        """Bring the images to the device and compile all that an epoch calls."""
        self._model.optimizer.build(self._model.trainable_variables)
        placed = _placed(images)
        order = jax.ShapeDtypeStruct((len(images.images),), np.int32)
        program = self._compiled(self._epoch_program(images), self._variables(), *placed, order)
        self._epoch = lambda state, order: program(state, *placed, order)
        if validated_on is not None:
            self._test_of(validated_on)

    def train(self, order: npt.NDArray[np.int32]) -> dict[str, float]:
        """Train an epoch on the images in this order; return its mean loss and accuracy."""
        state, results = self._epoch(_values(self._variables()), jax.device_put(order))
        for variables, values in zip(self._variables(), state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        return _floats(results)

    def test(self, images: RawImages) -> dict[str, float]:
        """Return mean loss and accuracy over the images."""
        return _floats(self._test_of(images)(_values(self._variables()[:2])))

    def _variables(self) -> _State:
        """Return what training changes, in the order of Keras's own state."""
        model = self._model
        built = model.optimizer.built
        changed = model.optimizer.variables if built else []
        return model.trainable_variables, model.non_trainable_variables, changed

    def _compiled(self, program: Callable[..., Any], state: _State, *arguments: Any) -> Any:
        """Compile now, for arguments of these shapes; an epoch's state is changed in place."""
        self._build_metrics()
        values = _values(state)
        in_place = (0,) if len(state) == 3 else ()
        return jax.jit(program, donate_argnums=in_place).lower(values, *arguments).compile()

    def _build_metrics(self) -> None:
        """Let Keras make the metrics' variables, which it does when it sees the first batch."""
        classes = self._model.output_shape[-1]
        guesses = jax.ShapeDtypeStruct((1, classes), np.float32)
        labels = guesses if self._classes else jax.ShapeDtypeStruct((1,), np.uint8)
        with keras.StatelessScope():
            jax.eval_shape(self._model.compute_metrics, None, labels, guesses)

    def _test_of(self, images: RawImages) -> Any:
        """Return the test over these images; it is made once."""
        for of, made in self._tests:
            if of is images:
                return made
        placed = _placed(images)
        program = self._compiled(self._test_program(images), self._variables()[:2], *placed)
        self._tests.append((images, lambda state: program(state, *placed)))
        return self._tests[-1][1]

    def _epoch_program(self, raw: RawImages) -> Callable[..., Any]:
        def epoch(state: _State, images: Any, labels: Any, order: Any) -> Any:
            def step(state: _State, places: Any) -> tuple[_State, None]:
                batch = (jnp.take(array, places, axis=0, mode="clip") for array in (images, labels))
                return self._model.train_step(state, self._numbers(raw, *batch))[1], None

            whole = self._over_batches(step, (*state, self._no_metrics()), order)
            return whole[:-1], self._results(whole[-1])

        return epoch

    def _test_program(self, raw: RawImages) -> Callable[..., Any]:
        def test(state: _State, images: Any, labels: Any) -> Any:
            def step(state: _State, batch: Any) -> tuple[_State, None]:
                return self._model.test_step(state, self._numbers(raw, *batch))[1], None

            whole = (*state, self._no_metrics())
            return self._results(self._over_batches(step, whole, (images, labels))[-1])

        return test

    def _over_batches(self, step: Callable[..., Any], state: _State, over: Any) -> _State:
        """Return the state after all full batches and the partial last one."""
        size = self._batch_size
        count = len(jax.tree.leaves(over)[0])
        full = count - count % size
        batches = jax.tree.map(
            lambda array: array[:full].reshape(full // size, size, *array.shape[1:]), over
        )
        state, _ = jax.lax.scan(step, state, batches)
        if full < count:
            state, _ = step(state, jax.tree.map(lambda array: array[full:], over))
        return state

    def _numbers(self, raw: RawImages, images: Any, labels: Any) -> tuple[Any, Any]:
        normalized = (images.astype(jnp.float32) - raw.offset) / raw.scale
        if self._classes is not None:
            return normalized, jax.nn.one_hot(labels, self._classes)
        return normalized, labels

    def _no_metrics(self) -> list[Any]:
        with keras.StatelessScope() as scope:
            self._model.reset_metrics()
        return [scope.get_current_value(variable) for variable in self._model.metrics_variables]

    def _results(self, metrics: list[Any]) -> dict[str, Any]:
        with keras.StatelessScope(zip(self._model.metrics_variables, metrics, strict=True)):
            results: dict[str, Any] = self._model.get_metrics_result()
        return results


def _values(state: _State) -> _State:
    return tuple([variable.value for variable in part] for part in state)


def _placed(raw: RawImages) -> tuple[Any, Any]:
    return jax.device_put(raw.images), jax.device_put(raw.labels)


def _floats(results: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in results.items()}
