"""What the points of a sweep show: the best, the fastest, and what each setting does.

A choice among many is told as one: "best of N", and on which images it was made. An effect is of
pairs that differ in one setting alone, measured in the same round on the same machine.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

import numpy as np

from mnistbench.analysis import stats
from mnistbench.results.phases import STATUS_OK, STATUS_PRUNED
from mnistbench.results.rows import PointRow, SweepRow

SelectOn = Literal["test", "validation"]

CONFIDENCE = 0.95
LEAST_PAIRS = 3
"""Fewer give an interval from nothing to a thousandfold: they are too few to tell."""
BEST, FASTEST, FASTEST_TO = "best_accuracy", "fastest", "fastest_to_accuracy"
TRAIN_RATIO, ACCURACY_DIFFERENCE = "train_ratio", "accuracy_difference"
PLANNED, BEGUN, MEASURED, FAILED = "planned", "begun", "measured", "failed"
PRUNED = "pruned"


@dataclass(frozen=True)
class RepeatFigures:
    """What a sweep needs to know of one repeat that has ended."""

    repeat: int
    """Also the number of its round."""
    status: str
    node: str
    train_seconds: float | None
    total_seconds: float | None
    wall_seconds: float | None
    """From before its process was made to after its end."""
    test_accuracy: float | None
    validation_accuracy: float | None
    seconds_to_accuracy: float | None
    """None without a target, and where it was not reached."""
    contended: bool
    design: str = ""
    """`parallel:N` where N were measured at a time; empty where it was alone on the machine."""
    attempt: str = ""
    """The process that measured its point, where that was one of many; empty for this one."""


@dataclass(frozen=True)
class Point:
    """One point, and its repeats so far."""

    number: int
    """From 1, as in sweep.yaml."""
    settings: str
    """As for `--set`."""
    values: tuple[str, ...]
    """Of every setting that the sweep changes, in its order; the config's where it leaves it."""
    folder: str
    """The name of its run's folder."""
    repeats: tuple[RepeatFigures, ...] = ()

    @property
    def finished(self) -> list[RepeatFigures]:
        """Return the repeats that came to their end."""
        return [repeat for repeat in self.repeats if repeat.status == STATUS_OK]

    @property
    def failed(self) -> list[RepeatFigures]:
        """Return the repeats that broke off."""
        whole = (STATUS_OK, STATUS_PRUNED)
        return [repeat for repeat in self.repeats if repeat.status not in whole]

    @property
    def is_pruned(self) -> bool:
        """Return whether a search ended a training of it early: it is measured no more."""
        return any(repeat.status == STATUS_PRUNED for repeat in self.repeats)

    def is_done(self, planned: int) -> bool:
        """Return whether nothing of it is left to measure, of so many planned repeats."""
        return self.is_pruned or len(self.repeats) >= planned

    def median(self, figure: str) -> float | None:
        """Return the median of a figure over the finished repeats that have it."""
        values = [getattr(repeat, figure) for repeat in self.finished]
        known = [value for value in values if value is not None]
        return median(known) if known else None

    @property
    def seconds_to_accuracy(self) -> float | None:
        """Return the median time to the target; None where a repeat never reached it."""
        if any(repeat.seconds_to_accuracy is None for repeat in self.finished):
            return None
        return self.median("seconds_to_accuracy")


@dataclass(frozen=True)
class Choice:
    """The point that is first by some figure."""

    finding: str
    point: Point
    value: float
    """The median of the figure: an accuracy or seconds."""
    of: int
    """Points that it was chosen from."""


@dataclass(frozen=True)
class Effect:
    """What one value of a setting does, against another, with all else equal."""

    finding: str
    """A ratio of train times, or a difference of accuracies."""
    field: str
    base: str
    value: str
    pairs: int
    estimate: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Findings:
    """What a sweep shows so far."""

    select_on: SelectOn
    """The images that the best accuracy is of."""
    choices: tuple[Choice, ...]
    effects: tuple[Effect, ...]
    front: frozenset[int]
    """The numbers of the points that no other is both faster and at least as accurate as."""

    def choice(self, finding: str) -> Choice | None:
        """Return one of the choices, if there is one."""
        return next((each for each in self.choices if each.finding == finding), None)


