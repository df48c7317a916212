"""A machine against itself: one config measured twice in turn, as `benchmark A A`."""

from __future__ import annotations

import time
from pathlib import Path

from mnistbench.config.run_config import RunConfig
from mnistbench.results.phases import STATUS_DUET, STATUS_ONE_CORE
from mnistbench.results.phrases import duration
from mnistbench.session.benchmark import BenchmarkPlan, BenchmarkResult, run_benchmark
from mnistbench.session.duet import AtOnce
from mnistbench.session.events import Event, Listener, News, TurnEnded, TurnStarted

_WARMUP = 1
_HOW = {None: "in turn", STATUS_DUET: "in a duet", STATUS_ONE_CORE: "on one core"}


def measure(
    config: RunConfig, pairs: int, output: Path, tell: Listener, at_once: AtOnce | None
) -> BenchmarkResult:
    """Measure the config against itself, in turn or at once, telling how long it will take."""
    how = _HOW[at_once]
    plan = BenchmarkPlan((config, config), pairs, _WARMUP, output, at_once=at_once)
    turns = 2 * (pairs + _WARMUP)
    tell(
        News(
            f"{config.name} against itself, {how}: {pairs} pairs of fresh processes and "
            f"{_WARMUP} pair to warm up, which will tell how long it takes"
        )
    )
    return run_benchmark(plan, _with_expected_time(tell, turns))


def _with_expected_time(tell: Listener, turns: int) -> Listener:
    """Pass events on, and tell how long it will take once the warm-up shows it."""
    started: list[float] = []

    def listen(event: Event) -> None:
        tell(event)
        if isinstance(event, TurnStarted):
            started.append(time.monotonic())
        elif isinstance(event, TurnEnded) and event.done == 2 * _WARMUP:
            each = (time.monotonic() - started[0]) / event.done
            tell(News(f"it will take about {duration(each * (turns - event.done))}"))

    return listen
