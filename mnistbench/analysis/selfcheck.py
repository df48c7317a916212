"""A machine against itself: how often equal things look different on it, and what can be seen.

One config is measured twice in turn, as `benchmark A A`, and its pairs are judged as `compare`
judges them. What the few real comparisons cannot tell is drawn from their pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from mnistbench.analysis import stats
from mnistbench.analysis.comparison import Rules, paired_times
from mnistbench.analysis.pairing import INTERLEAVED, removed_of
from mnistbench.analysis.sides import read_side
from mnistbench.errors import InputError
from mnistbench.results.phases import TRAIN
from mnistbench.results.rows import SelfcheckRow

Array = npt.NDArray[Any]

FALSE_ALARMS = "false_alarms"
SLOWDOWN_FOUND = "slowdown_found"
SMALLEST_CHANGE = "smallest_change"
PAIRS_NEEDED = "pairs_needed"
DISJOINT = "disjoint"
RESAMPLED = "resampled"

SIZES = (5, 10, 20, 30)
"""Pairs of a comparison that a user would run."""
SLOWDOWNS = (0.05, 0.10, 0.20)
CHANGES = (0.02, 0.05, 0.10)
POWER = 0.90
"""Share of comparisons in which a change must be found to count as visible."""
RULES = Rules(phases=(TRAIN,))
"""As `compare --phase train` has them by default."""
ENOUGH_TO_DRAW_FROM = 20
"""Pairs below which the largest differences that the machine has are likely to be missing."""

_DRAWS = 4_000
_DRAWS_OF_A_SEARCH = 1_000
_MOST_TO_SHUFFLE = 1_000  # in more, few are drawn twice by chance
_NUMBERS_OF_PAIRS = (3, 4, 5, 7, 10, 14, 20, 28, 40, 56, 80, 112, 160, 240, 350, 500, 700, 1_000)


@dataclass(frozen=True)
class Selfcheck:
    """What was found, from how many pairs."""

    config: str
    design: str
    """`interleaved`, `duet` or `one-core`: how the pairs were measured."""
    pairs: int
    overall: stats.Interval
    """The ratio over all pairs: of equal things, so its truth is 1."""
    verdict: stats.Verdict
    spread: float
    """Typical size of one pair's difference, as a share: the median of it without its sign."""
    rows: tuple[SelfcheckRow, ...]


def check_folders(base: str, new: str, seed: int) -> Selfcheck:
    """Check what two folders hold; raise InputError if they are not one config in one session."""
    sides = [read_side(name, (TRAIN,)) for name in (base, new)]
    sample, design = paired_times(sides[0], sides[1], TRAIN)
    configs = [side.configs[0] for side in sides]
    if configs[0].digest != configs[1].digest:
        raise InputError(
            f"is not the config of {base}: a difference would be no false alarm",
            source=new,
            hint="give the two runs of one mnistbench selfcheck, or of benchmark A A",
        )
    base_seconds, new_seconds, waiting = sample
    return check(configs[0].name, base_seconds, new_seconds, seed, waiting, design.name)


def pairs_needed(checked: Selfcheck, change: float) -> int | None:
    """Return the pairs that see a change, 0.1 for 10 %; None if 1,000 are not enough."""
    row = find(checked.rows, PAIRS_NEEDED, RESAMPLED, change=change)
    return None if row is None else row.pairs


@dataclass(frozen=True)
class _Pairs:
    """Pairs of equal things, in the order measured."""

    changes: Array
    """Logarithms of NEW / BASE."""
    waiting: Array
    """How many more CPU threads others kept busy beside NEW; 0 where it is not known."""
    removed: int
    """Effects that were taken out of the pairs before."""

    def ratio(self, chosen: Array, sign: Array | float = 1.0) -> stats.Interval:
        """Return what `compare` says of comparisons of the chosen pairs, by their places."""
        changes, waiting = self.changes[chosen] * sign, self.waiting[chosen] * sign
        ones = np.ones_like(changes)
        return stats.paired_ratio(ones, np.exp(changes), RULES.confidence, self.removed, waiting)


def check(
    config: str, base: Array, new: Array, seed: int, waiting: Array | None = None,
    design: str = INTERLEAVED,
) -> Selfcheck:  # fmt: skip
    """Return what pairs of equal things tell: seconds of both sides, in the order measured.

    `waiting` is as `stats.paired_ratio` has it; `design` is how they were measured.
    Raises InputError below two pairs, and where the clock could not tell them apart.
    """
    if len(base) < 2 or np.array_equal(base, new):
        raise InputError(
            f"{len(base)} pairs of times that differ cannot be checked", hint="measure more"
        )
    random = np.random.default_rng(seed)
    changes = np.log(new / base)
    pairs = _Pairs(
        changes, np.zeros(len(changes)) if waiting is None else waiting, removed_of(design)
    )
    overall = pairs.ratio(np.arange(len(changes)))
    rows = (*_disjoint(pairs), *_resampled(pairs, random), *_pairs_needed(pairs, random))
    spread = float(np.expm1(np.median(np.abs(changes))))
    verdict = stats.verdict(overall, RULES.margin)
    rows = tuple(replace(row, design=design) for row in rows)
    return Selfcheck(config, design, len(base), overall, verdict, spread, rows)


