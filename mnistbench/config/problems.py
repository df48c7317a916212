"""What is wrong with a config, as the one line a user reads."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import (
    ValidationError,
)

from mnistbench.config.run_config import json_schema
from mnistbench.errors import InputError


def as_input_error(error: ValidationError, file: str, set_by: Mapping[str, str]) -> InputError:
    """Return the first mistake that pydantic found, in our words: who set it, what is allowed."""
    problems = error.errors(include_url=False)
    # An unknown field explains the others: a misspelt `modle` also makes `model` missing.
    first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    location = [part for part in first["loc"] if part not in ("dense", "cnn")]
    field = ".".join(str(part) for part in location)
    problem, hint = _problem_and_hint(dict(first), field)
    if len(problems) > 1:
        hint = f"{hint}; {len(problems) - 1} more after this one"
    return InputError(problem, source=set_by_whom(field, file, set_by), field=field, hint=hint)


def _problem_and_hint(problem: Mapping[str, Any], field: str) -> tuple[str, str]:
    kind, value = problem["type"], problem["input"]
    *groups, last = field.split(".")
    if kind == "extra_forbidden":
        allowed = _fields_of(groups, problem["loc"])
        where = f" of {'.'.join(groups)}" if groups else ""
        return f"unknown field, value {value!r}", nearest(last, allowed, f"the fields{where} are")
    if kind == "missing":
        return "is missing", _example(field)
    if kind == "union_tag_not_found":
        return "model.family is missing", "allowed: dense, cnn"
    if kind == "union_tag_invalid":
        tag = value.get("family") if isinstance(value, dict) else value
        return f"family {tag!r} is not known", "allowed: dense, cnn"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{value!r} must be a group of fields", _example(field)
    message = str(problem["msg"]).removeprefix("Value error, ")
    message = message.replace("Input should be", "must be").replace(
        "String should match pattern", "must match"
    )
    message = message.replace("tuple should have", "must have").replace("tuple", "list")
    message = message.removesuffix(" after validation, not 0")
    message = message[0].lower() + message[1:]
    return f"{value!r} {message}", "see: mnistbench config schema"


def _example(field: str) -> str:
    examples = {"model": "for example model: {family: dense, hidden_units: [64]}"}
    return examples.get(field, "see: mnistbench config show mnist-dense")


def _fields_of(groups: Sequence[str], location: Sequence[object]) -> list[str]:
    schema = json_schema()
    family = next((part for part in location if part in ("dense", "cnn")), None)
    if not groups:
        return list(schema["properties"])
    names = {"dataset": "DatasetConfig", "training": "TrainingConfig"}
    models = {"dense": "DenseModel", "cnn": "CnnModel"}
    name = models[str(family)] if groups[0] == "model" and family else names.get(groups[0])
    return list(schema["$defs"][name]["properties"]) if name else []


def nearest(word: str, known: Iterable[str], listing: str = "known are") -> str:
    """Return the known word most like a misspelt one as a hint; all of them if none is near."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return f"{listing} {', '.join(known)}" if known else "see: mnistbench config schema"


def set_by_whom(field: str, file: str, set_by: Mapping[str, str]) -> str:
    """Return who set the field: the `--set` that did, or else the file."""
    for prefix, override in set_by.items():
        if f"{field}.".startswith(f"{prefix}.") or f"{prefix}.".startswith(f"{field}."):
            return override
    return file
