"""Steps of an optimizer by TensorFlow's kernels beside Keras's own, in a measuring process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Outcome(NamedTuple):
    """What came of the steps of one optimizer."""

    apart: float
    """How far what a kernel may have done is from what Keras did, at most."""
    moved: float
    """How far the variables are from where they began, at most."""
    has_kernel: bool


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


def outcomes(_: object, tell: Callable[[object], None]) -> dict[str, Outcome]:
    """Return by optimizer what the same gradients make of the variables and of all it keeps."""
    import keras

    made = {name: keras.optimizers.get(name) for name in PLAIN}
    made |= {name: getattr(keras.optimizers, kind)(**how) for name, (kind, how) in OTHERS.items()}
    return {name: _outcome(optimizer) for name, optimizer in made.items()}


def _outcome(optimizer: Any) -> Outcome:
    import numpy as np

    from mnistbench.measuring.inside.backends.updates_tensorflow import update_of

    states, kernels = [], []
    for update in (update_of, lambda own: own.apply):
        own = type(optimizer).from_config(optimizer.get_config())
        variables = _variables()
        own.build(variables)
        kernels.append(_take_steps(update(own), variables))
        states.append([np.array(each) for each in (*variables, *own.variables)])
    assert not kernels[1], "Keras has none of these kernels"
    start = [np.array(each) for each in _variables()]
    return Outcome(_apart(*states), _apart(states[0][: len(start)], start), kernels[0])


def _apart(some: list[Any], others: list[Any]) -> float:
    return max(float(abs(a - b).max()) for a, b in zip(some, others, strict=True))


def _variables() -> list[Any]:
    import keras
    import numpy as np

    draw = np.random.default_rng(3)
    return [keras.Variable(draw.standard_normal(shape, np.float32)) for shape in SHAPES]


def _take_steps(update: Callable[[Any, Any], object], variables: list[Any]) -> bool:
    """Take them, and return whether a kernel of TensorFlow's did."""
    import numpy as np
    import tensorflow as tf

    step = tf.function(lambda *gradients: update(list(gradients), variables), autograph=False)
    draw = np.random.default_rng(4)
    for _ in range(STEPS):
        step(*(tf.constant(draw.standard_normal(shape, np.float32)) for shape in SHAPES))
    operations = step.get_concrete_function(*map(tf.zeros, SHAPES)).graph.get_operations()
    return any(operation.type.startswith("ResourceApply") for operation in operations)
