"""What the release of TensorFlow's input pipelines adds to the times of two configs."""

from __future__ import annotations

import numpy as np

from mnistbench.analysis.sides import ConfigRuns, Side
from mnistbench.analysis.waiting import numbers_of
from mnistbench.results.phases import TEST, TRAIN

LEAST_SHARE = 0.02
"""Of a phase: less is not worth a line."""

_MOST_RUNS = 8
"""Of many, nobody reads a line on each, and their files would take longer than all the rest."""


def teardown_remarks(base: tuple[ConfigRuns, Side], new: tuple[ConfigRuns, Side]) -> list[str]:
    """Return a line for each phase of which it took a part worth telling, on either side."""
    if len(base[0].runs) + len(new[0].runs) > _MOST_RUNS:
        return []
    lines = []
    for phase in (TRAIN, TEST):
        shares = [_seconds_and_share(config, phase) for config, _ in (base, new)]
        if any(each is not None and each[1] >= LEAST_SHARE for each in shares):
            told = [
                f"{each[0]:.2g} s ({each[1]:.0%}) in {side.name}"
                for (_, side), each in zip((base, new), shares, strict=True)
                if each is not None
            ]
            lines.append(
                f"{phase}: releasing input pipelines took {' and '.join(told)}, on average; "
                f"--metric {phase}_without_teardown_seconds leaves it out"
            )
    return lines


def _seconds_and_share(config: ConfigRuns, phase: str) -> tuple[float, float] | None:
    """Return the mean seconds, and their share of the mean phase; None where they are not known."""
    name = f"{phase}_teardown_seconds"
    known = [each[name] for each in numbers_of([config], [name]).values() if name in each]
    if not known or phase not in config.phases:
        return None
    seconds = float(np.mean(known))
    return seconds, seconds / float(np.mean(config.phases[phase].amounts))
