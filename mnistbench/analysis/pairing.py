"""Which times stand against which, and the interval of each phase's ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from mnistbench.analysis import stats
from mnistbench.analysis.sides import ConfigRuns, Values

Array = npt.NDArray[Any]


DUET = "duet"
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
    swaps_halves: bool = False
    """Whether the two sides of a pair changed places, halves of the cores, from round to round."""
    obstacle: str = ""
    """Why the times of the two sides are no times of one kind; empty if they are."""

    @property
    def removed(self) -> int:
        """Return how many effects are estimated from the pairs and taken out: the halves' one."""
        return int(self.swaps_halves)


def design_of(base: ConfigRuns, new: ConfigRuns) -> Design:
    """Return how the runs of two sides stand to each other: paired or not, by repeat or machine."""
    sessions = [{run.session for run in config.runs} for config in (base, new)]
    is_one_session = sessions[0] == sessions[1] and "" not in sessions[0]
    designs = {run.design for config in (base, new) for run in config.runs}
    if designs != {""}:
        return _duet(is_one_session and designs == {DUET})
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


def _duet(is_whole: bool) -> Design:
    if not is_whole:
        why = "measured in a duet: on half of the cores, beside a busy neighbour"
        return Design(False, "repeat", f"not paired: one side was {why}", obstacle=why)
    return Design(
        True,
        "repeat",
        "paired: a duet, measured at the same time, each side on half of the cores and the halves "
        "swapped every round; the ratio is what it tells, the times are none of the whole machine",
        swaps_halves=True,
    )


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
    left, right = _by_round(base, before), _by_round(new, after)
    sides = _set_against(left, right, paired=True)
    if not design.swaps_halves:
        return sides
    return without_halves(*sides, np.array([key[1] for key in left if key in right]))


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


def intervals_of(
    samples: Sequence[tuple[Array, Array]], design: Design, confidence: float
) -> list[tuple[stats.Interval, float]]:
    """Return the interval of each phase and its confidence; all phases are judged together."""

    def interval(sample: tuple[Array, Array], confidence: float) -> stats.Interval:
        if design.paired:
            return stats.paired_ratio(*sample, confidence, removed=design.removed)
        one_machine = design.unit == "repeat"
        return stats.unpaired_ratio(*sample, confidence, one_machine=one_machine)

    # What cannot be told, such as the one import of a run, takes nothing from the others.
    judged = [number for number, sample in enumerate(samples) if min(map(len, sample)) > 1]
    found = stats.step_down(
        len(judged), confidence, lambda number, each: interval(samples[judged[number]], each)
    )
    known = dict(zip(judged, found, strict=True))
    return [
        known.get(number) or (interval(sample, confidence), confidence)
        for number, sample in enumerate(samples)
    ]
