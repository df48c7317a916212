"""How long TensorFlow takes to let go of its input pipelines: up to some seconds each, asleep.

An iterator over a tf.data pipeline has a thread that tunes it: it looks after 10 ms, after 20 more,
then 40, and so on. Whoever releases the iterator waits for that thread, and often nothing wakes it
before its time: `fit`, which releases one after each epoch, then ends 2.55, 5.11 or 10.23 s after
the epoch began, however fast the training is. A user waits as well, so it stays in the phases; it
is timed here, where the release itself happens, so that it can be told from the training.
"""

from __future__ import annotations

import time
from typing import Any

from tensorflow.python.data.ops import iterator_ops

_RESOURCE = "_iterator_resource"


class TeardownWatch:
    """Times each release of an iterator of this process."""

    def __init__(self) -> None:
        """Nothing is timed before `begin`."""
        self._seconds: float | None = None

    def begin(self) -> None:
        """Time every release from now on.

        It stays unknown where a TensorFlow releases its iterators in a way of its own, and becomes
        so with the first of them that holds nothing to release.
        """
        if self._seconds is not None or hasattr(iterator_ops.OwnedIterator, "__del__"):
            return
        self._seconds = 0.0

        def release(iterator: Any) -> None:
            if self._seconds is None or _RESOURCE not in vars(iterator):
                self._seconds = None
                return
            started = time.perf_counter()
            delattr(iterator, _RESOURCE)
            self._seconds += time.perf_counter() - started

        iterator_ops.OwnedIterator.__del__ = release

    @property
    def seconds(self) -> float | None:
        """Return what all releases so far took; None where it is not known."""
        return self._seconds
