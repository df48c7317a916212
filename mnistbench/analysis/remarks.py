"""What a reader must know of two configs beside their ratio: a line for each thing."""

from __future__ import annotations

from collections.abc import Sequence

from mnistbench.analysis.identity import DATA, HARDWARE, Difference
from mnistbench.analysis.judging import Samples
from mnistbench.analysis.pairing import Design
from mnistbench.analysis.sides import ConfigRuns, Side, Values, unfinished_text
from mnistbench.analysis.teardown import teardown_remarks
from mnistbench.results.phases import STATUS_ONE_CORE

Measured = tuple[ConfigRuns, Side]
"""One config of a side, and the side."""

_MOST_MACHINES = 6


def remarks_on(
    base: Measured, new: Measured, differing: Sequence[Difference], design: Design
) -> list[str]:
    """Return what is to be said of the machines, of each side, of disturbances and waits."""
    lines = _machines(base, new, differing, design)
    for config, side in (base, new):
        lines += _side(config, side)
    # Asleep while it releases its input, a process takes none of the processor's time.
    waits = [] if design.name == STATUS_ONE_CORE else teardown_remarks(base, new)
    return [*lines, *_contended(base, new), *waits]


def without_partner(
    base: ConfigRuns, new: ConfigRuns, samples: Sequence[Samples], design: Design
) -> list[str]:
    """Tell of values without a partner, of the phase or metric that has most of them."""
    if not design.paired or design.unit != "repeat":
        return []
    alone = [
        max(len(_values(side, each).amounts) for side in (base, new)) - len(each.base)
        for each in samples
    ]
    what = "values" if any(each.metric for each in samples) else "times"
    return [f"up to {max(alone)} {what} have no partner and are left out"] if any(alone) else []


def _values(config: ConfigRuns, samples: Samples) -> Values:
    return (config.phases if samples.metric is None else config.metrics)[samples.phase]


def was_looked_at(config: ConfigRuns) -> bool:
    """Return whether repeats went on until they looked precise enough."""
    return any(run.target for run in config.runs)


def _machines(
    base: Measured, new: Measured, differing: Sequence[Difference], design: Design
) -> list[str]:
    if any(difference.part == HARDWARE for difference in differing):
        return ["different hardware: the ratio is about the machines"]
    lines = []
    nodes = [sorted({run.node for run in config.runs if run.node}) for config, _ in (base, new)]
    if all(nodes) and not {*nodes[0]} & {*nodes[1]}:
        lines.append("different machines: the ratio may be about them")
    if design.unit == "machine":
        for names, (_, side) in zip(nodes, (base, new), strict=True):
            if 1 < len(names) <= _MOST_MACHINES:
                lines.append(
                    f"{side.name} holds {len(names)} machines, {', '.join(names)}: its typical "
                    "time is between theirs"
                )
    return lines


def _side(config: ConfigRuns, side: Side) -> list[str]:
    lines = []
    if was_looked_at(config):
        lines.append(
            f"{side.name}: --target-ci chose the number of repeats; the intervals are wider "
            "to allow for it"
        )
    if not config.identity.parts[DATA]:
        lines.append(f"{side.name} does not tell what data it was measured on")
    if config.unfinished:
        text = unfinished_text(config.unfinished, config.pruned)
        lines.append(f"{side.name}: {text}{',' if config.pruned else ''} and are left out")
    lines += [f"{side.name}: {line}" for line in side.left_out]
    if config.drifts:
        worst = max(config.drifts, key=lambda ratio: max(ratio, 1 / ratio))
        lines.append(
            f"{side.name}: the train phase drifted in {len(config.drifts)} of {len(config.runs)} "
            f"runs; the last repeat took up to {worst:.2f} times as long as the first"
        )
    return lines


def _contended(base: Measured, new: Measured) -> list[str]:
    """Tell of both sides in one line; the option is offered where it leaves something."""
    disturbed = [(config, side) for config, side in (base, new) if config.contended]
    if not disturbed:
        return []
    counts = " and ".join(
        f"{config.contended} of {config.repeats} in {side.name}" for config, side in disturbed
    )
    if base[1].without_contended:
        what = "left out"
    elif all(config.contended < config.repeats for config, _ in disturbed):
        what = "counted; --without-contended leaves them out"
    else:
        what = "counted"
    return [f"contended repeats, {counts}, are {what}"]
