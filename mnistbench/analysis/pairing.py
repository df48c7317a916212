"""Which times stand against which, and the interval of each phase's ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mnistbench.analysis import stats
from mnistbench.analysis.sides import ConfigRuns, Times

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Design:
    """Which times stand against which."""

    paired: bool
    unit: str
    """`repeat`, or `machine` where a side was measured on several."""
    text: str
    """For people."""


def design_of(base: ConfigRuns, new: ConfigRuns) -> Design:
    """Return how the runs of two sides stand to each other: paired or not, by repeat or machine."""
    nodes = [{run.node for run in config.runs if run.node} for config in (base, new)]
    if max(map(len, nodes)) > 1:
        if len(nodes[0] & nodes[1]) > 1:
            return Design(True, "machine", "paired: each machine with itself, its median repeat")
        return Design(False, "machine", "not paired: different machines, the median repeat of each")
    sessions = [{run.session for run in config.runs} for config in (base, new)]
    if sessions[0] == sessions[1] and "" not in sessions[0]:
        return Design(True, "repeat", "paired: measured interleaved, repeat by repeat")
    return Design(
        False,
        "repeat",
        "not paired: measured one after the other. The intervals are widened for autocorrelation "
        "and for the usual drift between neighbouring runs; a drift beyond that cannot be seen "
        "from them. To be sure, measure both at once: mnistbench benchmark A B --repeats 10",
    )


def samples_of(
    base: ConfigRuns, new: ConfigRuns, phase: str, design: Design
) -> tuple[Array, Array]:
    """Return the times of both sides; one for each pair, in the same order, if paired."""
    before, after = base.phases[phase], new.phases[phase]
    if design.unit == "machine":
        left, right = _by_machine(base, before), _by_machine(new, after)
    elif design.paired:
        left, right = _by_round(base, before), _by_round(new, after)
    else:
        return before.seconds, after.seconds
    if not design.paired:
        return np.array(list(left.values())), np.array(list(right.values()))
    shared = [key for key in left if key in right]
    return np.array([left[key] for key in shared]), np.array([right[key] for key in shared])


def _by_machine(config: ConfigRuns, times: Times) -> dict[object, float]:
    """Return the median time of each machine."""
    nodes, codes = np.unique([run.node for run in config.runs], return_inverse=True)
    machine = codes[times.run]
    order = np.lexsort((times.seconds, machine))
    seconds, machine = times.seconds[order], machine[order]
    starts = np.flatnonzero(np.diff(machine, prepend=-1))
    counts = np.diff(starts, append=len(seconds))
    # The middle one of each machine's sorted times, or the mean of the middle two.
    lower, upper = starts + (counts - 1) // 2, starts + counts // 2
    medians = (seconds[lower] + seconds[upper]) / 2
    return {str(nodes[machine[start]]): float(m) for start, m in zip(starts, medians, strict=True)}


def _by_round(config: ConfigRuns, times: Times) -> dict[object, float]:
    """Return the time of each round of each session; runs of one config in one are numbered."""
    found: dict[object, float] = {}
    numbers: dict[tuple[str, int], int] = {}
    for seconds, repeat, run in zip(times.seconds, times.repeat, times.run, strict=True):
        place = (config.runs[run].session, int(repeat))
        numbers[place] = numbers.get(place, 0) + 1
        found[(place, numbers[place])] = float(seconds)
    return found


def intervals_of(
    samples: Sequence[tuple[Array, Array]], design: Design, confidence: float
) -> list[tuple[stats.Interval, float]]:
    """Return the interval of each phase and its confidence; all phases are judged together."""

    def interval(sample: tuple[Array, Array], confidence: float) -> stats.Interval:
        if design.paired:
            return stats.paired_ratio(*sample, confidence)
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
