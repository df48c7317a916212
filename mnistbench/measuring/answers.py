"""What a fast way answers, held against what `evaluate` does: a wrong answer has no time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mnistbench.errors import RunError

_SAME_BITS, _FEWER_BITS = 1e-4, 5e-2
"""By how much a probability may differ: in float32 on a CPU, where the order of additions alone
is another; and elsewhere, where numbers of fewer bits are multiplied (bfloat16, TF32)."""


def tolerance(precision: str, device: str) -> float:
    """Return by how much a probability may differ between two ways to compute it."""
    return _SAME_BITS if (precision, device) == ("float32", "cpu") else _FEWER_BITS


def check_answers(
    way: str, answers: npt.NDArray[Any], reference: npt.NDArray[Any], allowed: float
) -> float:
    """Return the largest difference of a probability; raise RunError where it is not allowed.

    Both are (n, classes). Within it the guesses are the same, but where the two best classes are
    no further apart. Numbers that are none are equal to such.
    """
    if answers.shape != reference.shape:
        raise RunError(
            f"{way} gives outputs of shape {answers.shape}, evaluate of {reference.shape}; "
            "none of its times is kept"
        )
    both_nan = np.isnan(answers) & np.isnan(reference)
    differences = np.where(both_nan, 0.0, np.abs(answers - reference)).max(axis=1)
    image = int(np.argmax(np.where(np.isnan(differences), np.inf, differences)))
    largest = float(differences[image])
    if largest <= allowed:
        return largest
    guess, other = int(np.argmax(answers[image])), int(np.argmax(reference[image]))
    takes = f"takes image {image} for class {guess}, evaluate for {other}: " * (guess != other)
    raise RunError(
        f"{way} answers wrongly: {takes}a probability of image {image} differs by {largest:.2g}, "
        f"and {allowed:g} is allowed; none of its times is kept"
    )
