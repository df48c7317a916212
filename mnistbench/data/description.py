"""A data set in figures: what a lesson prints of it before anything is trained."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mnistbench.config.datasets import DatasetFacts
from mnistbench.data.arrays import ARRAY_NAMES, Bytes, digests
from mnistbench.data.dataset import Dataset
from mnistbench.data.preprocessing import one_hot
from mnistbench.data.sources import Source


@dataclass(frozen=True)
class ArrayDescription:
    """One of the four arrays."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    minimum: int
    maximum: int
    sha256: str
    """Of its C-order bytes."""


@dataclass(frozen=True)
class DatasetDescription:
    """A data set in figures."""

    arrays: tuple[ArrayDescription, ...]
    balance: Mapping[str, tuple[int, int]]
    """Class name to how many training and test images it has."""
    first_label: int
    """Of the first training image."""
    first_one_hot: tuple[float, ...]
    """The same label as a network learns it: 1 at its place, 0 elsewhere."""


def describe(dataset: Dataset, facts: DatasetFacts) -> DatasetDescription:
    """Return shapes, types, ranges, digests and class balance of a data set."""
    arrays: dict[str, Bytes] = dict(vars(dataset))
    found = digests(arrays)
    train, test = (
        np.bincount(labels, minlength=facts.classes).tolist()
        for labels in (dataset.y_train, dataset.y_test)
    )
    return DatasetDescription(
        tuple(_describe(name, arrays[name], found[name]) for name in ARRAY_NAMES),
        dict(zip(facts.class_names, zip(train, test, strict=True), strict=True)),
        int(dataset.y_train[0]),
        tuple(one_hot(dataset.y_train[:1], facts.classes)[0].tolist()),
    )


def file_digests(source: Source) -> dict[Path, str]:
    """Return each file of a source and the sha256 of its bytes; none for synthetic data."""
    if source.path is None:
        return {}
    files = sorted(source.path.rglob("*")) if source.path.is_dir() else [source.path]
    return {file: _file_digest(file) for file in files if file.is_file()}


def _describe(name: str, array: Bytes, sha256: str) -> ArrayDescription:
    return ArrayDescription(
        name, str(array.dtype), array.shape, int(array.min()), int(array.max()), sha256
    )


def _file_digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while chunk := content.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
