"""A step of Keras's optimizers by TensorFlow's own kernels: one for each variable.

Keras writes a step down as a dozen operations on each variable, each a pass over memory of its own
unless XLA makes one of them. The formulas are those of Keras; sums round differently.

Imports TensorFlow: only measuring processes import this module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

Update = Callable[[Sequence[Any], Sequence[Any]], None]
"""Takes the gradients and the variables, and changes these and what the optimizer keeps."""


def update_of(optimizer: keras.optimizers.Optimizer) -> Update:
    """Return an optimizer's step: by a kernel if there is one of its formula, or Keras's.

    The optimizer is built before the first. Momentum, decay, clipping, averages and scaled losses
    are left to Keras.
    """
    made = KERNELS.get(type(optimizer).__name__.lower())
    if made is None or not _is_plain(optimizer):
        by_keras: Update = optimizer.apply
        return by_keras

    def update(gradients: Sequence[Any], variables: Sequence[Any]) -> None:
        made(optimizer, gradients, variables)
        optimizer.iterations.assign_add(1)

    return update


def _sgd(optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any]) -> None:
    rate = tf.convert_to_tensor(optimizer.learning_rate)
    for gradient, variable in zip(gradients, variables, strict=True):
        tf.raw_ops.ResourceApplyGradientDescent(
            var=variable.value.handle, alpha=rate, delta=gradient
        )


def _adam(optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any]) -> None:
    rate = tf.convert_to_tensor(optimizer.learning_rate)
    step = tf.cast(optimizer.iterations.value + 1, tf.float32)
    powers = {
        "beta1_power": tf.pow(optimizer.beta_1, step),
        "beta2_power": tf.pow(optimizer.beta_2, step),
    }
    kept = optimizer._momentums, optimizer._velocities
    for gradient, variable, mean, square in zip(gradients, variables, *kept, strict=True):
        tf.raw_ops.ResourceApplyAdam(
            var=variable.value.handle, m=mean.value.handle, v=square.value.handle, **powers,
            lr=rate, beta1=optimizer.beta_1, beta2=optimizer.beta_2, epsilon=optimizer.epsilon,
            grad=gradient,
        )  # fmt: skip


KERNELS: dict[str, Callable[[Any, Sequence[Any], Sequence[Any]], None]] = {
    "sgd": _sgd,
    "adam": _adam,
}
"""Each `training.optimizer` with a kernel of its formula; a new one is a function above and an
entry here."""


def _is_plain(optimizer: Any) -> bool:
    """Return whether the optimizer has its default formula, which is what the kernels compute."""
    return not any(
        getattr(optimizer, name, None)
        for name in (
            "momentum", "amsgrad", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm",
            "use_ema", "gradient_accumulation_steps", "loss_scale_factor",
        )
    )  # fmt: skip
