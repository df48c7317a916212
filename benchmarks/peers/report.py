"""From the outcomes of every round to a table of each config."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from scipy.stats import quantile_test

from mnistbench.analysis.stats import paired_ratio
from peers.contenders import CONTENDERS, FUSED, SEED, Outcome

CONFIDENCE = 0.95
FEWEST = 5
"""Rounds that a ratio needs to be a claim: one of fewer stands in brackets."""

ACCURACY_MARGIN = 0.03
"""Whose median accuracy is further below the seed's has not learnt the same: it is marked."""

COLUMNS = (
    "peer", "n", "train s", "without compiling s", "times as fast as the seed",
    "fused is faster by", "fused is faster by, without compiling",
    "fused is faster by, from the images' bytes", "accuracy", "peak MB",
    "contended", "remark",
)  # fmt: skip
UNKNOWN = "-"


@dataclass(frozen=True)
class Entry:
    """One process of one round."""

    config: str
    peer: str
    round: int
    """From 1."""
    place: int
    """In the order drawn for the round, from 1."""
    outcome: Outcome
    other_cpu_share: float | None = None
    """Of the CPU time meanwhile, used by other processes; None where it cannot be read."""
    contended: bool | None = None


def rows_of(config: str, entries: Sequence[Entry]) -> list[tuple[str, ...]]:
    """Return the table of one config: a row for each peer that was asked for."""
    of = [entry for entry in entries if entry.config == config]
    asked = {entry.peer for entry in of}
    return [_row(name, of) for name in CONTENDERS if name in asked]


def _row(peer: str, entries: list[Entry]) -> tuple[str, ...]:
    outcomes = [entry.outcome for entry in entries if entry.peer == peer]
    good = [outcome for outcome in outcomes if outcome.train_seconds is not None]
    if not good:
        return (CONTENDERS[peer].title, "0", *[UNKNOWN] * (len(COLUMNS) - 3), _problem(outcomes))
    accuracies = [outcome.accuracy for outcome in good if outcome.accuracy is not None]
    peaks = [outcome.peak_rss_bytes for outcome in good if outcome.peak_rss_bytes is not None]
    return (
        CONTENDERS[peer].title,
        str(len(good)),
        _seconds([outcome.train_seconds for outcome in good]),
        _seconds([outcome.compiled_seconds for outcome in good]),
        _ratio(entries, peer, SEED, "train_seconds"),
        _ratio(entries, FUSED, peer, "train_seconds"),
        _ratio(entries, FUSED, peer, "compiled_seconds"),
        _ratio(entries, FUSED, peer, "from_bytes_seconds"),
        f"{median(accuracies):.4f}" if accuracies else UNKNOWN,
        f"{median(peaks) / 1e6:,.0f}" if peaks else UNKNOWN,
        _contended([entry for entry in entries if entry.peer == peer]),
        "; ".join(filter(None, [_remark(peer, entries), _problem(outcomes)])),
    )


def _seconds(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return UNKNOWN
    interval = quantile_test(known, q=median(known), p=0.5).confidence_interval(CONFIDENCE)
    return _with_interval(f"{median(known):.2f}", interval.low, interval.high)


def _ratio(entries: list[Entry], base: str, new: str, figure: str) -> str:
    """Return NEW's seconds over BASE's, by the rounds in which both ended."""
    if base == new:
        return UNKNOWN
    by_round: dict[str, dict[int, float]] = {base: {}, new: {}}
    for entry in entries:
        seconds = getattr(entry.outcome, figure)
        if entry.peer in by_round and seconds is not None:
            by_round[entry.peer][entry.round] = seconds
    rounds = sorted(by_round[base].keys() & by_round[new].keys())
    if not rounds:
        return UNKNOWN
    before, after = (
        np.array([by_round[peer][number] for number in rounds]) for peer in (base, new)
    )
    found = paired_ratio(before, after, CONFIDENCE)
    told = _with_interval(f"{float(found.ratio):.2f}", float(found.low), float(found.high))
    return told if len(rounds) >= FEWEST else f"({told})"


def _with_interval(text: str, low: float, high: float) -> str:
    """Add an interval, unless the rounds are too few for one."""
    known = math.isfinite(low) and math.isfinite(high)
    return f"{text} [{low:.2f}, {high:.2f}]" if known else text


def _contended(entries: Sequence[Entry]) -> str:
    known = [entry.contended for entry in entries if entry.contended is not None]
    return f"{sum(known)} of {len(known)}" if known else UNKNOWN


def _remark(peer: str, entries: list[Entry]) -> str:
    """Say where a peer did less than the seed: fewer steps, or nothing learnt."""
    steps, accuracy = (
        {
            name: [
                value
                for entry in entries
                if entry.peer == name and (value := getattr(entry.outcome, figure)) is not None
            ]
            for name in (SEED, peer)
        }
        for figure in ("steps", "accuracy")
    )
    if steps[SEED] and set(steps[peer]) != set(steps[SEED]):
        return f"took {steps[peer][0]} steps, not {steps[SEED][0]}"
    if accuracy[SEED] and median(accuracy[peer]) < median(accuracy[SEED]) - ACCURACY_MARGIN:
        return f"learns less than the seed's {median(accuracy[SEED]):.4f}"
    return ""


def _problem(outcomes: list[Outcome]) -> str:
    """Return why a peer did not run, once."""
    said = {f"{outcome.status}: {outcome.reason}" for outcome in outcomes if outcome.reason}
    return "; ".join(sorted(said))


def markdown(config: str, entries: Sequence[Entry]) -> str:
    """Return the table of one config, under a heading."""
    lines = [COLUMNS, ("---", *["---:"] * (len(COLUMNS) - 2), "---"), *rows_of(config, entries)]
    table = "\n".join(f"| {' | '.join(c.replace('|', '/') for c in line)} |" for line in lines)
    return f"## {config}\n\n{table}\n"
