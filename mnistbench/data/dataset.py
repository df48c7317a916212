"""A data set in memory: read from wherever it is, checked, and identified."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from mnistbench.config.datasets import DATASETS, DatasetFacts
from mnistbench.config.run_config import RunConfig
from mnistbench.data import store
from mnistbench.data.arrays import Arrays, Bytes, digests
from mnistbench.data.readers import read_any
from mnistbench.data.sources import Source, find, keras_sources, source_of
from mnistbench.errors import InputError


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
    """The file or folder; `embedded` for the copy inside mnistbench, `synthetic`."""
    digests: Mapping[str, str]
    """Array name to the sha256 of its C-order bytes."""
    canonical: bool
    """Whether every digest is the published one of the data set."""

    @property
    def digest(self) -> str:
        """Return one sha256 over the four digests."""
        return hashlib.sha256("".join(self.digests.values()).encode()).hexdigest()


def load(config: RunConfig) -> Dataset:
    """Read the config's data into memory, whole.

    Raises InputError, naming the file, if it is missing, truncated, or not of the right shape.
    """
    source = source_of(config)
    return checked(source.read(), config.facts, source.name)


def bring(configs: Iterable[RunConfig]) -> list[DatasetFacts]:
    """Store what Keras's cache has, so that every timed load is from mnistbench's folder.

    Returns the data sets that are nowhere on this machine. Raises InputError for damaged files.
    """
    wanted = {
        config.dataset.name: config.facts
        for config in configs
        if config.dataset.path is None and config.dataset.source == "auto"
    }
    absent = []
    for facts in wanted.values():
        source = find(facts)
        if source is None:
            absent.append(facts)
        elif source.kind == "keras":
            keep_cached(facts)
    return absent


def keep_cached(facts: DatasetFacts) -> Path:
    """Put the first whole copy of Keras's cache into mnistbench's folder, and return its place.

    Raises InputError, of the last copy, if none is whole.
    """
    *others, last = keras_sources(facts)
    for source in others:
        with contextlib.suppress(InputError):
            return _keep_from(source)
    return _keep_from(last)


def _keep_from(source: Source) -> Path:
    return keep(checked(source.read(), source.facts, source.name), source.facts, source.name)


def keep(dataset: Dataset, facts: DatasetFacts, origin: str) -> Path:
    """Put a data set into mnistbench's folder, and return its place there.

    Raises InputError if it is not the published one, and OutputError if it cannot be written.
    """
    return store.put(facts, dict(vars(dataset)), origin)


def import_copy(path: Path) -> tuple[DatasetFacts, Path | None]:
    """Copy a published data set into mnistbench's folder; tell which it is and its place.

    The place is None for a set that is inside mnistbench anyway. Raises InputError if it cannot
    be read or is not the published one, and OutputError if it cannot be written.
    """
    accepted = "; or ".join(facts.accepted for facts in DATASETS.values())
    arrays = read_any(path, accepted)
    facts = next((f for f in DATASETS.values() if _is_of(arrays, f)), None)
    if facts is None:
        raise InputError(
            f"images of shape {arrays['x_train'].shape[1:]} are of no known data set",
            source=path,
            hint=f"known are {', '.join(DATASETS)}",
        )
    dataset = checked(arrays, facts, str(path))
    if facts.embedded is None:
        return facts, keep(dataset, facts, str(path))
    store.check_published(facts, dict(vars(dataset)), path)
    return facts, None


def _is_of(arrays: Arrays, facts: DatasetFacts) -> bool:
    return arrays["x_train"].shape[1:] in _image_shapes(facts)


def _image_shapes(facts: DatasetFacts) -> list[tuple[int, ...]]:
    """Return how an image may be shaped: a single channel may go without saying."""
    height, width, channels = facts.image_shape
    return [(height, width, channels), *([(height, width)] if channels == 1 else [])]


def select(dataset: Dataset, config: RunConfig, trains: bool = True) -> Dataset:
    """Return the images that the config asks for; raise InputError if there are fewer.

    `trains`: whether they are to be learnt from, and a validation fraction must leave some.
    """
    wanted = {
        "train_samples": (config.dataset.train_samples, len(dataset.x_train)),
        "test_samples": (config.dataset.test_samples, len(dataset.x_test)),
    }
    for field, (count, available) in wanted.items():
        if count is not None and count > available:
            raise InputError(
                f"{count} is more than the {available} images there are",
                source=source_of(config).name,
                field=f"dataset.{field}",
            )
    selected = dataset.first(config.dataset.train_samples, config.dataset.test_samples)
    if trains:
        _check_split(len(selected.x_train), config)
    return selected


def learnt_count(count: int, config: RunConfig) -> int:
    """Return how many of so many training images an epoch learns from."""
    fraction = config.training.validation
    return int(count * (1 - fraction)) if isinstance(fraction, float) else count


def _check_split(count: int, config: RunConfig) -> None:
    fraction, learnt_from = config.training.validation, learnt_count(count, config)
    if isinstance(fraction, float) and learnt_from in (0, count):
        purpose = "validate on" if learnt_from else "train on"
        raise InputError(
            f"{fraction:g} of {count} images leaves none to {purpose}",
            source=source_of(config).name,
            field="training.validation",
            hint="take test or none, or more images",
        )


def identify(dataset: Dataset, config: RunConfig) -> DataIdentity:
    """Return the digests of the arrays, and whether they are the published ones.

    Raises InputError if a copy in mnistbench's keeping is not the published one: it is damaged.
    """
    source = source_of(config)
    found = digests({field.name: getattr(dataset, field.name) for field in fields(dataset)})
    canonical = found == dict(config.facts.digests)
    if source.must_be_canonical and not canonical:
        raise damaged(source)
    return DataIdentity(source.name, found, canonical)


def damaged(source: Source) -> InputError:
    """Return the error of a copy in mnistbench's keeping whose digest is not the published."""
    again = f"make it anew with mnistbench data import PATH, or data fetch {source.facts.name}"
    return InputError(
        f"its digest is not that of {source.facts.title}: the file is damaged",
        source=source.path,
        hint="install mnistbench again" if source.kind == "embedded" else again,
    )


def checked(arrays: Arrays, facts: DatasetFacts, path: str) -> Dataset:
    """Return the arrays as a data set; raise InputError if shapes, types or labels do not fit.

    `path` is where they came from, for the message.
    """
    shapes = _image_shapes(facts)
    for part in ("train", "test"):
        images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if labels.shape == (*images.shape[:1], 1):  # as Keras returns the labels of CIFAR-10
            labels = arrays[f"y_{part}"] = labels.reshape(-1)
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
