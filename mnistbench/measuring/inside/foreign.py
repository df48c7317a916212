"""A saved model loaded as it was made: its own loss, its own scaling, its own shape of images.

Imports Keras: only measuring processes import this module.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from mnistbench.config.run_config import RunConfig
from mnistbench.data.saved_models import SavedModel, read_saved_model
from mnistbench.errors import InputError
from mnistbench.measuring.inside import models

_PROBED = 64
"""Images by whose outputs a model is judged that does not say what it gives."""

_BYTE_SCALE = 0.01
"""A Rescaling by less than this is of bytes: 1/255, 1/127.5."""


@dataclass(frozen=True)
class OwnTerms:
    """What a saved model is to be judged by, as far as it is not the config."""

    saved: SavedModel
    config: RunConfig
    """The config with the model's own scaling and kind of labels in place of its own."""
    loss: Any
    """What Keras's `compile` takes."""
    remarks: tuple[str, ...]
    """What differs from the config, a line each."""


def own_terms(model: keras.Model, path: Path, config: RunConfig) -> OwnTerms:
    """Return how the model of a file is to be judged."""
    saved = read_saved_model(path)
    loss, remarks = _loss(saved, config)
    sparse = _name(loss).startswith("sparse_")
    kind = "sparse_categorical_crossentropy" if sparse else "categorical_crossentropy"
    training = config.training
    if sparse != training.loss.startswith("sparse_"):
        training = training.model_copy(update={"loss": kind})
    dataset = config.dataset
    layer = _scales_bytes(model)
    if layer and dataset.normalization != "none":
        remarks.append(
            f"has a {layer} layer, so it is given the images as 0 to 255, not by "
            f"{dataset.normalization}"
        )
        dataset = dataset.model_copy(update={"normalization": "none"})
    adapted = config.model_copy(update={"training": training, "dataset": dataset})
    return OwnTerms(saved, adapted, loss, tuple(remarks))


def load_model(path: Path, config: RunConfig) -> keras.Model:
    """Return the model of a file, not compiled, without running code in the file.

    Raises InputError if it cannot be built, or is not one for the config's images and classes.
    """
    saved = read_saved_model(path)
    _check_classes(saved, path)
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # noqa: BLE001  whatever Keras raises, the file is the cause
        raise InputError(
            f"its network cannot be built by Keras {keras.__version__} ({type(error).__name__})",
            source=path,
            hint="save it again by this version of Keras, of Keras's own layers",
        ) from None
    _check_input(model, path, config)
    _check_output(model, path, config)
    return model


def images_for(model: keras.Model, images: Any) -> Any:
    """Return the images of a split, or an array of them, in the model's own shape."""
    if not isinstance(images, np.ndarray):
        return replace(images, images=images_for(model, images.images))
    shape = model.input_shape[1:]
    return images if None in shape else images.reshape(len(images), *shape)


def compile_on_own_terms(
    model: keras.Model, terms: OwnTerms, config: RunConfig, images: npt.NDArray[Any]
) -> tuple[bool, tuple[str, ...]]:
    """Compile with the model's loss; return whether it gives logits, and what is to be told.

    `images` are some of those that it is to be tested on, as it takes them.
    """
    logits, remarks = _gives_logits(model, terms.saved, images)
    loss = terms.loss
    if logits and loss == config.training.loss and not terms.saved.loss_name:
        loss = _on_logits(loss)
    models.compile_model(model, config, loss)
    return logits, (*terms.remarks, *remarks)


def _scales_bytes(model: keras.Model) -> str:
    """Return the layer by which the model makes numbers of bytes itself; empty if none does."""
    for layer in _all_layers(model):
        if isinstance(layer, keras.layers.Rescaling):
            return "Rescaling" if np.max(np.abs(layer.scale)) < _BYTE_SCALE else ""
        if isinstance(layer, keras.layers.Normalization):
            return "Normalization" if np.max(np.abs(layer.mean)) > 1 else ""
    return ""


