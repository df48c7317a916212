"""From uint8 pixels and labels to what a network takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from mnistbench.config.run_config import ImageType, RunConfig
from mnistbench.data.arrays import Bytes, lent
from mnistbench.data.dataset import Dataset

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Split = Literal["train", "test"]


@dataclass(frozen=True)
class Numbers:
    """Images and labels as `fit` takes them."""

    images: Floats
    """(n, *input shape), normalised, of the config's `dataset.image_dtype`."""
    labels: npt.NDArray[np.float32] | Bytes
    """One-hot float32 (n, classes); uint8 (n,) for a sparse loss."""


@dataclass(frozen=True)
class RawImages:
    """Images and labels as a compiled epoch takes them: what is to be computed is yet to be."""

    images: Bytes
    """uint8, (n, *input shape), as the files hold them."""
    labels: Bytes
    """uint8, (n,)."""
    offset: float
    """A number for the network is (byte - offset) / scale."""
    scale: float

    def numbers(self) -> Floats:
        """Return the images normalised, as `fit` takes them."""
        return _normalized(self.images, self.offset, self.scale, self.images.shape[1:], "float32")

    def part(self, start: int, stop: int | None) -> RawImages:
        """Return some of the images, without copying."""
        return replace(self, images=self.images[start:stop], labels=self.labels[start:stop])


def numbers(
    dataset: Dataset, config: RunConfig, split: Split, trained_on: Bytes | None = None
) -> Numbers:
    """Normalise and reshape one split for the network, and encode its labels.

    `trained_on` are the images that the network learns from, the data set's own if left out:
    `standardize` is by their mean.
    """
    images, labels, reference = _parts(dataset, config, split, trained_on)
    sparse = config.training.loss.startswith("sparse_")
    return Numbers(
        image_numbers(images, config, reference),
        labels if sparse else one_hot(labels, config.facts.classes),
    )


def raw_images(
    dataset: Dataset, config: RunConfig, split: Split, trained_on: Bytes | None = None
) -> RawImages:
    """Return one split as it is, and how `numbers` would normalise it.

    Images are copied only where a framework could not use them as they lie.
    """
    images, labels, reference = _parts(dataset, config, split, trained_on)
    shape = config.model.input_shape(config.facts.image_shape)
    offset, scale = _offset_and_scale(reference, config.dataset.normalization)
    return RawImages(lent(images).reshape(len(images), *shape), labels, offset, scale)


def _parts(
    dataset: Dataset, config: RunConfig, split: Split, trained_on: Bytes | None
) -> tuple[Bytes, Bytes, Bytes]:
    """Return images, labels, and the images by which these are normalised."""
    images = dataset.x_train if split == "train" else dataset.x_test
    labels = dataset.y_train if split == "train" else dataset.y_test
    if config.dataset.normalization == "divide_max":
        return images, labels, images  # the largest value is each split's own
    return images, labels, dataset.x_train if trained_on is None else trained_on


def image_numbers(images: Bytes, config: RunConfig, reference: Bytes) -> Floats:
    """Normalise images by what `reference` holds, and reshape them to the network's input."""
    shape = config.model.input_shape(config.facts.image_shape)
    offset, scale = _offset_and_scale(reference, config.dataset.normalization)
    return _normalized(images, offset, scale, shape, config.dataset.image_dtype)


def one_hot(labels: Bytes, classes: int) -> npt.NDArray[np.float32]:
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


def _normalized(
    images: Bytes, offset: float, scale: float, shape: Sequence[int], dtype: ImageType
) -> Floats:
    numbers: Floats = np.empty((len(images), *shape), dtype)
    np.subtract(images.reshape(numbers.shape), numbers.dtype.type(offset), out=numbers)
    np.divide(numbers, numbers.dtype.type(scale), out=numbers)
    return numbers
