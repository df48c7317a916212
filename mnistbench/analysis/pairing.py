"""Which times stand against which, and the interval of each phase's ratio."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from mnistbench.analysis import stats
from mnistbench.analysis.sides import ConfigRuns, Values
from mnistbench.results.phases import AT_ONCE, STATUS_DUET, STATUS_ONE_CORE, STATUS_PARALLEL

Array = npt.NDArray[Any]

INTERLEAVED = "interleaved"
LEAST_OF_EACH_HALF = 2

Key = TypeVar("Key")


@dataclass(frozen=True)
class Design:
    """Which times stand against which."""

    paired: bool
    unit: str
    """`repeat`, or `machine` where a side was measured on several."""
    text: str
    """For people."""
    name: str = INTERLEAVED
    """`duet` and `one-core` for pairs whose two sides were measured at the same time."""
    obstacle: str = ""
    """Why the times of the two sides are no times of one kind; empty if they are."""

    @property
    def is_at_once(self) -> bool:
        """Return whether whatever happened met both sides of a pair alike."""
        return self.name in AT_ONCE

    @property
    def removed(self) -> int:
        """Return how many effects are estimated from the pairs and taken out: the places' one."""
        return removed_of(self.name)


def removed_of(design: str) -> int:
    """Return how many effects are taken out of pairs that were measured so."""
    return int(design in AT_ONCE)


def design_of(base: ConfigRuns, new: ConfigRuns) -> Design:
    """Return how the runs of two sides stand to each other: paired or not, by repeat or machine."""
    sessions = [{run.session for run in config.runs} for config in (base, new)]
    is_one_session = sessions[0] == sessions[1] and "" not in sessions[0]
    designs = {run.design for config in (base, new) for run in config.runs}
    if len(designs) > 1:
        return _of_two_kinds(designs)
    if designs <= set(AT_ONCE):
        return _at_once(designs.pop(), is_one_session)
    nodes = [{run.node for run in config.runs if run.node} for config in (base, new)]
    if max(map(len, nodes)) > 1:
        if len(nodes[0] & nodes[1]) > 1:
            return Design(True, "machine", "paired: each machine with itself, its median repeat")
        return Design(False, "machine", "not paired: different machines, the median repeat of each")
    if is_one_session:
        return Design(True, "repeat", "paired: measured interleaved, repeat by repeat")
    return Design(
        False,
        "repeat",
        "not paired: measured one after the other. The intervals are widened for autocorrelation "
        "and for the usual drift between neighbouring runs; a drift beyond that cannot be seen "
        "from them. To be sure, measure both at once: mnistbench benchmark A B --repeats 10",
    )


def _of_two_kinds(designs: Collection[str]) -> Design:
    """Return that times were measured in ways that cannot be compared, naming one of them."""
    return _unlike(words_of(max(designs)))


def _unlike(why: str) -> Design:
    return Design(False, "repeat", f"not paired: one side was {why}", obstacle=why)


def words_of(design: str) -> str:
    """Return how a run was measured that was not alone on the machine: `measured ...`."""
    if design in AT_ONCE:
        return _BESIDE[design]
    number = design.removeprefix(STATUS_PARALLEL)
    return f"measured {number} at a time: each on its share of the cores, beside the others"


_BESIDE = {
    STATUS_DUET: "measured in a duet: on half of the cores, beside a busy neighbour",
    STATUS_ONE_CORE: "measured on one core, which it shared with a busy neighbour, by the "
    "processor's time",
}
_TOGETHER = {
    STATUS_DUET: "a duet, measured at the same time, each side on half of the cores and the halves "
    "swapped every round",
    STATUS_ONE_CORE: "measured at the same time, both sides in turns of milliseconds on one core "
    "and their places swapped every round; times are those of the processor",
}
_ONLY_A_RATIO = "the ratio is what it tells, the times are none of the whole machine"


def _at_once(name: str, is_whole: bool) -> Design:
    if not is_whole:
        return _unlike(words_of(name))
    return Design(True, "repeat", f"paired: {_TOGETHER[name]}; {_ONLY_A_RATIO}", name)


def samples_of(
    base: ConfigRuns, new: ConfigRuns, values: tuple[Values, Values], design: Design
) -> tuple[Array, Array]:
    """Return the values of both sides; one for each pair, in the same order, if paired.

    They are above 0, and compared by their ratios.
    """
    before, after = values
    if design.unit == "machine":
        return _set_against(
            machine_medians(base, before), machine_medians(new, after), design.paired
        )
    if not design.paired:
        return before.amounts, after.amounts
    sides = shared_rounds(base, new, values)
    if not design.removed:
        return sides
    left, right = _by_round(base, before), _by_round(new, after)
    return without_halves(*sides, np.array([key[1] for key in left if key in right]))


