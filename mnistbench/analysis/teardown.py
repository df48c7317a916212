"""What the release of TensorFlow's input pipelines adds to the times of two configs."""

from __future__ import annotations

from statistics import mean

from mnistbench.analysis.sides import ConfigRuns, Side
from mnistbench.analysis.waiting import numbers_of, repeats_of
from mnistbench.results.evidence_rows import Numbers
from mnistbench.results.phases import TEST, TRAIN

PHASES = (TRAIN, TEST)
LEAST_SHARE = 0.02
"""Of a phase: less is not worth a line."""

_MOST_RUNS = 8
"""Of many, nobody reads a line on each, and their files would take longer than all the rest."""


def teardown_remarks(base: tuple[ConfigRuns, Side], new: tuple[ConfigRuns, Side]) -> list[str]:
    """Return a line for each phase of which it took a part worth telling, on either side."""
    if len(base[0].runs) + len(new[0].runs) > _MOST_RUNS:
        return []
    numbers = numbers_of((base[0], new[0]), [_metric(phase) for phase in PHASES])
    lines = []
    for phase in PHASES:
        parts = {side.name: _part(config, phase, numbers) for config, side in (base, new)}
        told = [
            f"{part[0]:.2g} s ({part[1]:.0%}) in {name}" for name, part in parts.items() if part
        ]
        if any(part and part[1] >= LEAST_SHARE for part in parts.values()):
            lines.append(
                f"{phase}: releasing input pipelines took {' and '.join(told)}, on average; "
                f"--metric {phase}_without_teardown_seconds leaves it out"
            )
    return lines


def _metric(phase: str) -> str:
    return f"{phase}_teardown_seconds"


def _part(config: ConfigRuns, phase: str, numbers: Numbers) -> tuple[float, float] | None:
    """Return the mean seconds, and their share of the mean phase; None where they are not known."""
    if phase not in config.phases:
        return None
    values = config.phases[phase]
    told = [numbers.get(repeat, {}).get(_metric(phase)) for repeat in repeats_of(config, values)]
    known = [seconds for seconds in told if seconds is not None]
    if not known:
        return None
    return mean(known), mean(known) / float(values.amounts.mean())
