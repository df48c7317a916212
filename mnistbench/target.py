"""Repeats until the train time is known well enough, by a rule that allows for its own looking."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mnistbench import stats
from mnistbench.config import RunConfig
from mnistbench.phrases import duration, percent
from mnistbench.runs import News, RepeatRecord, Turn
from mnistbench.schedule import interleaved
from mnistbench.timing import STATUS_OK, TRAIN

Array = npt.NDArray[Any]

LEAST_REPEATS = 10
"""Fewer can look precise by chance: no rule that stops at them keeps its promise."""
CONFIDENCE = 0.95
"""What the interval is promised to hold after all the looking."""

_FIRST_NEWS = 3  # repeats after which a width is worth telling
_LOOK_STEP = 1.05
_FAILURES_IN_A_ROW = 3

Ending = Literal["reached", "time-is-up", "failed", "interrupted"]


@dataclass(frozen=True)
class Target:
    """How precise the train time shall be, and how long that may take."""

    half_width: float
    """Largest distance from the typical time to an end of its interval, as a share of it."""
    max_seconds: float
    """No round of repeats begins that would be expected to end later."""


@dataclass(frozen=True)
class Precision:
    """What is known of one train time, or of the ratio of two, after some repeats."""

    what: str
    """For people: `train of mnist-dense`, or `train of mnist-mlp / mnist-dense`."""
    is_ratio: bool
    n: int
    """Finished repeats, or pairs."""
    centre: float | None
    """Typical seconds, or typical ratio; None below two repeats, as is all that follows."""
    low: float | None
    """End of the 95 % interval; None too where all repeats took equally long."""
    high: float | None

    @property
    def half_width(self) -> float | None:
        """Return the distance to the interval's farther end as a share of the centre."""
        if self.centre is None or self.high is None:
            return None
        return self.high / self.centre - 1

    def repeats_for(self, half_width: float) -> int | None:
        """Return the repeats expected to be enough for a half-width; None if unknown."""
        if self.half_width is None:
            return None
        shrink = math.log1p(self.half_width) / math.log1p(half_width)
        return max(LEAST_REPEATS, math.ceil(self.n * shrink**2))


@dataclass(frozen=True)
class TargetOutcome:
    """How the repeats ended, and how precise the times are."""

    target: Target
    ending: Ending
    precisions: tuple[Precision, ...]
    """One for the single config; else one for each config but the first, against the first."""
    repeats_expected: int | None
    """Repeats that would have been enough; None where it was reached or is unknown."""
    seconds_expected: float | None
    """Time the missing ones would have taken."""

    @property
    def widest(self) -> float | None:
        """Return the largest half-width; None if one is unknown."""
        return _widest(self.precisions)


def is_look(n: int) -> bool:
    """Return whether the rule looks after n repeats: at each up to 20, then at 5 % more each."""
    return n <= 20 or n == _first_look_from(n)


def _first_look_from(n: int) -> int:
    look = 20
    while look < n:
        look = max(look + 1, math.floor(look * _LOOK_STEP))
    return look


def typical_time(seconds: Array) -> stats.Interval:
    """Return the typical time and the interval that stays right if one stops when it is narrow."""
    return stats.typical_time(seconds, stats.after_looking(CONFIDENCE))


def typical_ratio(base: Array, new: Array) -> stats.Interval:
    """Return the typical ratio of pairs, with an interval of the same kind."""
    return stats.paired_ratio(base, new, stats.after_looking(CONFIDENCE))