def shared_rounds(
    base: ConfigRuns, new: ConfigRuns, values: tuple[Values, Values]
) -> tuple[Array, Array]:
    """Return the values of both sides of the rounds that both have, in one order."""
    return _set_against(_by_round(base, values[0]), _by_round(new, values[1]), paired=True)


def _set_against(
    left: Mapping[Key, float], right: Mapping[Key, float], paired: bool
) -> tuple[Array, Array]:
    """Return the values of both sides: of the keys that both have, in one order, if paired."""
    if not paired:
        return np.array(list(left.values())), np.array(list(right.values()))
    shared = [key for key in left if key in right]
    return np.array([left[key] for key in shared]), np.array([right[key] for key in shared])


def without_halves(base: Array, new: Array, rounds: Array) -> tuple[Array, Array]:
    """Return the times of both sides without what the halves of the cores differ by.

    Odd rounds have BASE on one half, even ones on the other: the difference of their typical log
    ratios is twice that of the halves. It is left in where a kind of round has fewer than two.
    """
    is_odd = rounds % 2 == 1
    if min(is_odd.sum(), (~is_odd).sum()) < LEAST_OF_EACH_HALF:
        return base, new
    changes = np.log(new / base)
    halves = (np.median(changes[is_odd]) - np.median(changes[~is_odd])) / 2
    shift = np.exp(np.where(is_odd, halves, -halves) / 2)
    return base * shift, new / shift


def machine_medians(config: ConfigRuns, values: Values) -> dict[str, float]:
    """Return the median value of each machine."""
    nodes, codes = np.unique([run.node for run in config.runs], return_inverse=True)
    machine = codes[values.run]
    order = np.lexsort((values.amounts, machine))
    amounts, machine = values.amounts[order], machine[order]
    starts = np.flatnonzero(np.diff(machine, prepend=-1))
    counts = np.diff(starts, append=len(amounts))
    # The middle one of each machine's sorted values, or the mean of the middle two.
    lower, upper = starts + (counts - 1) // 2, starts + counts // 2
    medians = (amounts[lower] + amounts[upper]) / 2
    return {str(nodes[machine[start]]): float(m) for start, m in zip(starts, medians, strict=True)}


Round = tuple[str, int, int]
"""A round's session, its number, and which of several runs of one config in it."""


def _by_round(config: ConfigRuns, values: Values) -> dict[Round, float]:
    """Return the value of each round of each session; runs of one config in one are numbered."""
    amounts: dict[Round, float] = {}
    numbers: dict[tuple[str, int], int] = {}
    for amount, repeat, run in zip(values.amounts, values.repeat, values.run, strict=True):
        session, number = config.runs[run].session, int(repeat)
        numbers[session, number] = numbers.get((session, number), 0) + 1
        amounts[session, number, numbers[session, number]] = float(amount)
    return amounts


Sample = tuple[Array, Array, Array | None]
"""The values of both sides, and how many more CPU threads others kept busy beside NEW, pair by
pair; None if unknown."""


def interval_of(sample: Sample, design: Design, confidence: float) -> stats.Interval:
    """Return the interval of one phase, as if it were the only one."""
    base, new, waiting = sample
    if design.paired:
        return stats.paired_ratio(base, new, confidence, design.removed, waiting)
    return stats.unpaired_ratio(base, new, confidence, one_machine=design.unit == "repeat")


def intervals_of(
    samples: Sequence[Sample], design: Design, confidence: float
) -> list[tuple[stats.Interval, float]]:
    """Return the interval of each phase and its confidence; all phases are judged together."""

    def interval(sample: Sample, confidence: float) -> stats.Interval:
        return interval_of(sample, design, confidence)

    # What cannot be told, such as the one import of a run, takes nothing from the others.
    judged = [number for number, (*both, _) in enumerate(samples) if min(map(len, both)) > 1]
    found = stats.step_down(
        len(judged), confidence, lambda number, each: interval(samples[judged[number]], each)
    )
    known = dict(zip(judged, found, strict=True))
    return [
        known.get(number) or (interval(sample, confidence), confidence)
        for number, sample in enumerate(samples)
    ]
