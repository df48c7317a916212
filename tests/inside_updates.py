"""Steps of an optimizer by TensorFlow's kernels beside Keras's own, in a measuring process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Differences = dict[str, tuple[float, float]]

STEPS = 25
SHAPES = ((7, 5), (5,))

PLAIN = ("sgd", "adam")
OTHERS = {
    "momentum": ("SGD", {"momentum": 0.9}),
    "decay": ("Adam", {"weight_decay": 0.01}),
    "clipped": ("Adam", {"clipnorm": 0.1}),
    "amsgrad": ("Adam", {"amsgrad": True}),
    "averaged": ("SGD", {"use_ema": True}),
    "accumulated": ("Adam", {"gradient_accumulation_steps": 2}),
    "another": ("RMSprop", {}),
}


def largest_differences(_: object, tell: Callable[[object], None]) -> Differences:
    """Return by optimizer how far kernels and Keras are apart, and how far both moved.

    Of the variables and of all that the optimizer keeps, after the same gradients.
    """
    import keras

    made = {name: keras.optimizers.get(name) for name in PLAIN}
    made |= {name: getattr(keras.optimizers, kind)(**how) for name, (kind, how) in OTHERS.items()}
    return {name: _differences(optimizer) for name, optimizer in made.items()}


def _differences(optimizer: Any) -> tuple[float, float]:
    import numpy as np

    from mnistbench.measuring.inside.backends.updates_tensorflow import update_of

    states, start = [], None
    for by_kernel in (True, False):
        own = type(optimizer).from_config(optimizer.get_config())
        variables = _variables()
        own.build(variables)
        update = update_of(own) if by_kernel else own.apply
        start = [np.array(each) for each in variables]
        _take_steps(update, variables)
        states.append([np.array(each) for each in (*variables, *own.variables)])
    apart = max(float(abs(a - b).max()) for a, b in zip(*states, strict=True))
    moved = max(float(abs(a - b).max()) for a, b in zip(states[0], start or [], strict=False))
    return apart, moved


def _variables() -> list[Any]:
    import keras
    import numpy as np

    draw = np.random.default_rng(3)
    return [keras.Variable(draw.standard_normal(shape, np.float32)) for shape in SHAPES]


def _take_steps(update: Callable[[Any, Any], object], variables: list[Any]) -> None:
    import numpy as np
    import tensorflow as tf

    step = tf.function(lambda *gradients: update(list(gradients), variables), autograph=False)
    draw = np.random.default_rng(4)
    for _ in range(STEPS):
        step(*(tf.constant(draw.standard_normal(shape, np.float32)) for shape in SHAPES))