class UntilPrecise:
    """A schedule that goes on, round by round, until the target is reached or the time is up."""

    def __init__(
        self,
        configs: Sequence[RunConfig],
        target: Target,
        warmup: int,
        tell: Callable[[News], None],
        least: int = LEAST_REPEATS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`warmup` repeats of each config run first; `least` are recorded whatever they show."""
        self._configs, self._target, self._tell = configs, target, tell
        self._least = max(least, LEAST_REPEATS)
        self._warmup = warmup
        self._clock = clock
        self._start: float | None = None
        self._turns: Iterator[Turn] = interleaved(configs, itertools.count(1 - warmup))
        self._left_in_round = len(configs)
        self._rounds = 0
        self._seconds: list[dict[int, float]] = [{} for _ in configs]
        self._failures = [0] * len(configs)
        self._ending: Ending | None = None

    @property
    def expected_turns(self) -> int:
        """Return the turns of the whole session that are expected now."""
        needed = self._repeats_expected() or self._least
        rounds = self._warmup + max(needed, self._least)
        if self._rounds:
            rounds = min(rounds, int(self._target.max_seconds / self._round_seconds()))
        begun = self._rounds + (self._left_in_round < len(self._configs))
        return max(rounds, begun) * len(self._configs)

    def next_turn(self) -> Turn | None:
        """Return the next turn; None where the session is over."""
        if self._start is None:
            self._start = self._clock()
        if not self._left_in_round:
            self._rounds += 1
            self._left_in_round = len(self._configs)
            self._ending = self._judge()
            if self._ending is not None:
                return None
        self._left_in_round -= 1
        return next(self._turns)

    def ended(self, record: RepeatRecord) -> None:
        """Keep the train time of a turn that has ended."""
        turn = record.turn
        if record.status != STATUS_OK:
            self._failures[turn.config_index] += 1
            return
        self._failures[turn.config_index] = 0
        if not turn.is_warmup:
            times = {phase.phase: phase.seconds for phase in record.phases}
            seconds = times[TRAIN]
            assert seconds is not None  # the repeat finished
            self._seconds[turn.config_index][turn.repeat] = seconds

    def outcome(self) -> TargetOutcome:
        """Return how it ended, and how precise the times are."""
        ending = self._ending or "interrupted"
        expected = None if ending == "reached" else self._repeats_expected()
        missing = None
        if expected is not None and self._rounds:
            missing = max(0, expected - self._recorded()) * self._round_seconds()
        return TargetOutcome(self._target, ending, self.precisions(), expected, missing)

    def precisions(self) -> tuple[Precision, ...]:
        """Return what is known by now of the one config, or of each against the first."""
        names = [config.name for config in self._configs]
        if len(names) == 1:
            return (_of_one(f"train of {names[0]}", list(self._seconds[0].values())),)
        base = self._seconds[0]
        return tuple(
            _of_two(f"train of {name} / {names[0]}", base, times)
            for name, times in zip(names[1:], self._seconds[1:], strict=True)
        )

    def _judge(self) -> Ending | None:
        """Look at the end of a round; return why it is the last one."""
        recorded = self._recorded()
        if max(self._failures) >= _FAILURES_IN_A_ROW:
            return "failed"
        if recorded >= _FIRST_NEWS and is_look(recorded):
            widest = _widest(self.precisions())
            if recorded >= self._least and widest is not None and widest <= self._target.half_width:
                return "reached"
            self._tell(News(self._news(widest)))
        if self._elapsed() + self._round_seconds() > self._target.max_seconds:
            return "time-is-up"
        return None

    def _news(self, widest: float | None) -> str:
        now = "nothing can be said yet" if widest is None else f"within {percent(widest)} by now"
        goal = f"{percent(self._target.half_width)} are wanted"
        expected = self._repeats_expected()
        if expected is None:
            return f"{now}, {goal}"
        more = max(expected, self._least) - self._recorded()
        seconds = more * self._round_seconds()
        left = self._target.max_seconds - self._elapsed()
        late = f", more than the {duration(max(left, 0))} left" if seconds > left else ""
        return f"{now}, {goal}: about {more} more rounds, {duration(seconds)}{late}"

    def _recorded(self) -> int:
        """Return the rounds so far that were no warm-ups."""
        return max(0, self._rounds - self._warmup)

    def _repeats_expected(self) -> int | None:
        expected = [p.repeats_for(self._target.half_width) for p in self.precisions()]
        known = [number for number in expected if number is not None]
        return max(known) if len(known) == len(expected) else None

    def _elapsed(self) -> float:
        return 0.0 if self._start is None else self._clock() - self._start

    def _round_seconds(self) -> float:
        return max(self._elapsed() / self._rounds, 1e-9)


def facts_before(target: Target) -> Mapping[str, object]:
    """Return what machine.csv tells of the rule before anything is measured."""
    return {"target_ci": target.half_width, "target_ci_max_seconds": target.max_seconds}


def facts_after(outcome: TargetOutcome) -> Mapping[str, object]:
    """Return what machine.csv tells of how the rule ended."""
    return {
        "target_ci_ending": outcome.ending,
        "target_ci_of": "; ".join(precision.what for precision in outcome.precisions),
        "target_ci_half_width": outcome.widest,
        "target_ci_repeats_expected": outcome.repeats_expected,
    }


def outcome_lines(outcome: TargetOutcome) -> list[str]:
    """Return how it ended, and each interval, for people."""
    wanted = percent(outcome.target.half_width)
    lines = [_precision_line(precision) for precision in outcome.precisions]
    if outcome.ending == "reached":
        return [f"Precise enough, within {wanted}:", *lines]
    why = {
        "time-is-up": f"Time is up ({duration(outcome.target.max_seconds)})",
        "failed": f"Given up after {_FAILURES_IN_A_ROW} failures in a row",
        "interrupted": "Interrupted",
    }[outcome.ending]
    expected = ""
    if outcome.repeats_expected is not None and outcome.seconds_expected is not None:
        expected = (
            f"; it would have taken about {outcome.repeats_expected} repeats, "
            f"{duration(outcome.seconds_expected)} more"
        )
    return [f"{why} before the train time was known within {wanted}{expected}:", *lines]


def _precision_line(precision: Precision) -> str:
    n = f"n = {precision.n}{' pairs' if precision.is_ratio else ''}"
    if precision.half_width is None or precision.centre is None:
        return f"  {precision.what}: too few or too equal repeats to tell, {n}"
    unit, where = ("", "") if precision.is_ratio else (" s", ", in this session")
    return (
        f"  {precision.what}{where}: {precision.centre:.4g}{unit}, {CONFIDENCE:.0%} interval "
        f"{precision.low:.4g} to {precision.high:.4g}{unit} "
        f"(within {percent(precision.half_width)}), {n}"
    )


def _widest(precisions: Sequence[Precision]) -> float | None:
    widths = [precision.half_width for precision in precisions]
    known = [width for width in widths if width is not None]
    return max(known) if len(known) == len(widths) else None


def _of_one(what: str, seconds: Sequence[float]) -> Precision:
    if len(seconds) < 2:
        return Precision(what, False, len(seconds), None, None, None)
    return _precision(what, False, len(seconds), typical_time(np.array(seconds)))


def _of_two(what: str, base: Mapping[int, float], new: Mapping[int, float]) -> Precision:
    shared = [number for number in base if number in new]
    if len(shared) < 2:
        return Precision(what, True, len(shared), None, None, None)
    times = ([side[number] for number in shared] for side in (base, new))
    return _precision(what, True, len(shared), typical_ratio(*map(np.array, times)))


def _precision(what: str, is_ratio: bool, n: int, found: stats.Interval) -> Precision:
    known = bool(np.isfinite(found.high))
    low, high = (float(found.low), float(found.high)) if known else (None, None)
    return Precision(what, is_ratio, n, float(found.ratio), low, high)
