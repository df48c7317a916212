"""A data set in memory: read from the package or from a user's own files, and identified."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnistbench.catalog import DatasetFacts
from mnistbench.config import RunConfig
from mnistbench.data.readers import READERS
from mnistbench.errors import InputError

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Dataset:
    """The four arrays of a data set, as the files hold them."""

    x_train: Bytes
    """Training images, uint8, (n, height, width) or (n, height, width, channels)."""
    y_train: Bytes
    """Training labels, uint8, (n,)."""
    x_test: Bytes
    """Test images, as the training images."""
    y_test: Bytes
    """Test labels, uint8, (m,)."""

    def first(self, train_samples: int | None, test_samples: int | None) -> Dataset:
        """Return the first so many images of each part, without copying; None for all."""
        return Dataset(
            self.x_train[:train_samples],
            self.y_train[:train_samples],
            self.x_test[:test_samples],
            self.y_test[:test_samples],
        )


@dataclass(frozen=True)
class DataIdentity:
    """What exactly was read, so that two runs can be told to have used the same data."""

    source: str
    """The file or folder; `embedded` for the copy inside mnistbench."""
    digests: Mapping[str, str]
    """Array name to the sha256 of its C-order bytes."""
    canonical: bool
    """Whether every digest is the published one of the data set."""

    @property
    def digest(self) -> str:
        """Return one sha256 over the four digests."""
        return hashlib.sha256("".join(self.digests.values()).encode()).hexdigest()


def data_source(config: RunConfig) -> Path:
    """Return the file or folder that the config's data is read from."""
    if config.dataset.path is not None:
        return Path(config.dataset.path)
    if config.facts.embedded is None:
        raise InputError(f"{config.facts.title} does not ship with mnistbench", field="dataset")
    return Path(__file__).with_name(config.facts.embedded)


def load(config: RunConfig) -> Dataset:
    """Read the config's data into memory, whole.

    Raises InputError, naming the file, if it is missing, truncated, or not of the right shape.
    """
    path = data_source(config)
    try:
        reader = next((read for fits, read in READERS if fits(path)), None)
        if reader is None:
            raise InputError(_not_found(path), source=path, field="dataset.path", hint=_WAYS)
        arrays = reader(path)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", source=path) from None
    return _checked(arrays, config.facts, path)


def select(dataset: Dataset, config: RunConfig) -> Dataset:
    """Return the images that the config asks for; raise InputError if there are fewer."""
    wanted = {
        "train_samples": (config.dataset.train_samples, len(dataset.x_train)),
        "test_samples": (config.dataset.test_samples, len(dataset.x_test)),
    }
    for field, (count, available) in wanted.items():
        if count is not None and count > available:
            raise InputError(
                f"{count} is more than the {available} images there are",
                source=data_source(config),
                field=f"dataset.{field}",
            )
    return dataset.first(config.dataset.train_samples, config.dataset.test_samples)


def identify(dataset: Dataset, config: RunConfig) -> DataIdentity:
    """Return the digests of the arrays, and whether they are the published ones.

    Raises InputError if the copy inside mnistbench is not the published one: it is damaged.
    """
    digests = {
        field.name: hashlib.sha256(
            np.ascontiguousarray(getattr(dataset, field.name)).data
        ).hexdigest()
        for field in fields(dataset)
    }
    canonical = digests == dict(config.facts.digests)
    embedded = config.dataset.path is None
    if embedded and not canonical:
        raise InputError(
            "its digest is not that of MNIST: the file is damaged",
            source=data_source(config),
            hint="install mnistbench again",
        )
    return DataIdentity("embedded" if embedded else str(data_source(config)), digests, canonical)


_WAYS = "give a Keras mnist.npz or a folder of the four IDX files, or leave dataset.path out"


def _not_found(path: Path) -> str:
    if not path.exists():
        return "no such file or folder"
    if path.is_dir():
        return "a folder without the IDX files of MNIST"
    return "not a .npz file"


def _checked(
    arrays: Mapping[str, npt.NDArray[np.generic]], facts: DatasetFacts, path: Path
) -> Dataset:
    height, width, channels = facts.image_shape
    shapes = [(height, width, channels), *([(height, width)] if channels == 1 else [])]
    for part in ("train", "test"):
        images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if images.shape[1:] not in shapes or images.dtype != np.uint8:
            raise InputError(
                f"x_{part} is {images.dtype} {images.shape}; "
                f"{facts.title} needs uint8 (n, {', '.join(map(str, shapes[-1]))})",
                source=path,
            )
        if not np.issubdtype(labels.dtype, np.integer) or labels.shape != images.shape[:1]:
            raise InputError(
                f"y_{part} is {labels.dtype} {labels.shape}; "
                f"a whole number for each of the {len(images)} images is needed",
                source=path,
            )
        if not len(images):
            raise InputError(f"x_{part} holds no image", source=path)
        if labels.min() < 0 or labels.max() >= facts.classes:
            raise InputError(
                f"y_{part} holds labels from {labels.min()} to {labels.max()}; "
                f"allowed are 0 to {facts.classes - 1}",
                source=path,
            )
    return Dataset(**{name: array.astype(np.uint8, copy=False) for name, array in arrays.items()})
