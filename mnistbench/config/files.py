"""Finding and reading config files: plain YAML, nothing of what the fields mean.

Apart from `config` because `mnistbench config list` must answer at once: pydantic is not needed.
"""

from __future__ import annotations

import codecs
import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mnistbench.config.versions import check_version
from mnistbench.config.yaml_text import MOST_BYTES, read_limited, read_yaml
from mnistbench.errors import InputError

SUFFIXES = (".yaml", ".yml", ".json")
_MOST_NAMES = 5


def shipped_folder() -> Path:
    """Return the folder of the configs that ship: in the package, or beside it in a checkout."""
    room = Path(__file__).resolve().parent
    installed = room / "shipped"
    return installed if installed.is_dir() else room.parents[1] / "configs"


def known_configs() -> dict[str, Path]:
    """Return the shipped configs by name."""
    return {path.stem: path for path in sorted(shipped_folder().glob("*.yaml"))}


def find_config(name_or_path: str) -> Path:
    """Return the file of a config given by name or by path; raise InputError.

    A bare name is that of a shipped config, or else of a file in the current folder. So `mnist-cnn`
    means the same in every folder, and `./mnist-cnn` is a file of that name.
    """
    shipped = known_configs()
    if not name_or_path.strip():
        raise InputError("the name is empty", source="CONFIG", hint="see: mnistbench config list")
    if name_or_path in shipped:
        return shipped[name_or_path]
    path = user_path(name_or_path, "CONFIG")
    try:
        # Not only files: a pipe is read as well, `<(...)` or /dev/stdin.
        if path.is_dir():
            raise _no_config_but_a_folder(path, name_or_path)
        if path.exists():
            return path
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or "is no name of a file"
        raise InputError(f"cannot be read: {problem}", source=name_or_path) from None
    raise _no_such_config(name_or_path, path, shipped)


def _no_config_but_a_folder(path: Path, name: str) -> InputError:
    of_a_run = path / "config.yaml"
    hint = f"give {of_a_run}" if of_a_run.is_file() else "see: mnistbench config list"
    return InputError("is a folder, not a config file", source=name, hint=hint)


def _no_such_config(name: str, path: Path, shipped: Mapping[str, Path]) -> InputError:
    """Return what to say of a name that is neither shipped nor a file's: what is like it."""
    beside = _config_files_in(path.parent)
    if path.suffix or len(path.parts) > 1:
        close = [str(path.with_name(file)) for file in nearest_names(path.name, beside)]
        close = close or nearest_names(path.stem if path.suffix in SUFFIXES else path.name, shipped)
        hint = _did_you_mean(close) or "see: mnistbench config list"
        return InputError("no such file", source=name, hint=hint)
    close = nearest_names(name, [*shipped, *beside])
    hint = _did_you_mean(close) or f"shipped are {', '.join(shipped)}"
    return InputError(f"no config named {name!r}", hint=f"{hint} (or give a file's path)")


def _did_you_mean(names: Sequence[str]) -> str:
    *others, last = names or [""]
    listed = f"{', '.join(others)} or {last}" if others else last
    return f"did you mean {listed}?" if listed else ""


def _config_files_in(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.suffix in SUFFIXES)
    except OSError:
        return []


def nearest_names(word: str, names: Iterable[str]) -> list[str]:
    """Return the names that a word is the beginning of, or else the one most like it, if any."""
    names = sorted(names, key=len)
    if nearly := difflib.get_close_matches(word, names, n=1, cutoff=0.9):
        return nearly
    begun = [name for name in names if word and name.lower().startswith(word.lower())]
    return begun[:_MOST_NAMES] or difflib.get_close_matches(word, names, n=1, cutoff=0.6)


def user_path(text: str, source: str) -> Path:
    """Return the path a user wrote, `~` resolved; raise InputError where it names no home."""
    if "\0" in text:
        raise InputError(f"{text!r} holds the character NUL, which no path does", source=source)
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise InputError(
            f"{text!r} names a home folder that does not exist", source=source
        ) from None


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the fields of a config file; raise InputError if it is no YAML mapping."""
    text = config_text(path)
    fields = read_yaml(text, str(path))
    if fields is None:
        raise InputError("is empty", source=path, hint="see: mnistbench config show mnist-dense")
    if not isinstance(fields, dict):
        raise InputError(
            f"holds a {type(fields).__name__}, not fields with values",
            source=path,
            hint="see: mnistbench config show mnist-dense",
        )
    _check_names(fields, path)
    return fields


def _check_names(fields: Mapping[Any, Any], path: Path) -> None:
    for key, value in fields.items():
        if not isinstance(key, str):
            raise InputError("a field's name must be text", source=path, field=repr(key))
        if isinstance(value, dict):
            _check_names(value, path)


def config_text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """Return the text of a config file; raise InputError, also for one of a later version."""
    try:
        content = read_limited(path, most_bytes)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", source=path) from None
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError("is UTF-16 text", source=path, hint="save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", source=path, hint="is it a config?") from None
    check_version(text, str(path))
    return text
