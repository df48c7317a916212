"""A schedule that repeats until the train time is known well enough."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence

from mnistbench.config.run_config import RunConfig
from mnistbench.results.phases import STATUS_OK, TRAIN
from mnistbench.results.phrases import duration, percent
from mnistbench.session.events import News
from mnistbench.session.records import RepeatRecord, Turn
from mnistbench.session.schedule import interleaved
from mnistbench.session.target import (
    FAILURES_IN_A_ROW,
    LEAST_REPEATS,
    Ending,
    Precision,
    Target,
    TargetOutcome,
    precision_of_one,
    precision_of_two,
    widest,
)

_FIRST_NEWS = 3  # repeats after which a width is worth telling
_LOOK_STEP = 1.05


def is_look(n: int) -> bool:
    """Return whether the rule looks after n repeats: at each up to 20, then at 5 % more each."""
    return n <= 20 or n == _first_look_from(n)


def _first_look_from(n: int) -> int:
    look = 20
    while look < n:
        look = max(look + 1, math.floor(look * _LOOK_STEP))
    return look


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
            return (precision_of_one(f"train of {names[0]}", list(self._seconds[0].values())),)
        base = self._seconds[0]
        return tuple(
            precision_of_two(f"train of {name} / {names[0]}", base, times)
            for name, times in zip(names[1:], self._seconds[1:], strict=True)
        )

    def _judge(self) -> Ending | None:
        """Look at the end of a round; return why it is the last one."""
        recorded = self._recorded()
        if max(self._failures) >= FAILURES_IN_A_ROW:
            return "failed"
        if recorded >= _FIRST_NEWS and is_look(recorded):
            width = widest(self.precisions())
            if recorded >= self._least and width is not None and width <= self._target.half_width:
                return "reached"
            self._tell(News(self._news(width)))
        if self._elapsed() + self._round_seconds() > self._target.max_seconds:
            return "time-is-up"
        return None

    def _news(self, width: float | None) -> str:
        now = "nothing can be said yet" if width is None else f"within {percent(width)} by now"
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
