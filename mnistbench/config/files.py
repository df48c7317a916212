"""Finding and reading config files: plain YAML, nothing of what the fields mean.

Apart from `config` because `mnistbench config list` must answer at once: pydantic is not needed.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

import yaml

from mnistbench.config.versions import check_version
from mnistbench.errors import InputError

SUFFIXES = (".yaml", ".yml")


class _Loader(yaml.SafeLoader):
    """YAML without surprises: duplicate keys are errors, and `1e-3` is a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is there twice", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


# PyYAML reads YAML 1.1, where a float needs a dot: without this, 1e-3 would be a string.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def shipped_folder() -> Path:
    """Return the folder of the configs that ship: in the package, or beside it in a checkout."""
    room = Path(__file__).resolve().parent
    installed = room / "shipped"
    return installed if installed.is_dir() else room.parents[1] / "configs"


def known_configs() -> dict[str, Path]:
    """Return the shipped configs by name."""
    return {path.stem: path for path in sorted(shipped_folder().glob("*.yaml"))}


def find_config(name_or_path: str) -> Path:
    """Return the file of a config given by path or by bare name; raise InputError."""
    path = user_path(name_or_path, "CONFIG")
    looks_like_path = path.suffix in SUFFIXES or "/" in name_or_path or len(path.parts) > 1
    # Not only files: a pipe is read as well, `<(...)` or /dev/stdin.
    if path.exists() and not path.is_dir() and looks_like_path:
        return path
    known = known_configs()
    if name_or_path in known:
        return known[name_or_path]
    if looks_like_path:
        problem = "is a folder, not a config file" if path.is_dir() else "no such file"
        raise InputError(problem, source=name_or_path, hint="see: mnistbench config list")
    close = difflib.get_close_matches(name_or_path, known, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]}?" if close else f"shipped are {', '.join(known)}"
    raise InputError(f"no config named {name_or_path!r}", hint=f"{hint} (or give a path)")


def user_path(text: str, source: str) -> Path:
    """Return the path a user wrote, `~` resolved; raise InputError where it names no home."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise InputError(
            f"{text!r} names a home folder that does not exist", source=source
        ) from None


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the fields of a config file; raise InputError if it is no YAML mapping."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", source=path, hint="is it a config?") from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", source=path) from None
    check_version(text, str(path))
    fields = read_yaml(text, str(path))
    if fields is None:
        raise InputError("is empty", source=path, hint="see: mnistbench config show mnist-dense")
    if not isinstance(fields, dict):
        raise InputError(
            f"holds a {type(fields).__name__}, not fields with values",
            source=path,
            hint="see: mnistbench config show mnist-dense",
        )
    unnamed = [key for key in fields if not isinstance(key, str)]
    if unnamed:
        raise InputError("a field's name must be text", source=path, field=repr(unnamed[0]))
    return fields


def read_yaml(text: str, source: str) -> Any:
    """Return the value of one YAML document; raise InputError with the line of the mistake."""
    try:
        return yaml.load(text, Loader=_Loader)  # a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}" if mark and "\n" in text else source
        raise InputError(
            f"not valid YAML: {error.problem or error.context}", source=where
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"not valid YAML: {error}", source=source) from None