def findings_of(points: Sequence[Point], fields: Sequence[str], select_on: SelectOn) -> Findings:
    """Return what the points' finished repeats show; `fields` are the settings they differ in."""
    accuracy = f"{select_on}_accuracy"
    choices = _choices(points, accuracy)
    effects = [
        effect
        for place, field in enumerate(fields)
        for effect in _effects(points, place, field, accuracy)
    ]
    return Findings(select_on, tuple(choices), tuple(effects), _front(points, accuracy))


def state_of(point: Point, planned: int) -> str:
    """Return how far a point is, of so many planned repeats."""
    if point.failed:
        return FAILED
    if point.is_pruned:
        return PRUNED
    if len(point.repeats) >= planned:
        return MEASURED
    return BEGUN if point.repeats else PLANNED


def point_row(point: Point, planned: int, with_test_accuracy: bool = True) -> PointRow:
    """Return a point as points.csv has it."""
    return PointRow(
        point.number,
        point.settings,
        state_of(point, planned),
        point.folder if point.repeats else "",
        len(point.repeats),
        len(point.failed),
        sum(repeat.contended for repeat in point.repeats),
        point.median("train_seconds"),
        point.median("total_seconds"),
        point.median("test_accuracy") if with_test_accuracy else None,
        point.median("validation_accuracy"),
        point.seconds_to_accuracy,
        " ".join(dict.fromkeys(repeat.node for repeat in point.repeats)),
    )


def sweep_rows(findings: Findings) -> list[SweepRow]:
    """Return the findings as sweep.csv has them."""
    chosen = [
        SweepRow(
            choice.finding, choice.point.number, choice.point.settings, "", "",
            len(choice.point.finished), choice.value, None, None, remark_on(choice, findings),
        )
        for choice in findings.choices
    ]  # fmt: skip
    effects = [
        SweepRow(
            effect.finding, None, effect.field, effect.base, effect.value, effect.pairs,
            effect.estimate, effect.low, effect.high, "",
        )
        for effect in findings.effects
    ]  # fmt: skip
    return chosen + effects


def remark_on(choice: Choice, findings: Findings) -> str:
    """Return of how many a choice is the first, and on what it was decided."""
    if choice.finding == BEST:
        return f"best of {choice.of}, chosen on the {findings.select_on} set"
    return f"fastest of {choice.of}"


def _choices(points: Sequence[Point], accuracy: str) -> list[Choice]:
    wanted: tuple[tuple[str, float, Callable[[Point], float | None]], ...] = (
        (BEST, -1.0, lambda point: point.median(accuracy)),
        (FASTEST, 1.0, lambda point: point.median("train_seconds")),
        (FASTEST_TO, 1.0, lambda point: point.seconds_to_accuracy),
    )
    choices = []
    for finding, sign, figure in wanted:
        values = [(value, point) for point in points if (value := figure(point)) is not None]
        if values:
            # Of equal accuracies the faster point; of equal times the first.
            value, point = min(
                values, key=lambda each: (sign * each[0], each[1].median("train_seconds") or 0.0)
            )
            choices.append(Choice(finding, point, value, len(values)))
    return choices


def _front(points: Iterable[Point], accuracy: str) -> frozenset[int]:
    known = [
        (seconds, -right, point.number)
        for point in points
        if (seconds := point.median("train_seconds")) is not None
        and (right := point.median(accuracy)) is not None
    ]
    front, best = set(), 1.0
    for _, wrong, number in sorted(known):
        if wrong < best:
            front.add(number)
            best = wrong
    return frozenset(front)


