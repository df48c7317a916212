"""sweep.yaml: the plan of a sweep as it is written down, and read again to go on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

import mnistbench
from mnistbench.config.files import config_text
from mnistbench.config.loading import ConfigFields
from mnistbench.config.sweep_space import Settings
from mnistbench.config.versions import version_line
from mnistbench.config.yaml_text import MOST_BYTES_OF_POINTS, read_yaml
from mnistbench.errors import InputError
from mnistbench.results.folder import output_error
from mnistbench.results.phases import utc_now
from mnistbench.results.tables import SWEEP_PLAN
from mnistbench.session.sweep.plan import (
    SweepPlan,
    checked_ends,
    checked_points,
    config_of_trial,
    label_of_point,
    name_of_point,
)
from mnistbench.session.sweep.search import read_search

_HEAD = "# The plan of a sweep; mnistbench sweep --resume reads it, and refuses a changed one.\n"
_POINTS = "points:\n"
_ITEM = "- "
_KINDS = {"sweep": str, "digest": str, "repeats": int, "select_on": str, "tag": str, "config": dict}


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
        **({"search": plan.search.as_written()} if plan.search else {}),
    }
    text = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=10_000)
    # JSON is YAML too, and ten thousand lines of it are read in a moment.
    lines = map(_line, plan.points)
    return "".join([version_line(), _HEAD, text, _POINTS, *lines])


def _line(point: Settings) -> str:
    return f"{_ITEM}{json.dumps(point, default=str)}\n"


def write_point(folder: Path, plan: SweepPlan) -> None:
    """Write the newest point of a search behind the others, on the disk before it is measured.

    Raises OutputError if it cannot be. What a crash has left of a line goes.
    """
    file = folder / SWEEP_PLAN
    try:
        with file.open("rb+") as text:
            text.truncate(text.seek(file.read_bytes().rfind(b"\n") + 1))
            text.write(_line(plan.points[-1]).encode())
            text.flush()
            os.fsync(text.fileno())
    except OSError as error:
        raise output_error(file, error) from None


def read_plan(folder: Path) -> SweepPlan:
    """Return the plan of a sweep's folder, checked anew; raise InputError.

    A plan that was changed by hand, or that this version of mnistbench would measure otherwise
    than it was begun, is refused: its repeats could not be set against each other.
    """
    head, points = _parts(folder)
    base = ConfigFields(head["config"], str(folder / SWEEP_PLAN))
    plan = SweepPlan(head["sweep"], base, (), (), head["repeats"], head["select_on"], head["tag"])
    if "search" in head:
        plan = _read_points(folder, plan, head["search"], points)
    else:
        plan = replace(plan, points=points, configs=checked_points(base, points))
    if _digest(plan) != head["digest"]:
        raise InputError(
            "is no longer the plan that the sweep began with: it was changed, or mnistbench "
            f"{mnistbench.__version__} reads it otherwise than {head.get('mnistbench_version')}",
            source=folder / SWEEP_PLAN,
            hint="restore it, or begin a new sweep",
        )
    return plan


def _read_points(
    folder: Path, plan: SweepPlan, search: object, points: Sequence[Settings]
) -> SweepPlan:
    """Return the plan of a search with the points that it has chosen so far; raise InputError."""
    try:
        read = read_search(search, str(folder / SWEEP_PLAN))
    except ValueError:
        raise _damaged(folder) from None
    ends = tuple(config for _, config in checked_ends(plan.base, read.space))
    plan = replace(plan, search=read, ends=ends)
    configs = [config_of_trial(plan, *each) for each in enumerate(points, start=1)]
    return replace(plan, points=tuple(points), configs=tuple(configs))


def read_point(folder: Path, number: int) -> SweepPlan:
    """Return the plan of one point alone, from a sweep's folder; raise InputError.

    The others are not checked again: ten thousand processes measure ten thousand points.
    """
    head, points = _parts(folder)
    if "search" in head:
        raise InputError(
            "is a search: each point is chosen by those before it", source=folder,
            hint=f"go on with it: mnistbench sweep --resume {folder}",
        )  # fmt: skip
    if not 1 <= number <= len(points):
        raise InputError(f"has no point {number}, but 1 to {len(points)}", source=folder)
    base = ConfigFields(head["config"], str(folder / SWEEP_PLAN))
    settings = points[number - 1]
    name, label = (
        name_of_point(base, settings, number, len(points)),
        label_of_point(number, settings),
    )
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
    is_search = "search" in fields
    if is_search:  # a crash may have cut its last line
        lines = lines[: lines.rfind("\n") + 1]
    try:
        points = [json.loads(line.removeprefix(_ITEM)) for line in lines.splitlines()]
    except ValueError:
        raise _damaged(folder) from None
    whole = all(isinstance(fields[name], kind) for name, kind in _KINDS.items())
    if not (whole and (points or is_search) and all(isinstance(point, dict) for point in points)):
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
    if plan.search is not None:
        whole.update(json.dumps(plan.search.as_written(), default=str).encode())
    # The points of a search come to it later, and its ends say what would be measured otherwise.
    for config in plan.ends if plan.search is not None else plan.configs:
        whole.update(f"{config.name}:{config.digest()}:{config.device}".encode())
    return whole.hexdigest()
