"""The turns of a sweep: round by round, every point once in each, what is done passed over."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Literal

from mnistbench.config.run_config import RunConfig
from mnistbench.results.phrases import duration
from mnistbench.session.events import News
from mnistbench.session.records import RepeatRecord, Turn
from mnistbench.session.schedule import interleaved

Ending = Literal["finished", "interrupted", "stopped", "time-is-up", "detached"]


class Rounds:
    """A schedule of so many rounds, that ends earlier where time is up or somebody asks for it.

    A round is begun if it can end in time, by what its points took before; the points of a first
    round one by one. So a sweep that ran out of time has whole rounds, but for the first.
    """

    def __init__(
        self,
        configs: Sequence[RunConfig],
        repeats: int,
        done: Collection[tuple[int, int]],
        seconds: Mapping[int, float],
        deadline: float | None,
        is_stopped: Callable[[], bool],
        tell: Callable[[News], None],
        clock: Callable[[], float] = time.monotonic,
        at_once: int = 1,
    ) -> None:
        """`done` are places and repeats that are not measured again.

        `seconds` is what a point took, by its place, as far as is known; `deadline` is by `clock`.
        `at_once` are measured together, and each takes what all of them take.
        """
        self.ending: Ending = "finished"
        self.expected_turns = len(configs) * repeats - len(done)
        self._at_once = at_once
        self._done, self._deadline = done, deadline
        self._is_stopped, self._tell, self._clock = is_stopped, tell, clock
        self._seconds = dict(seconds)
        self._sum_of_seconds = sum(seconds.values())
        self._rounds = self._in_rounds(interleaved(configs, range(1, repeats + 1)))
        self._round: list[Turn] = []
        self._is_promised = False
        self._left = self.expected_turns
        self._is_told = False
        self._started = clock()

    def _in_rounds(self, turns: Iterator[Turn]) -> Iterator[list[Turn]]:
        for _, of_round in itertools.groupby(turns, key=lambda turn: turn.repeat):
            open_turns = [
                turn for turn in of_round if (turn.config_index, turn.repeat) not in self._done
            ]
            if open_turns:
                yield open_turns

    def next_turn(self) -> Turn | None:
        """Return the next turn; None after the last, or where it must not begin."""
        if self._is_stopped():
            self.ending = "stopped"
            return None
        is_new = not self._round
        if is_new:
            self._round = next(self._rounds, [])[::-1]
        if not self._round:
            return None
        if is_new:
            self._promise_round()
        if not self._is_promised and not self._fits(self._expected(self._round[-1])):
            self.ending = "time-is-up"
            return None
        self._started = self._clock()
        return self._round.pop()

    def ended(self, record: RepeatRecord) -> None:
        """Note what the point took."""
        place, seconds = record.turn.config_index, self._clock() - self._started
        self._sum_of_seconds += seconds - self._seconds.get(place, 0.0)
        self._seconds[place] = seconds
        self._left -= 1

    def outcome(self) -> None:
        """There is no target."""

    def _promise_round(self) -> None:
        """Decide on a round as a whole, if it is known what each of its points takes."""
        self._is_promised = False
        if any(turn.config_index not in self._seconds for turn in self._round):
            return
        of_round = sum(self._seconds[turn.config_index] for turn in self._round)
        self._is_promised = self._fits(of_round / self._at_once)
        if not self._is_promised:
            self._deadline = float("-inf")
        elif not self._is_told:
            self._is_told = True
            more = self._sum_of_seconds / len(self._seconds) * self._left / self._at_once
            self._tell(News(f"by what was measured it will take about {duration(more)} more"))

    def _fits(self, seconds: float) -> bool:
        return self._deadline is None or self._clock() + seconds <= self._deadline

    def _expected(self, turn: Turn) -> float:
        """Return what a turn will take; of a point not measured before the mean of the others."""
        known = len(self._seconds)
        mean = self._sum_of_seconds / known if known else 0.0
        return self._seconds.get(turn.config_index, mean)
