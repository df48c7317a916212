"""Did the repeats of a run get slower or faster as it went on? A trend over their order, tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.01
"""A trend is told if chance alone shows one as clear in no more than this share of runs.

Chance means repeats that know nothing of each other. Those of a real machine do: with the lag-1
autocorrelation of .28 measured on a shared one, up to 5 % of runs are told, without a trend; at a
level of 5 % it would be 14 %.
"""

FEWEST_REPEATS = 6
"""Of five repeats, the clearest order there is comes by chance in 1.7 % of runs: above LEVEL."""

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Trend:
    """How much longer the last repeat takes than the first, by the trend of all of them."""

    repeats: int
    ratio: float
    """Last / first: above 1 is slower."""
    low: float
    """End of the ratio's 95 % interval."""
    high: float
    p_value: float
    """How often chance alone shows a trend as clear."""

    @property
    def is_clear(self) -> bool:
        """Return whether it is more than chance."""
        return self.p_value < LEVEL


def trend(order: Sequence[int], seconds: Sequence[float]) -> Trend | None:
    """Return the trend of times over their places in the order measured.

    Kendall's tau tests it, and Theil and Sen's slope over the logarithms of the times gives its
    size: both ask only for order, so that one wild repeat does not make a trend. None for fewer
    than FEWEST_REPEATS, and for times that are all the same.
    """
    if len(seconds) < FEWEST_REPEATS or min(seconds) == max(seconds) or min(seconds) <= 0:
        return None
    # Imported here: it takes half a second, and nothing else of a benchmark needs it.
    import numpy as np
    from scipy import stats

    slope, _, low, high = stats.theilslopes(np.log(seconds), order, alpha=CONFIDENCE)
    length = max(order) - min(order)
    ratio, lowest, highest = np.exp(np.array([slope, low, high]) * length)
    p_value = stats.kendalltau(order, seconds).pvalue
    return Trend(len(seconds), float(ratio), float(lowest), float(highest), float(p_value))
