"""Which repeat of which config comes next: a schedule is told of each that ended, and decides."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from mnistbench.config.run_config import RunConfig
from mnistbench.session.records import RepeatRecord, Turn, derived_seed

if TYPE_CHECKING:
    from mnistbench.session.target import TargetOutcome


class Schedule(Protocol):
    """The turns of a session, one after the other."""

    @property
    def expected_turns(self) -> int:
        """Return the turns of the whole session, as far as can be told now."""

    def next_turn(self) -> Turn | None:
        """Return the next turn; None where the session is over."""

    def ended(self, record: RepeatRecord) -> None:
        """Take note of a turn that has ended, warm-ups included."""

    def outcome(self) -> TargetOutcome | None:
        """Return how near a target it came; None without one."""


class FixedRepeats:
    """As many repeats of each config as were asked for, and some in place of contended ones."""

    def __init__(
        self, configs: Sequence[RunConfig], repeats: int, warmup: int, rerun_contended: int = 0
    ) -> None:
        """`repeats` are recorded, `warmup` more of each config run first.

        Up to `rerun_contended` rounds follow, until as many as `repeats` were undisturbed. All
        configs are in them, so that each repeat keeps its partner.
        """
        self.expected_turns = len(configs) * (repeats + warmup)
        self._round_size = len(configs)
        self._contended: set[int] = set()
        self._turns = interleaved(configs, self._rounds(repeats, warmup, rerun_contended))

    def _rounds(self, repeats: int, warmup: int, rerun_contended: int) -> Iterator[int]:
        yield from range(1 - warmup, repeats + 1)
        for number in range(repeats + 1, repeats + rerun_contended + 1):
            if number - 1 - len(self._contended) >= repeats:
                return
            self.expected_turns += self._round_size
            yield number

    def next_turn(self) -> Turn | None:
        """Return the next turn; None after the last round."""
        return next(self._turns, None)

    def ended(self, record: RepeatRecord) -> None:
        """Note whether its round was disturbed."""
        if record.is_contended and not record.turn.is_warmup:
            self._contended.add(record.turn.repeat)

    def outcome(self) -> None:
        """There is no target."""


def interleaved(configs: Sequence[RunConfig], rounds: Iterable[int]) -> Iterator[Turn]:
    """Give the repeats in the order they run: round by round, each round shuffled.

    Configs measured in blocks would be confounded with drift of the machine; the order within a
    round is drawn from the first config's seed, so that it is recorded and can be had again.
    """
    order = 0
    for number in rounds:
        indices = list(range(len(configs)))
        random.Random(f"{configs[0].training.seed}:{number}").shuffle(indices)
        for index in indices:
            order += 1
            yield Turn(index, number, derived_seed(configs[index].training.seed, number), order)
