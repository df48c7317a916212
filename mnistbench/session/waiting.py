"""What one waits for between a command and its first phase, part by part."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil

from mnistbench.config.frameworks import MACHINE_BACKEND
from mnistbench.config.run_config import RunConfig
from mnistbench.config.temporary import temporary_folder
from mnistbench.measuring.executor import Executor
from mnistbench.measuring.jobs import Probe
from mnistbench.measuring.startup import measuring_environment
from mnistbench.measuring.workers import Workers
from mnistbench.results.phases import PhaseStarted
from mnistbench.results.tables import LOG
from mnistbench.session.crews import may_gauge, probe_device
from mnistbench.session.events import Event, Listener, TurnStarted
from mnistbench.session.rates import measure_calibration


@dataclass(frozen=True)
class Waited:
    """The parts, in the order that `benchmark` waits for them."""

    command_seconds: float
    """From the start of the command's process: Python, its modules, the config."""
    framework_seconds: float
    """The import of the framework, and what it tells of itself and its devices."""
    calibration_seconds: float | None
    """Measuring the machine's rates; None where `benchmark` does not."""
    process_seconds: float
    """From the order for the first repeat to its first phase."""

    @property
    def seconds(self) -> float:
        """Return their sum."""
        parts = (self.command_seconds, self.framework_seconds, self.process_seconds)
        return sum(parts) + (self.calibration_seconds or 0.0)


def _gauging(executor: Executor, config: RunConfig, told: Probe) -> Executor:
    """Return whose processes measure the machine, as in a benchmark."""
    if may_gauge(config):
        return executor
    return Workers(measuring_environment(told.device), "auto")


class Waiting:
    """Measures the parts one by one, as a session comes to them."""

    def __init__(self) -> None:
        """The command's own part ends here."""
        self._command_seconds = max(0.0, time.time() - psutil.Process().create_time())
        self._framework_seconds = 0.0
        self._calibration_seconds: float | None = None
        self._ordered: float | None = None
        self._process_seconds: float | None = None

    def probe(self, executor: Executor, config: RunConfig) -> Probe:
        """Return what the framework tells, and measure the machine as `benchmark` does after that.

        Raises RunError if no process can tell.
        """
        with temporary_folder() as scratch:
            began = time.perf_counter()
            told = probe_device(executor, config.device, scratch / LOG)
            asked = time.perf_counter()
            self._framework_seconds = asked - began
            if config.backend == MACHINE_BACKEND:
                measure_calibration(_gauging(executor, config, told), told.device, scratch / LOG)
                self._calibration_seconds = time.perf_counter() - asked
        return told

    def listening(self, tell: Listener) -> Listener:
        """Return a listener that tells on, and sees how long the first process takes to begin."""

        def listen(event: Event) -> None:
            if isinstance(event, TurnStarted) and self._ordered is None:
                self._ordered = time.perf_counter()
            elif isinstance(event, PhaseStarted) and self._process_seconds is None:
                self._process_seconds = time.perf_counter() - (self._ordered or 0.0)
            tell(event)

        return listen

    def ended(self) -> Waited:
        """Return all parts, once a repeat has ended."""
        assert self._process_seconds is not None
        return Waited(
            self._command_seconds,
            self._framework_seconds,
            self._calibration_seconds,
            self._process_seconds,
        )