def _effects(points: Sequence[Point], place: int, field: str, accuracy: str) -> list[Effect]:
    """Return what each value of one setting does against the first point's value of it."""
    if not points:
        return []
    base = points[0].values[place]
    alike: dict[tuple[str, ...], dict[str, Point]] = defaultdict(dict)
    for point in points:
        others = (*point.values[:place], *point.values[place + 1 :])
        alike[others][point.values[place]] = point
    pairs: dict[str, list[tuple[RepeatFigures, RepeatFigures]]] = defaultdict(list)
    for by_value in alike.values():
        if base in by_value:
            for value, point in by_value.items():
                if value != base:
                    pairs[value] += _pairs(by_value[base], point)
    return [
        effect
        for value, of_value in pairs.items()
        for effect in (
            _ratio(of_value, field, base, value),
            _difference(of_value, field, base, value, accuracy),
        )
        if effect is not None
    ]  # fmt: skip


def _pairs(base: Point, new: Point) -> list[tuple[RepeatFigures, RepeatFigures]]:
    """Return the finished repeats of the same round on the same machine.

    Of points that were measured by processes of their own there are no rounds: all repeats of one
    came before all of the other, and their medians are one pair.
    """
    before, after = _by_round(base), _by_round(new)
    return [(before[key], after[key]) for key in after if key in before]


def _by_round(point: Point) -> dict[tuple[int, str, bool], RepeatFigures]:
    """Return the finished repeats by round and machine; of each attempt one, in round 0."""
    rounds = {
        (repeat.repeat, repeat.node, False): repeat
        for repeat in point.finished
        if not repeat.attempt
    }
    by_node: dict[str, list[RepeatFigures]] = defaultdict(list)
    for repeat in point.finished:
        if repeat.attempt:
            by_node[repeat.node].append(repeat)
    return rounds | {(0, node, True): _typical(repeats) for node, repeats in by_node.items()}


def _typical(repeats: Sequence[RepeatFigures]) -> RepeatFigures:
    """Return the medians of what effects are made of, as one repeat."""

    def median_of(figure: str) -> float | None:
        known = [value for each in repeats if (value := getattr(each, figure)) is not None]
        return median(known) if known else None

    return replace(
        repeats[0],
        train_seconds=median_of("train_seconds"),
        test_accuracy=median_of("test_accuracy"),
        validation_accuracy=median_of("validation_accuracy"),
    )


Pairs = Sequence[tuple[RepeatFigures, RepeatFigures]]


def _ratio(pairs: Pairs, field: str, base: str, value: str) -> Effect | None:
    seconds = [
        (before.train_seconds, after.train_seconds)
        for before, after in pairs
        if before.train_seconds and after.train_seconds
    ]
    if not seconds:
        return None
    before_seconds, after_seconds = np.array(seconds).T
    interval = stats.paired_ratio(before_seconds, after_seconds, CONFIDENCE)
    low = float(interval.low)
    can_tell = low > 0 and len(seconds) >= LEAST_PAIRS
    ends = (low, float(interval.high)) if can_tell else (None, None)
    return Effect(TRAIN_RATIO, field, base, value, len(seconds), float(interval.ratio), *ends)


def _difference(pairs: Pairs, field: str, base: str, value: str, accuracy: str) -> Effect | None:
    accuracies = [(getattr(before, accuracy), getattr(after, accuracy)) for before, after in pairs]
    known = [pair for pair in accuracies if None not in pair]
    if not known:
        return None
    # A difference of d is a ratio of exp(d): one rule tells both.
    before_values, after_values = np.exp(np.array(known).T)
    interval = stats.paired_ratio(before_values, after_values, CONFIDENCE)
    can_tell = interval.low > 0 and len(known) >= LEAST_PAIRS
    low, high = (interval.low, interval.high) if can_tell else (None, None)
    return Effect(
        ACCURACY_DIFFERENCE, field, base, value, len(known),
        math.log(interval.ratio),
        None if low is None else math.log(low),
        None if high is None else math.log(high),
    )  # fmt: skip
