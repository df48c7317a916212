"""From uint8 pixels and labels to the float32 arrays a network takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnistbench.config import RunConfig
from mnistbench.data.arrays import Bytes
from mnistbench.data.dataset import Dataset

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class NetworkData:
    """What a network trains and is tested on."""

    x_train: Floats
    """float32, (n, *input shape)."""
    y_train: Floats | Bytes
    """One-hot float32 (n, classes); uint8 (n,) for a sparse loss."""
    x_test: Floats
    """float32, (m, *input shape)."""
    y_test: Floats | Bytes
    """As y_train."""


def network_data(dataset: Dataset, config: RunConfig) -> NetworkData:
    """Normalise, reshape to the network's input, and encode the labels."""
    shape = config.model.input_shape(config.facts.image_shape)
    offset, scale = _offset_and_scale(dataset.x_train, config.dataset.normalization)
    test_offset, test_scale = offset, scale
    if config.dataset.normalization == "divide_max":
        test_offset, test_scale = _offset_and_scale(dataset.x_test, "divide_max")
    sparse = config.training.loss.startswith("sparse_")
    classes = config.facts.classes
    return NetworkData(
        _normalized(dataset.x_train, offset, scale, shape),
        dataset.y_train if sparse else one_hot(dataset.y_train, classes),
        _normalized(dataset.x_test, test_offset, test_scale, shape),
        dataset.y_test if sparse else one_hot(dataset.y_test, classes),
    )


def one_hot(labels: Bytes, classes: int) -> Floats:
    """Return float32 (n, classes): 1 in the column of the label, 0 elsewhere."""
    encoded = np.zeros((len(labels), classes), np.float32)
    encoded[np.arange(len(labels)), labels] = 1
    return encoded


def _offset_and_scale(images: Bytes, normalization: str) -> tuple[float, float]:
    if normalization == "divide_255":
        return 0.0, 255.0
    if normalization == "divide_max":
        return 0.0, float(images.max()) or 1.0
    if normalization == "standardize":
        return _mean_and_deviation(images)
    return 0.0, 1.0


def _mean_and_deviation(images: Bytes) -> tuple[float, float]:
    # A histogram of the 256 values gives both exactly, without a float copy of the images.
    counts = np.bincount(images.ravel(), minlength=256)
    values = np.arange(256)
    mean = float((counts * values).sum() / counts.sum())
    variance = float((counts * (values - mean) ** 2).sum() / counts.sum())
    return mean, variance**0.5 or 1.0


def _normalized(images: Bytes, offset: float, scale: float, shape: Sequence[int]) -> Floats:
    numbers: Floats = np.empty((len(images), *shape), np.float32)
    np.subtract(images.reshape(numbers.shape), np.float32(offset), out=numbers)
    np.divide(numbers, np.float32(scale), out=numbers)
    return numbers
