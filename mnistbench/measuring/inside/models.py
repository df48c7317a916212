"""From a network as plain data to a Keras model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from mnistbench.config import network as plan
from mnistbench.config.run_config import RunConfig

KERAS_LAYERS: dict[type[plan.Layer], Callable[[Any], keras.Layer]] = {
    plan.Dense: lambda layer: keras.layers.Dense(layer.units, activation=layer.activation),
    plan.Convolution: lambda layer: keras.layers.Conv2D(
        layer.filters, layer.kernel_size, padding=layer.padding, activation=layer.activation
    ),
    plan.MaxPooling: lambda layer: keras.layers.MaxPooling2D(layer.size),
    plan.Flatten: lambda layer: keras.layers.Flatten(),
    plan.Dropout: lambda layer: keras.layers.Dropout(layer.rate),
    # In 16 bits the probabilities of a wrong class would round to 0.
    plan.Softmax: lambda layer: keras.layers.Activation("softmax", dtype="float32"),
}
"""Each kind of layer, and how Keras says it."""


def build_model(config: RunConfig) -> keras.Model:
    """Return the network of the config with its weights drawn; not yet compiled."""
    shape = config.model.input_shape(config.facts.image_shape)
    layers = config.model.layers(config.facts.classes)
    keras_layers = [KERAS_LAYERS[type(layer)](layer) for layer in layers]
    return keras.Sequential([keras.Input(shape), *keras_layers], name=_keras_name(config.name))


_KERAS_JIT: dict[str, Any] = {"auto": "auto", "on": True, "off": False}


def compile_model(model: keras.Model, config: RunConfig, loss: Any = None) -> None:
    """Give the model its optimizer, loss and metric: no code is compiled by this yet.

    `loss` is in place of the config's.
    """
    model.compile(
        optimizer=_optimizer(config),
        loss=loss or config.training.loss,
        metrics=["accuracy"],
        jit_compile=_KERAS_JIT[config.training.jit],
    )


def _optimizer(config: RunConfig) -> Any:
    name, rate = config.training.optimizer, config.training.learning_rate
    if rate is None:
        return name
    return keras.optimizers.get({"class_name": name, "config": {"learning_rate": rate}})


def _keras_name(name: str) -> str:
    return name.replace("-", "_").replace(".", "_")