def _disjoint(pairs: _Pairs) -> Iterator[SelfcheckRow]:
    """Cut the pairs, in the order measured, into comparisons that share none, and judge each."""
    for n in SIZES:
        count = len(pairs.changes) // n
        if not count:
            continue
        found = pairs.ratio(np.arange(count * n).reshape(count, n))
        yield _counted(FALSE_ALARMS, n, None, _called(found, stats.FASTER, stats.SLOWER))
        for slowdown in SLOWDOWNS:
            slower = _scaled(found, 1 + slowdown)
            yield _counted(SLOWDOWN_FOUND, n, slowdown, _called(slower, stats.SLOWER))


def _resampled(pairs: _Pairs, random: np.random.Generator) -> Iterator[SelfcheckRow]:
    """Draw comparisons from all pairs, with the sides of each swapped at random."""
    for n in SIZES:
        if n > len(pairs.changes):
            return
        found = _drawn(pairs, n, _DRAWS, random)
        alarms = _called(found, stats.FASTER, stats.SLOWER)
        yield _drawn_row(FALSE_ALARMS, n, None, alarms)
        for slowdown in SLOWDOWNS:
            slower = _called(_scaled(found, 1 + slowdown), stats.SLOWER)
            yield _drawn_row(SLOWDOWN_FOUND, n, slowdown, slower)
        change = _smallest_change(found)
        yield SelfcheckRow(
            SMALLEST_CHANGE, RESAMPLED, n, change, _DRAWS, None, POWER, None, None, ""
        )


def _pairs_needed(pairs: _Pairs, random: np.random.Generator) -> Iterator[SelfcheckRow]:
    """Look at some numbers of pairs, and read off between them what each change needs."""
    seen = {
        n: _smallest_change(_drawn(pairs, n, _DRAWS_OF_A_SEARCH, random)) for n in _NUMBERS_OF_PAIRS
    }
    known = {n: change for n, change in seen.items() if change is not None}
    # Chance must not make more pairs look worse; on these scales the curve is almost straight.
    falling = np.minimum.accumulate(np.log(np.log1p(list(known.values()))))
    for change in CHANGES:
        wanted = np.log(np.log1p(change))
        n = None
        if len(falling) and falling[-1] <= wanted:
            n = ceil(np.exp(np.interp(wanted, falling[::-1], np.log(list(known))[::-1])))
        yield SelfcheckRow(
            PAIRS_NEEDED, RESAMPLED, n, change, _DRAWS_OF_A_SEARCH, None, POWER, None, None, ""
        )


def _drawn(pairs: _Pairs, n: int, draws: int, random: np.random.Generator) -> stats.Interval:
    """Judge `draws` comparisons of n pairs drawn from all, with a sign by chance.

    Nobody can say which of two equal things is BASE: a sign by chance keeps them equal exactly.
    No pair is drawn twice for one comparison where there are enough: pairs that are equal for
    that reason would look more precise than they are.
    """
    places = np.arange(len(pairs.changes))
    if n <= len(places) <= _MOST_TO_SHUFFLE:
        chosen = random.permuted(np.broadcast_to(places, (draws, len(places))), axis=1)[:, :n]
    else:
        chosen = random.choice(places, (draws, n))
    return pairs.ratio(chosen, random.choice((-1.0, 1.0), (draws, n)))


def _scaled(interval: stats.Interval, factor: float) -> stats.Interval:
    """Return the intervals as they are with every time of NEW so many times longer."""
    return stats.Interval(interval.ratio * factor, interval.low * factor, interval.high * factor)


def _smallest_change(equal: stats.Interval) -> float | None:
    """Return the slowdown whose interval excludes "unchanged" in POWER of the comparisons.

    A slowdown of s moves the low end by 1 + s, so no search is needed. None if no slowdown does.
    """
    low = float(np.quantile(equal.low, 1 - POWER))
    return 1 / low - 1 if low > 0 else None


def _called(interval: stats.Interval, *verdicts: stats.Verdict) -> npt.NDArray[np.bool_]:
    return np.isin(stats.verdicts(interval, RULES.margin), verdicts)


def _counted(
    figure: str, n: int, change: float | None, happened: npt.NDArray[np.bool_]
) -> SelfcheckRow:
    from scipy.stats import binomtest

    count, comparisons = int(happened.sum()), len(happened)
    interval = binomtest(count, comparisons).proportion_ci(0.95, method="exact")
    return SelfcheckRow(
        figure, DISJOINT, n, change, comparisons, count, count / comparisons,
        float(interval.low), float(interval.high), "",
    )  # fmt: skip


def _drawn_row(
    figure: str, n: int, change: float | None, happened: npt.NDArray[np.bool_]
) -> SelfcheckRow:
    count = int(happened.sum())
    share = count / len(happened)
    return SelfcheckRow(figure, RESAMPLED, n, change, len(happened), count, share, None, None, "")


def find(
    rows: Sequence[SelfcheckRow],
    figure: str,
    how: str,
    pairs: int | None = None,
    change: float | None = None,
) -> SelfcheckRow | None:
    """Return the row of a figure; with `pairs` or `change` None, whatever it has there."""
    for row in rows:
        if (row.figure, row.how) == (figure, how):
            if pairs is not None and row.pairs != pairs:
                continue
            if change is not None and row.change != change:
                continue
            return row
    return None
