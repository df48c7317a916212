"""The turns of a process that measures one point of many, elsewhere: its rows say which it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mnistbench.results.rows import Metric
from mnistbench.session.events import Listener
from mnistbench.session.records import RepeatRecord, Run, Turn
from mnistbench.session.sweep.progress import ATTEMPT
from mnistbench.session.turns import Measurer


@dataclass(frozen=True)
class InAttempt:
    """Measures as another does, and names the attempt in every repeat."""

    measurer: Measurer
    key: str
    at_once = 1

    def measure(
        self, turns: Sequence[Turn], runs: Sequence[Run], tell: Listener
    ) -> list[RepeatRecord]:
        """Measure the turns."""
        # First: what comes last tells that all of them are there.
        return [
            replace(record, metrics=(Metric(ATTEMPT, self.key, ""), *record.metrics))
            for record in self.measurer.measure(turns, runs, tell)
        ]
