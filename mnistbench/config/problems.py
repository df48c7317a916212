"""What is wrong with a config, as the one line a user reads."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from mnistbench.config.datasets import DATASETS
from mnistbench.config.network import CnnModel
from mnistbench.config.run_config import SWEEP, json_schema
from mnistbench.errors import InputError

_SCHEMA = "see: mnistbench config schema"
_MOST_SHOWN = 60
OPTION, POINT = "--set ", "point "
"""What a source begins with that is no file: an override, or the settings of a point of a sweep."""
_EXAMPLES = {
    "dataset": ("dataset.name", "mnist"),
    "model": ("model.family", "dense"),
    "training": ("training.epochs", "1"),
    SWEEP: ("sweep.grid", "{training.epochs: [1, 5]}"),
}
"""A field of each group, and a value it can have."""


@dataclass(frozen=True)
class _Mistake:
    """One value that pydantic refused."""

    field: str
    """With dots, as in `training.epochs`."""
    value: Any
    context: Mapping[str, Any]
    """What pydantic says of the rule: bounds, allowed values."""
    location: Sequence[object]
    source: str
    """Who gave it: a `--set`, the file, or a point of a sweep."""

    @property
    def by_option(self) -> bool:
        """Return whether `--set` gave it."""
        return self.source.startswith(OPTION)

    def written(self, value: str, field: str = "") -> str:
        """Return how a value is given where this one was."""
        field = field or self.field
        if self.source.startswith(POINT):
            return value
        if not self.by_option:
            return f"{field.split('.')[-1]}: {value}"
        plain = re.fullmatch(r"[\w.+-]+", value)
        return f"--set {field}={value}" if plain else f"--set '{field}={value}'"


def as_input_error(error: ValidationError, file: str, set_by: Mapping[str, str]) -> InputError:
    """Return the first mistake that pydantic found, in our words: who set it, what is allowed."""
    problems = error.errors(include_url=False)
    # An unknown field explains the others: a misspelt `modle` also makes `model` missing.
    first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    location = [part for part in first["loc"] if part not in ("dense", "cnn")]
    field = ".".join(str(part) for part in location)
    source = set_by_whom(field, file, set_by)
    mistake = _Mistake(field, first["input"], first.get("ctx", {}), first["loc"], source)
    problem, hint = _KINDS.get(first["type"], _not_allowed)(mistake)
    if len(problems) > 1:
        hint = f"{hint or _SCHEMA}; {len(problems) - 1} more after this one"
    return InputError(problem, source=source, field=field, hint=hint or _SCHEMA)


_Words = tuple[str, str]
"""What is wrong, and what to do; the latter may be empty."""


def _not_allowed(mistake: _Mistake) -> _Words:
    return f"{_shown(mistake.value)} is not allowed", ""


def _unknown_field(mistake: _Mistake) -> _Words:
    *groups, last = mistake.field.split(".")
    where = f" of {'.'.join(groups)}" if groups else ""
    allowed = _fields_of(groups, mistake.location)
    elsewhere = [group for group in _EXAMPLES if last in _fields_of([group], ("dense",))]
    if not groups and elsewhere:
        return "unknown field at the top", f"did you mean {elsewhere[0]}.{last}?"
    hint = nearest(last, allowed, f"the fields{where} are")
    return f"unknown field, value {_shown(mistake.value)}", hint


def _missing(mistake: _Mistake) -> _Words:
    if mistake.field == "model":
        return "is missing", "for example model: {family: dense, hidden_units: [64]}"
    return "is missing", "see: mnistbench config show mnist-dense"


def _without_family(mistake: _Mistake) -> _Words:
    return "model.family is missing", "allowed: dense, cnn"


def _unknown_family(mistake: _Mistake) -> _Words:
    value = mistake.value
    family = value.get("family") if isinstance(value, dict) else value
    return f"family {_shown(family)} is not known", "allowed: dense, cnn"


def _no_group(mistake: _Mistake) -> _Words:
    if mistake.field not in _EXAMPLES:
        return f"{_shown(mistake.value)} must be a group of fields", ""
    field, value = _EXAMPLES[mistake.field]
    example = f"{mistake.field}: {{{field.split('.')[-1]}: {value}}}"
    hint = f"for example {mistake.written(value, field) if mistake.by_option else example}"
    return f"{_shown(mistake.value)} must be a group of fields", hint


def _no_integer(mistake: _Mistake) -> _Words:
    value, hint = mistake.value, ""
    if isinstance(value, str) and re.fullmatch(r"\d{1,3}([,' ]\d{3})+", value):
        hint = f"write {re.sub(r'[^0-9]', '', value)}"
    elif isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d+\s*", value):
        hint = f"write {int(value)} without quotes"
    elif isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        hint = f"write {int(value)}"
    elif isinstance(value, list) and len(value) == 1:
        hint = f"write {_shown(value[0])} without brackets"
    return f"{_shown(value)} must be a whole number", hint


def _no_number(mistake: _Mistake) -> _Words:
    value = mistake.value
    return f"{_shown(value)} must be a number", _meant_number(value) if isinstance(
        value, str
    ) else ""


def _meant_number(text: str) -> str:
    """Return how to write a number in quotes, in percent or with a comma; empty for no number."""
    number = _number(text.strip().removesuffix("%").replace(",", "."))
    if number is None or not math.isfinite(number):
        return ""
    if text.strip().endswith("%"):
        return f"write {number / 100:g}"
    return f"write {number:g}{' without quotes' if ',' not in text else ''}"


def _no_truth(mistake: _Mistake) -> _Words:
    meant = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
    word = meant.get(str(mistake.value).lower())
    if str(mistake.value).lower() in ("true", "false"):
        word = str(mistake.value).lower()
    hint = f"write {mistake.written(word)}" if word else ""
    return f"{_shown(mistake.value)} must be true or false", hint


def _no_text(mistake: _Mistake) -> _Words:
    value, hint = mistake.value, ""
    if mistake.field == "dataset.name":
        hint = f"allowed: {', '.join(sorted(DATASETS))}"
    elif isinstance(value, bool | int | float):
        text = f'"{_shown(value)}"'
        hint = f"write it in quotes: {mistake.written(text)}"
    return f"{_shown(value)} must be text", hint


def _no_list(mistake: _Mistake) -> _Words:
    value, items = mistake.value, []
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        items = re.findall(r"[\w.]+", str(value).lower())
    items = items or ["same" if mistake.field == "model.padding" else "64"]
    if mistake.field == "model.filters" and len(items) == 1:
        items *= len(CnnModel(family="cnn").filters)  # as many as there are paddings, by default
    return (
        f"{_shown(value)} must be a list, also where it has one item",
        f"write {mistake.written('[' + ', '.join(items) + ']')}",
    )


def _too_short(mistake: _Mistake) -> _Words:
    return f"{_shown(mistake.value)} must have at least {mistake.context['min_length']} item", ""


def _none_of(mistake: _Mistake) -> _Words:
    allowed = re.findall(r"'([^']*)'", str(mistake.context["expected"]))
    word = str(mistake.value).lower()
    close = [word] if word in allowed else [name for name in allowed if _is_short_for(word, name)]
    close = close or difflib.get_close_matches(word, allowed, n=1, cutoff=0.6)
    problem = f"{_shown(mistake.value)} is none of {', '.join(allowed)}"
    return problem, f"did you mean {' or '.join(close)}?" if close else ""


def _is_short_for(word: str, name: str) -> bool:
    """Return whether a word is a part of a name, or its initials, as `mse`."""
    return bool(word) and (word in name or word == "".join(w[0] for w in name.split("_")))


def _bounded(words: str, bound: str) -> Callable[[_Mistake], _Words]:
    def describe(mistake: _Mistake) -> _Words:
        limit, value = mistake.context[bound], mistake.value
        is_percent = bound in ("lt", "le") and limit == 1 and 1 < value <= 100
        hint = f"write {value / 100:g} for {value:g} %" if is_percent else ""
        return f"{_shown(value)} must be {words} {limit:.12g}", hint

    return describe


def _not_finite(mistake: _Mistake) -> _Words:
    return f"{_shown(mistake.value)} must be a finite number", ""


def _no_name(mistake: _Mistake) -> _Words:
    return (
        f"{_shown(mistake.value)} must be 1 to 64 letters, digits, '.', '_' and '-', the first a "
        "letter or digit",
        "where a file has no name of its own it is the file's: write name: mine into it",
    )


def _ours(mistake: _Mistake) -> _Words:
    """Return the words of a check of ours, and what a number in quotes or a percentage means."""
    value, hint = mistake.value, ""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(value, str):
        hint = _meant_number(value)
    elif is_number and 1 < value < 100 and "fraction" in str(mistake.context["error"]):
        hint = f"write {value / 100:g} for {value:g} %"
    return f"{_shown(value)} {mistake.context['error']}", hint


_KINDS: Mapping[str, Callable[[_Mistake], _Words]] = {
    "extra_forbidden": _unknown_field,
    "missing": _missing,
    "union_tag_not_found": _without_family,
    "union_tag_invalid": _unknown_family,
    "model_type": _no_group,
    "model_attributes_type": _no_group,
    "dict_type": _no_group,
    "int_type": _no_integer,
    "int_from_float": _no_integer,
    "float_type": _no_number,
    "bool_type": _no_truth,
    "string_type": _no_text,
    "tuple_type": _no_list,
    "too_short": _too_short,
    "literal_error": _none_of,
    "greater_than": _bounded("greater than", "gt"),
    "greater_than_equal": _bounded("at least", "ge"),
    "less_than": _bounded("less than", "lt"),
    "less_than_equal": _bounded("at most", "le"),
    "finite_number": _not_finite,
    "string_pattern_mismatch": _no_name,
    "value_error": _ours,
}
"""Each of pydantic's types of error that a config can cause, and what is said of it."""


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _shown(value: object) -> str:
    """Return a value as YAML has it, shortened."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _fields_of(groups: Sequence[str], location: Sequence[object]) -> list[str]:
    schema = json_schema()
    family = next((part for part in location if part in ("dense", "cnn")), None)
    if not groups:
        return list(schema["properties"])
    names = {"dataset": "DatasetConfig", "training": "TrainingConfig", SWEEP: "SweepBlock"}
    models = {"dense": "DenseModel", "cnn": "CnnModel"}
    name = models[str(family)] if groups[0] == "model" and family else names.get(groups[0])
    return list(schema["$defs"][name]["properties"]) if name else []


def nearest(word: str, known: Iterable[str], listing: str = "known are") -> str:
    """Return the known word most like a misspelt one as a hint; all of them if none is near."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return f"{listing} {', '.join(known)}" if known else _SCHEMA


def set_by_whom(field: str, file: str, set_by: Mapping[str, str]) -> str:
    """Return who set the field: the `--set` that did, or else the file."""
    for prefix, override in set_by.items():
        if f"{field}.".startswith(f"{prefix}.") or f"{prefix}.".startswith(f"{field}."):
            return override
    return file
