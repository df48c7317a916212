"""Where a data set is: the user's own copy, the package, mnistbench's folder, or Keras's cache."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mnistbench.config.datasets import DatasetFacts
from mnistbench.config.run_config import RunConfig
from mnistbench.data import store
from mnistbench.data.arrays import Arrays
from mnistbench.data.readers import read_any
from mnistbench.data.synthetic import synthetic
from mnistbench.errors import InputError

Kind = Literal["path", "embedded", "store", "keras", "synthetic"]


@dataclass(frozen=True)
class Source:
    """One place to read a data set from."""

    kind: Kind
    """The user's own path, the package, mnistbench's folder, Keras's cache, or the seed."""
    facts: DatasetFacts
    path: Path | None = None
    """The file or folder; None for what is made from the seed."""
    seed: int = 0

    @property
    def name(self) -> str:
        """Return what the results say: `embedded`, `store`, `synthetic`, or the file or folder."""
        return self.kind if self.kind in ("embedded", "store", "synthetic") else str(self.path)

    @property
    def must_be_canonical(self) -> bool:
        """Return whether anything but the published data means damage."""
        return self.kind in ("embedded", "store", "keras")

    def read(self) -> Arrays:
        """Return the arrays, unchecked but for the format; raise InputError, naming the file."""
        if self.path is None:
            return synthetic(self.facts, self.seed)
        if self.kind == "store":
            return store.read_store(self.path)
        if self.kind == "keras":
            return self._read_cache(self.path)
        return read_any(self.path, self.facts.accepted)

    def _read_cache(self, path: Path) -> Arrays:
        try:
            return read_any(path, self.facts.accepted)
        except InputError as error:
            # Keras's own loader takes such a copy for whole: that it is there must not stop us.
            problem = str(error).split("; ")[0]
            raise InputError(
                f"{problem}: Keras's cache is damaged",
                hint=f"download it anew with mnistbench data fetch {self.facts.name}, which "
                "passes over this copy",
            ) from None


def source_of(config: RunConfig) -> Source:
    """Return where the config's data is read from; raise InputError if it is nowhere."""
    if config.dataset.source == "synthetic":
        return Source("synthetic", config.facts, seed=config.training.seed)
    if config.dataset.path is not None:
        return Source("path", config.facts, Path(config.dataset.path))
    found = find(config.facts)
    if found is None:
        raise not_here(config.facts)
    return found


def find(facts: DatasetFacts) -> Source | None:
    """Look for a data set on this machine: in the package, mnistbench's folder, Keras's cache."""
    if facts.embedded is not None:
        return Source("embedded", facts, Path(__file__).with_name(facts.embedded))
    in_store = store.stored(facts)
    if in_store is not None:
        return Source("store", facts, in_store)
    return next(iter(keras_sources(facts)), None)


def keras_sources(facts: DatasetFacts) -> list[Source]:
    """Return every copy in Keras's cache; one may be damaged and the next one whole."""
    return [Source("keras", facts, path) for path in keras_files(facts) if path.exists()]


def keras_files(facts: DatasetFacts) -> list[Path]:
    """Return every file and folder that Keras's own loader may have left."""
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    return [Path(home).expanduser() / "datasets" / name for name in facts.keras_cache]


def not_here(facts: DatasetFacts, reason: str = "") -> InputError:
    """Return the error of a data set that is nowhere, with the ways out."""
    because = f" and cannot be downloaded ({reason})" if reason else ""
    return InputError(
        f"{facts.title} is not on this machine{because}",
        source="dataset.name",
        field=facts.name,
        hint="bring a copy with mnistbench data import PATH, download it where there is a network "
        f"with mnistbench data fetch {facts.name}, or let benchmark, train or data show make up "
        "images by --synthetic",
    )
