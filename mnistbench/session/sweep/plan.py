"""The plan of a sweep: drawn and checked once, written down whole, read again to go on."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

import mnistbench
from mnistbench.analysis.sweeps import SelectOn
from mnistbench.config.files import config_text
from mnistbench.config.loading import ConfigFields
from mnistbench.config.run_config import RunConfig, TrainingConfig
from mnistbench.config.sweep_space import (
    Settings,
    Space,
    points_of,
    settings_text,
    value_text,
)
from mnistbench.config.versions import version_line
from mnistbench.config.yaml_text import MOST_BYTES_OF_POINTS, read_yaml
from mnistbench.errors import InputError
from mnistbench.machine import host
from mnistbench.results.folder import new_run_id
from mnistbench.results.phases import utc_now
from mnistbench.results.tables import SWEEP_PLAN

_HEAD = "# The plan of a sweep; mnistbench sweep --resume reads it, and refuses a changed one.\n"
_POINTS = "points:\n"
_ITEM = "- "
_KINDS = {"sweep": str, "digest": str, "repeats": int, "select_on": str, "tag": str, "config": dict}
_LONGEST_NAME = 64
_LONGEST_BASE = 24
_LONGEST_LABEL = 80
_HELD_OUT = 0.1
"""The part of the training set that a choice is made on, where the config does not say."""


@dataclass(frozen=True)
class SweepPlan:
    """What is to be measured, every point checked."""

    sweep_id: str
    """The name of the sweep's folder."""
    base: ConfigFields
    """What the points differ from."""
    points: tuple[Settings, ...]
    configs: tuple[RunConfig, ...]
    """Of each point."""
    repeats: int
    """Of each point."""
    select_on: SelectOn = "test"
    """The images that the best is chosen on."""
    tag: str = ""
    """The user's word for every row."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the settings that the points differ in, in the order they first come."""
        return tuple(dict.fromkeys(field for point in self.points for field in point))

    @property
    def turns(self) -> int:
        """Return the repeats of all points."""
        return len(self.points) * self.repeats

    def run_id(self, index: int) -> str:
        """Return the id of a point's run, which is also its folder's name: the same every time."""
        stamp, _, rest = self.sweep_id.partition("-")
        return f"{stamp}-{self.configs[index].name}-{rest.rpartition('-sweep-')[2]}"

    def values(self) -> list[tuple[str, ...]]:
        """Return every point's value of every setting; the config's own where it leaves it."""
        fields = self.fields
        texts = []
        for point, config in zip(self.points, self.configs, strict=True):
            resolved = config.model_dump(mode="json")
            # A group is shown as it was given, without the defaults of all its fields.
            texts.append(
                tuple(
                    value_text(
                        point[field]
                        if isinstance(point.get(field), dict)
                        else _value_of(resolved, field)
                    )
                    for field in fields
                )
            )
        return texts


def make_plan(
    base: ConfigFields,
    space: Space,
    repeats: int,
    select_on: SelectOn = "test",
    tag: str = "",
) -> SweepPlan:
    """Return the plan of a sweep that is new; raise InputError, naming the point that is wrong."""
    if select_on == "validation":
        base = _held_out(base)
    points = points_of(space, _seed(base))
    configs = checked_points(base, points)
    for number, config in enumerate(configs, start=1):
        if select_on == "validation" and not isinstance(config.training.validation, float):
            raise InputError(
                "holds no part of the training set out, and --select-on validation chooses on it",
                source=_label(number, points[number - 1]),
                field="training.validation",
                hint="leave it out of the sweep, or give fractions, as 0.1",
            )

    sweep_id = new_run_id(f"{_short_name(base)}-sweep", host.node())
    return SweepPlan(sweep_id, base, tuple(points), configs, repeats, select_on, tag)


def _seed(base: ConfigFields) -> int:
    seed = _value_of(base.fields, "training.seed")
    return seed if isinstance(seed, int) else int(TrainingConfig.model_fields["seed"].default)


def _held_out(base: ConfigFields) -> ConfigFields:
    """Return a config that holds a part of the training set out, as it says or a tenth."""
    training = base.fields.get("training") or {}
    if not isinstance(training, dict) or isinstance(training.get("validation"), float):
        return base
    if training.get("target_accuracy") is not None:
        raise InputError(
            "is of the test set, which --select-on validation keeps for the chosen point",
            source=base.source, field="training.target_accuracy", hint="leave out either",
        )  # fmt: skip
    held_out = {**training, "validation": _HELD_OUT}
    return replace(base, fields={**base.fields, "training": held_out})


def checked_points(base: ConfigFields, points: Sequence[Settings]) -> tuple[RunConfig, ...]:
    """Return the config of every point; raise InputError, naming the first that is wrong.

    Two points of the same training are refused too: one was given twice, or a setting of one
    undoes another of it.
    """
    configs: list[RunConfig] = []
    seen: dict[tuple[str, str, str | None], str] = {}
    for number, settings in enumerate(points, start=1):
        label = _label(number, settings)
        config = base.point(_name(base, points, number), label, settings)
        same = (config.digest(), config.device, config.dataset.path)
        if same in seen:
            raise InputError(
                f"is the same training as {seen[same]}",
                source=label,
                hint="leave one out; --repeats says how often each point is measured",
            )
        seen[same] = label
        configs.append(config)
    return tuple(configs)


