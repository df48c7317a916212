"""The database in which tables are read: what breaks off a query is told as what it is."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from mnistbench.results.database import connected

LONG = "SELECT sum(hash(range)) FROM range(300000000)"  # of one task, which DuckDB ends first


@pytest.fixture
def interrupted_soon() -> Iterator[None]:
    """Let a signal come that is taken for Ctrl-C, as TERM and HUP are."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such timer")
def test_an_interrupt_within_a_query_is_one(interrupted_soon: None) -> None:
    with pytest.raises(KeyboardInterrupt), connected() as database:
        database.execute(LONG)


def test_another_error_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="else"), connected():
        raise RuntimeError("something else")
