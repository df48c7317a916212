"""The machine measured beside a session: its calibration and its peak, before and after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mnistbench.analysis.roofline import SHARES, peaks, share_metrics
from mnistbench.config.frameworks import MACHINE_BACKEND
from mnistbench.measuring.executor import Executor
from mnistbench.measuring.startup import measuring_environment
from mnistbench.measuring.workers import Workers
from mnistbench.results.rows import MetricRow, Sample
from mnistbench.results.tables import CALIBRATION, LOG, METRICS, PEAK
from mnistbench.session.crews import Crew, may_gauge
from mnistbench.session.events import Gauging, Listener
from mnistbench.session.rates import measure_calibration, measure_peak, rate_rows
from mnistbench.session.records import RepeatRecord, Run


class MachineGauge:
    """Measures the machine in fresh processes, outside every timed phase, once for each device.

    Its workloads are TensorFlow's, so that figures of all backends have one measure.
    """

    def __init__(
        self,
        crews: Sequence[Crew],
        calibrate: bool,
        roofline: bool,
        tell: Listener,
    ) -> None:
        """Rows go to the folders of the crews' runs; what was not asked for leaves no file.

        Where nothing else needs TensorFlow, no calibration is worth its import.
        """
        runs = [run for crew in crews for run in crew.runs]
        self._runs = runs
        self._crews = crews
        calibrate = calibrate and all(run.config.backend == MACHINE_BACKEND for run in runs)
        self._calibrate = calibrate
        self._roofline = roofline
        self._tell = tell
        self._peaks: dict[str, list[Sequence[Sample]]] = {}
        for run in runs:
            if calibrate:
                run.folder.write_table(CALIBRATION, [])
            if roofline:
                run.folder.write_table(PEAK, [])

    def measure(self, moment: str) -> None:
        """Measure what was asked for; raise RunError if the machine cannot be measured."""
        for device in dict.fromkeys(run.device for run in self._runs):
            log = self._first(device).folder.path / LOG
            if self._calibrate:
                samples = self._with_tensorflow(measure_calibration, device, log)
                self._keep(CALIBRATION, device, samples, moment)
            if self._roofline:
                self._tell(Gauging(moment))
                samples = self._with_tensorflow(measure_peak, device, log)
                self._keep(PEAK, device, samples, moment)
                self._peaks.setdefault(device, []).append(samples)

    def conclude(self) -> None:
        """Give every finished repeat its share of the peaks, as far as they were measured."""
        if not self._roofline:
            return
        for run in self._runs:
            run.peaks = peaks(self._peaks[run.device])
            run.repeats = [_with_shares(record, run) for record in run.repeats]
            rows = [
                MetricRow(run.run_id, record.turn.repeat, m.name, m.value, m.unit)
                for record in run.repeats
                for m in record.metrics
                if m.name in SHARES
            ]
            run.folder.append(METRICS, rows)

    def _with_tensorflow(
        self, measure: Callable[[Executor, str, Path], tuple[Sample, ...]], device: str, log: Path
    ) -> tuple[Sample, ...]:
        """Measure in a process of TensorFlow's, a run's kind of process if there is one."""
        for crew in self._crews:
            first = crew.runs[0]
            if first.device == device and may_gauge(first.config):
                return measure(crew.executor, device, log)
        return measure(Workers(measuring_environment(device), "auto"), device, log)

    def _first(self, device: str) -> Run:
        return next(run for run in self._runs if run.device == device)

    def _keep(self, table: str, device: str, samples: Sequence[Sample], moment: str) -> None:
        for run in self._runs:
            if run.device == device:
                run.folder.append(table, rate_rows(samples, run.run_id, moment))


def _with_shares(record: RepeatRecord, run: Run) -> RepeatRecord:
    if record.result is None:
        return record
    shares = share_metrics(record.metrics, record.result.precision, run.peaks)
    return replace(record, metrics=(*record.metrics, *shares))