def _label(number: int, settings: Settings) -> str:
    text = settings_text(settings)
    shown = text if len(text) <= _LONGEST_LABEL else f"{text[:_LONGEST_LABEL]}..."
    return f"point {number} ({shown})"


def _name(base: ConfigFields, points: Sequence[Settings], number: int) -> str:
    """Return the name of a point's config: the config's, the point's number, its settings."""

    place = f"{number:0{len(str(len(points)))}d}"
    settings = "-".join(
        f"{field.rpartition('.')[2]}-{value_text(value)}"
        for field, value in points[number - 1].items()
    )
    name = _plain(f"{_short_name(base)}-{place}-{settings}")
    return name[:_LONGEST_NAME].strip("-._")


def _short_name(base: ConfigFields) -> str:
    return _plain(str(base.fields.get("name")))[:_LONGEST_BASE].strip("-._") or "config"


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text)


def _value_of(fields: Mapping[str, Any], field: str) -> Any:
    """Return what a config says of a field, with dots; None where it leaves it to the default."""
    for name in field.split("."):
        fields = fields.get(name) if isinstance(fields, Mapping) else None  # type: ignore[assignment]
    return fields


def plan_text(plan: SweepPlan) -> str:
    """Return a plan as sweep.yaml has it: YAML, a point a line."""
    head = {
        "sweep": plan.sweep_id,
        "mnistbench_version": mnistbench.__version__,
        "created_utc": utc_now(),
        "digest": _digest(plan),
        "repeats": plan.repeats,
        "select_on": plan.select_on,
        "tag": plan.tag,
        "config": dict(plan.base.fields),
    }
    text = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=10_000)
    # JSON is YAML too, and ten thousand lines of it are read in a moment.
    lines = [f"{_ITEM}{json.dumps(point, default=str)}\n" for point in plan.points]
    return "".join([version_line(), _HEAD, text, _POINTS, *lines])


def read_plan(folder: Path) -> SweepPlan:
    """Return the plan of a sweep's folder, checked anew; raise InputError.

    A plan that was changed by hand, or that this version of mnistbench would measure otherwise
    than it was begun, is refused: its repeats could not be set against each other.
    """
    head, points = _parts(folder)
    base = ConfigFields(head["config"], str(folder / SWEEP_PLAN))
    configs = checked_points(base, points)
    plan = SweepPlan(
        head["sweep"], base, points, configs, head["repeats"], head["select_on"], head["tag"]
    )
    if _digest(plan) != head["digest"]:
        raise InputError(
            "is no longer the plan that the sweep began with: it was changed, or mnistbench "
            f"{mnistbench.__version__} reads it otherwise than {head.get('mnistbench_version')}",
            source=folder / SWEEP_PLAN,
            hint="restore it, or begin a new sweep",
        )
    return plan


def read_point(folder: Path, number: int) -> SweepPlan:
    """Return the plan of one point alone, from a sweep's folder; raise InputError.

    The others are not checked again: ten thousand processes measure ten thousand points.
    """
    head, points = _parts(folder)
    if not 1 <= number <= len(points):
        raise InputError(f"has no point {number}, but 1 to {len(points)}", source=folder)
    base = ConfigFields(head["config"], str(folder / SWEEP_PLAN))
    settings = points[number - 1]
    name, label = _name(base, points, number), _label(number, settings)
    config = base.point(name, label, settings)
    return SweepPlan(
        head["sweep"], base, (settings,), (config,), head["repeats"], head["select_on"], head["tag"]
    )


def _parts(folder: Path) -> tuple[dict[str, Any], tuple[Settings, ...]]:
    """Return what stands before the points, and the points."""
    file = folder / SWEEP_PLAN
    if not folder.is_dir():
        raise InputError("no such folder", source=folder)
    if not file.is_file():
        raise InputError(f"holds no {SWEEP_PLAN}", source=folder, hint="give the folder of a sweep")
    head, separator, lines = config_text(file, MOST_BYTES_OF_POINTS).partition(f"\n{_POINTS}")
    fields = read_yaml(head, str(file))
    if not separator or not isinstance(fields, dict) or not set(_KINDS) <= set(fields):
        raise _damaged(folder)
    try:
        points = [json.loads(line.removeprefix(_ITEM)) for line in lines.splitlines()]
    except ValueError:
        raise _damaged(folder) from None
    whole = all(isinstance(fields[name], kind) for name, kind in _KINDS.items())
    if not (whole and points and all(isinstance(point, dict) for point in points)):
        raise _damaged(folder)
    return fields, tuple(points)


def _damaged(folder: Path) -> InputError:
    return InputError(
        "is damaged: no plan can be read from it",
        source=folder / SWEEP_PLAN,
        hint="restore it, or begin a new sweep",
    )


def _digest(plan: SweepPlan) -> str:
    """Return a sha256 over all that decides what is measured, and how often."""
    whole = hashlib.sha256(f"{plan.sweep_id}:{plan.repeats}:{plan.select_on}".encode())
    for config in plan.configs:
        whole.update(f"{config.name}:{config.digest()}:{config.device}".encode())
    return whole.hexdigest()
