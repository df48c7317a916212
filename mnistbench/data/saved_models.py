"""A saved Keras model read as plain data: what it says of itself, before anything is built of it.

No framework is imported, and no code in the file is run.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnistbench.data.file_kinds import HDF5, ZIP, file_kind, instead_of
from mnistbench.data.limits import beyond_memory, open_zip
from mnistbench.errors import InputError

_SAVE_AGAIN = "save it where it was made, with model.save('model.keras')"
_PARTS = ("config.json", "model.weights.h5")
_MOST_UNPACKED = 20
"""Times its size on the disk: weights hardly pack, and Keras packs them not at all."""
_MOST_CONFIG_BYTES = 16 << 20


@dataclass(frozen=True)
class SavedModel:
    """What a model's file says of it."""

    layers: tuple[Mapping[str, Any], ...]
    """Each layer as Keras writes it, those of models inside included, in order."""
    loss: Any
    """As `compile` was given it, in Keras's own words; None if it was saved without one."""

    @property
    def from_logits(self) -> bool:
        """Return whether its loss takes numbers without a softmax."""
        return bool(_config(self.loss).get("from_logits"))

    @property
    def loss_name(self) -> str:
        """Return the name of its loss; empty for none."""
        name = self.loss
        if isinstance(self.loss, dict):
            name = _config(self.loss).get("name") or self.loss.get("config")
        return str(name) if isinstance(name, str) else ""

    @property
    def softmax_at_end(self) -> bool:
        """Return whether its last layer is seen to give probabilities."""
        if not self.layers:
            return False
        last = self.layers[-1]
        softmax = _config(last).get("activation") == "softmax"
        return softmax or last.get("class_name") in ("Softmax", "softmax")

    @property
    def has_code(self) -> bool:
        """Return whether it holds Python code of its own, which is never run."""
        return any(layer.get("class_name") == "Lambda" for layer in self.layers)

    @property
    def foreign_class(self) -> str:
        """Return the first class that is not Keras's own; empty if there is none."""
        for layer in self.layers:
            if layer.get("registered_name") and not str(layer.get("module")).startswith("keras"):
                return str(layer.get("class_name"))
        return ""


def read_saved_model(path: Path) -> SavedModel:
    """Read what a `.keras` or an `.h5` file says of its model.

    Raises InputError, that names what the file is, if it is neither, damaged, or only weights.
    """
    try:
        if path.is_dir():
            problem, remedy = _folder(path)
            raise InputError(problem, source=path, hint=remedy)
        kind = file_kind(path)
        if kind == ZIP:
            return _of_zip(path)
        if kind == HDF5:
            return _of_hdf5(path)
        problem, remedy = instead_of(path, "a Keras model (.keras)", "copy or save it again")
        raise InputError(problem, source=path, hint=remedy)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", source=path) from None


def is_model_folder(path: Path) -> bool:
    """Return whether a folder is a model in a form that is not loaded, and not a run's."""
    return (path / "saved_model.pb").is_file() or (path / _PARTS[0]).is_file()


def _folder(path: Path) -> tuple[str, str]:
    if (path / "saved_model.pb").is_file():
        return "is a TensorFlow SavedModel, which Keras 3 does not load", _SAVE_AGAIN
    if (path / _PARTS[0]).is_file():
        return "is an unpacked .keras file", (
            f"pack it again: cd {path} && python -m zipfile -c packed.keras {' '.join(_PARTS)}"
        )
    return "is a folder, not a .keras file", "give the file in it"


def _of_zip(path: Path) -> SavedModel:
    try:
        with open_zip(path) as archive:
            _check_sizes(archive, path)
            missing = [name for name in _PARTS if name not in archive.namelist()]
            if missing and any(name.endswith(".npy") for name in archive.namelist()):
                raise InputError(
                    "is a NumPy archive, not a Keras model",
                    source=path,
                    hint="give the model in its place, and images of yours with --data",
                )
            if missing:
                raise InputError(
                    f"is a zip archive without {missing[0]}: no Keras model",
                    source=path,
                    hint="if it holds a model, unpack it and give that file",
                )
            if archive.testzip() is not None:
                raise zipfile.BadZipFile
            config = json.loads(archive.read(_PARTS[0]))
        return SavedModel(tuple(_layers(config)), _only(config.get("compile_config") or {}))
    except (zipfile.BadZipFile, zlib.error, ValueError, LookupError, AttributeError,
            EOFError, RecursionError, TypeError, OverflowError):  # fmt: skip
        raise InputError(
            "is a damaged .keras file, or was cut short",
            source=path,
            hint="copy it again from where it is whole, or save it again",
        ) from None
    except MemoryError:
        raise beyond_memory(path) from None
    except (NotImplementedError, RuntimeError):
        raise InputError(
            "is a zip archive with a password, or packed as Keras packs none",
            source=path,
            hint="unpack it and give the .keras file in it",
        ) from None


def _check_sizes(archive: zipfile.ZipFile, path: Path) -> None:
    """Raise InputError for what unpacks to far more than a model that is packed at all."""
    unpacked = sum(member.file_size for member in archive.infolist())
    most = _MOST_UNPACKED * path.stat().st_size + _MOST_CONFIG_BYTES
    config = next((m.file_size for m in archive.infolist() if m.filename == _PARTS[0]), 0)
    if unpacked > most or config > _MOST_CONFIG_BYTES:
        raise InputError(
            f"claims to unpack to {max(unpacked, config):,} bytes: no Keras model",
            source=path,
            hint="save it again, with model.save",
        )


def _of_hdf5(path: Path) -> SavedModel:
    import h5py

    if path.suffix.lower() not in (".h5", ".hdf5"):
        raise InputError(
            "is an HDF5 file, not a .keras file (zip)",
            source=path,
            hint=f"name it so: {path.with_suffix('.h5').name}",
        )
    try:
        with h5py.File(path, "r") as file:
            model, training = (file.attrs.get(name) for name in ("model_config", "training_config"))
        if model is None:
            raise InputError(
                "holds weights without a network",
                source=path,
                hint=f"of the whole model: {_SAVE_AGAIN}",
            )
        compiled = json.loads(training) if training else {}
        return SavedModel(tuple(_layers(json.loads(model))), _only(compiled))
    except MemoryError:
        raise beyond_memory(path) from None
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, AttributeError):
        raise InputError(
            "is a damaged HDF5 file, or was cut short",
            source=path,
            hint="copy it again from where it is whole, or save it again",
        ) from None


def _layers(model: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield every layer, and a model itself where its class is not one of Keras's."""
    inside = _config(model).get("layers")
    if not isinstance(inside, list):
        yield model
        return
    for layer in inside:
        yield from _layers(layer)


def _only(compiled: Mapping[str, Any]) -> Any:
    """Return the loss, out of a list or dictionary of the one output."""
    loss = compiled.get("loss")
    if isinstance(loss, list) and len(loss) == 1:
        return loss[0]
    if isinstance(loss, dict) and "class_name" not in loss and len(loss) == 1:
        return next(iter(loss.values()))
    return loss


def _config(thing: Any) -> Mapping[str, Any]:
    config = thing.get("config") if isinstance(thing, dict) else None
    return config if isinstance(config, dict) else {}
