"""The plan of a sweep: drawn and checked once, written down whole, read again to go on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mnistbench.analysis.sweeps import SelectOn
from mnistbench.config.loading import ConfigFields
from mnistbench.config.run_config import RunConfig, TrainingConfig
from mnistbench.config.sweep_search import corners
from mnistbench.config.sweep_space import (
    Settings,
    Space,
    points_of,
    settings_text,
    value_text,
)
from mnistbench.errors import InputError
from mnistbench.machine import host
from mnistbench.results.folder import new_run_id
from mnistbench.session.sweep.search import Search, SearchOptions, checked_search

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
    search: Search | None = None
    """What chooses one point after the other; None where all of them are planned."""
    ends: tuple[RunConfig, ...] = ()
    """Of a search: the configs at the ends of its space."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the settings that the points differ in, in the order they first come."""
        if self.search is not None:
            return tuple(self.search.space.grid)
        return tuple(dict.fromkeys(field for point in self.points for field in point))

    @property
    def planned(self) -> int:
        """Return how many points there are to be."""
        return len(self.points) if self.search is None else self.search.options.trials

    @property
    def turns(self) -> int:
        """Return the repeats of all points."""
        return self.planned * self.repeats

    def run_id(self, index: int) -> str:
        """Return the id of a point's run, which is also its folder's name: the same every time."""
        stamp, _, rest = self.sweep_id.partition("-")
        return f"{stamp}-{self.configs[index].name}-{rest.rpartition('-sweep-')[2]}"

    def values_of(self, index: int) -> tuple[str, ...]:
        """Return a point's value of every setting; the config's own where it leaves it."""
        point, resolved = self.points[index], self.configs[index].model_dump(mode="json")
        # A group is shown as it was given, without the defaults of all its fields.
        return tuple(
            value_text(
                point[field] if isinstance(point.get(field), dict) else _value_of(resolved, field)
            )
            for field in self.fields
        )

    def with_point(self, settings: Settings, config: RunConfig) -> SweepPlan:
        """Return the plan with one more point."""
        points, configs = (*self.points, settings), (*self.configs, config)
        return replace(self, points=points, configs=configs)


def make_plan(
    base: ConfigFields,
    space: Space,
    repeats: int,
    select_on: SelectOn = "test",
    tag: str = "",
    options: SearchOptions | None = None,
) -> SweepPlan:
    """Return the plan of a sweep that is new; raise InputError, naming the point that is wrong.

    With `options` its points are chosen later, and the ends of the space are checked.
    """
    if select_on == "validation":
        base = _held_out(base)
    sweep_id = new_run_id(f"{_short_name(base)}-sweep", host.node())
    seed = _seed(base)
    if options is not None:
        ends = checked_ends(base, space)
        _check_held_out(select_on, [(f"a trial ({text})", config) for text, config in ends])
        configs = tuple(config for _, config in ends)
        search = checked_search(options, space, seed, configs)
        return SweepPlan(sweep_id, base, (), (), repeats, select_on, tag, search, configs)
    points = points_of(space, seed)
    configs = checked_points(base, points)
    labels = [label_of_point(number, settings) for number, settings in enumerate(points, start=1)]
    _check_held_out(select_on, list(zip(labels, configs, strict=True)))
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


def _check_held_out(select_on: SelectOn, configs: Sequence[tuple[str, RunConfig]]) -> None:
    """Raise InputError for the first that has no images of its own to be chosen on."""
    for label, config in configs:
        if select_on == "validation" and not isinstance(config.training.validation, float):
            raise InputError(
                "holds no part of the training set out, and --select-on validation chooses on it",
                source=label,
                field="training.validation",
                hint="leave it out of the sweep, or give fractions, as 0.1",
            )


def checked_ends(base: ConfigFields, space: Space) -> list[tuple[str, RunConfig]]:
    """Return what the ends of a space set and are; raise InputError for one that is not possible.

    Where ends exclude each other it is the search that finds out: such a trial is passed over.
    """
    texts = [(settings_text(settings), settings) for settings in corners(space)]
    return [
        (text, base.point(_short_name(base), f"a trial ({text})", settings))
        for text, settings in texts
    ]


def config_of_trial(plan: SweepPlan, number: int, settings: Settings) -> RunConfig:
    """Return the config of a point of a search; raise InputError if it cannot be."""
    name = name_of_point(plan.base, settings, number, plan.planned)
    return plan.base.point(name, label_of_point(number, settings), settings)


def training_of(config: RunConfig) -> tuple[str, str, str | None]:
    """Return what two configs of one and the same training share."""
    return config.digest(), config.device, config.dataset.path


def checked_points(base: ConfigFields, points: Sequence[Settings]) -> tuple[RunConfig, ...]:
    """Return the config of every point; raise InputError, naming the first that is wrong.

    Two points of the same training are refused too: one was given twice, or a setting of one
    undoes another of it.
    """
    configs: list[RunConfig] = []
    seen: dict[tuple[str, str, str | None], str] = {}
    for number, settings in enumerate(points, start=1):
        label = label_of_point(number, settings)
        config = base.point(name_of_point(base, settings, number, len(points)), label, settings)
        same = training_of(config)
        if same in seen:
            raise InputError(
                f"is the same training as {seen[same]}",
                source=label,
                hint="leave one out; --repeats says how often each point is measured",
            )
        seen[same] = label
        configs.append(config)
    return tuple(configs)


def label_of_point(number: int, settings: Settings) -> str:
    """Return how messages name a point."""
    text = settings_text(settings)
    shown = text if len(text) <= _LONGEST_LABEL else f"{text[:_LONGEST_LABEL]}..."
    return f"point {number} ({shown})"


def name_of_point(base: ConfigFields, settings: Settings, number: int, planned: int) -> str:
    """Return the name of a point's config: the config's, the point's number, its settings."""

    place = f"{number:0{len(str(planned))}d}"
    words = "-".join(
        f"{field.rpartition('.')[2]}-{value_text(value)}" for field, value in settings.items()
    )
    name = _plain(f"{_short_name(base)}-{place}-{words}")
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