def _all_layers(model: Any) -> Iterator[keras.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _all_layers(layer)
        else:
            yield layer


def _loss(saved: SavedModel, config: RunConfig) -> tuple[Any, list[str]]:
    """Return the model's own loss, or the config's where it has none that Keras knows."""
    configs = config.training.loss
    if saved.loss is None:
        return configs, [f"was saved without a loss: it is tested by the config's {configs}"]
    if saved.loss == configs:
        return configs, []
    try:
        loss = keras.losses.get(saved.loss)
    except (ValueError, TypeError, KeyError, ImportError, AttributeError):
        name = saved.loss_name or "of its own"
        return configs, [f"has a loss ({name}) that Keras has not: it is tested by {configs}"]
    kind = "on logits" if saved.from_logits else ""
    if saved.loss_name == configs and not kind:
        return loss, []
    own = " ".join(filter(None, (saved.loss_name or _name(loss), kind)))
    return loss, [f"is tested by its own loss, {own}, not by the config's {configs}"]


def _name(loss: Any) -> str:
    if isinstance(loss, str):
        return loss
    return str(getattr(loss, "name", None) or getattr(loss, "__name__", ""))


def _on_logits(loss: str) -> Any:
    """Return a loss of the config as it is for numbers without a softmax; others stay."""
    kinds = {
        "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
        "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
    }
    return kinds[loss](from_logits=True) if loss in kinds else loss


def _gives_logits(
    model: keras.Model, saved: SavedModel, images: npt.NDArray[Any]
) -> tuple[bool, list[str]]:
    if saved.softmax_at_end and not saved.from_logits:
        return False, []
    outputs = np.asarray(model.predict_on_batch(images[:_PROBED]), np.float32)
    positive = bool((outputs >= 0).all())
    if positive and np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
        return False, []
    if positive and (outputs <= 1).all() and not saved.from_logits:
        return False, ["gives each class a probability of its own; they do not add up to 1"]
    return True, ["gives no probabilities: the softmax of its outputs is taken for them"]


def _check_classes(saved: SavedModel, path: Path) -> None:
    if saved.has_code:
        raise InputError(
            "has a Lambda layer, whose Python code is never run here",
            source=path,
            hint="put one of Keras's own layers in its place, as Rescaling, and save it again",
        )
    if saved.foreign_class:
        raise InputError(
            f"needs the class {saved.foreign_class}, which is not Keras's own",
            source=path,
            hint="build it of Keras's own layers, as a Sequential or functional model, and save "
            "it again",
        )


def _check_input(model: keras.Model, path: Path, config: RunConfig) -> None:
    height, width, channels = config.facts.image_shape
    shape = getattr(model, "input_shape", None)
    if isinstance(shape, list | dict) or shape is None:
        raise InputError("takes several inputs, not one image", source=path, hint=_ONE_INPUT)
    fitting = [(height, width, channels), (height * width * channels,)]
    if channels == 1:
        fitting += [(height, width), (1, height, width)]
    if any(_fits(tuple(shape[1:]), each) for each in fitting):
        return
    wanted = " x ".join(map(str, (height, width, channels)))
    raise InputError(
        f"takes images of {_text(shape[1:])}; those of {config.facts.title} are {wanted}",
        source=path,
        hint="give the config of the data set it was trained on with --config",
    )


_ONE_INPUT = "give a model of one input and one output"


def _fits(shape: tuple[int | None, ...], image: tuple[int, ...]) -> bool:
    if len(shape) != len(image):
        return False
    return all(size in (None, wanted) for size, wanted in zip(shape, image, strict=True))


def _check_output(model: keras.Model, path: Path, config: RunConfig) -> None:
    shape = model.output_shape
    if isinstance(shape, list | dict):
        raise InputError("gives several outputs", source=path, hint=_ONE_INPUT)
    classes = config.facts.classes
    if tuple(shape[1:]) == (classes,):
        return
    numbers = "1 number" if math.prod(size or 1 for size in shape[1:]) == 1 else _text(shape[1:])
    raise InputError(
        f"gives {numbers} for an image; {config.facts.title} has {classes} classes",
        source=path,
        hint=f"give a model whose last layer has {classes} units, or the config of its data set "
        "with --config",
    )


def _text(shape: Any) -> str:
    sizes = " x ".join("any" if size is None else str(size) for size in shape)
    return sizes if len(shape) > 1 else f"{sizes} numbers"
