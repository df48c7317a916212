"""How one call measures a sweep: what may differ when it is gone on with."""

from __future__ import annotations

from dataclasses import dataclass

from mnistbench.measuring.executor import StartMethod
from mnistbench.session.sweep.attempts import Attempt
from mnistbench.session.sweep.launchers.engine import EngineOf, Launch
from mnistbench.session.sweep.stations import ExecutorOf


@dataclass(frozen=True)
class Terms:
    """Who measures, where, and for how long."""

    start_method: StartMethod = "auto"
    max_seconds: float | None = None
    """From the call's beginning; None for no limit."""
    calibrate: bool = True
    """Whether to measure the machine's rates before and after."""
    executor_of: ExecutorOf | None = None
    """What makes processes; None for real ones."""
    parallel: int = 1
    """Repeats at a time, each on its share of this machine's cores."""
    launch: Launch | None = None
    """Who else is given the points; None where this process measures them."""
    engine_of: EngineOf | None = None
    """What gives points away; None for the real engine of `launch`."""
    attempt: Attempt | None = None
    """What this process is among those that measure a point; None where it measures them all."""

    @property
    def options(self) -> tuple[str, ...]:
        """Return the options with which another process measures alike."""
        chosen = () if self.start_method == "auto" else ("--start-method", self.start_method)
        return (*chosen, *(() if self.calibrate else ("--no-calibrate",)))
