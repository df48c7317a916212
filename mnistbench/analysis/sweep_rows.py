"""What a sweep shows, as rows of sweep.csv."""

from __future__ import annotations

from collections.abc import Sequence

from mnistbench.analysis.scaling import EFFICIENCY, ONE, scalings_of
from mnistbench.analysis.sweeps import BEST, Choice, Findings, Point
from mnistbench.config.frameworks import DEVICES
from mnistbench.results.rows import SweepRow


def finding_rows(
    findings: Findings, points: Sequence[Point], fields: Sequence[str]
) -> list[SweepRow]:
    """Return what a sweep shows as sweep.csv has it; `fields` are what the points differ in."""
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
    scalings = [
        SweepRow(
            EFFICIENCY, None, DEVICES, ONE, str(each.devices), each.pairs,
            each.efficiency, each.low, each.high, "",
        )
        for each in scalings_of(points, fields)
    ]  # fmt: skip
    return chosen + effects + scalings


def remark_on(choice: Choice, findings: Findings) -> str:
    """Return of how many a choice is the first, and on what it was decided."""
    if choice.finding == BEST:
        return f"best of {choice.of}, chosen on the {findings.select_on} set"
    return f"fastest of {choice.of}"
