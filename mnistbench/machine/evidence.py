"""Evidence beside every repeat: what changed on the machine meanwhile, and whether that disturbed.

Pure functions of two readings, one before the repeat's process started and one after it ended.
What could not be read is None, and so an empty cell. docs/contention.md has the rule's reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mnistbench.machine.gpus import GpuReading
from mnistbench.machine.readings import PRESSURES, EnergyCounter, Reading
from mnistbench.results.metrics import WALL_CLOCK_CHANGE
from mnistbench.results.rows import Metric

CONTENDED = "contended"
CONTENTION = "contention"

Value = float | int | str | bool | None

# A package that draws more than this could fill its counter twice in a repeat, unnoticed.
_MOST_WATTS = 500.0


@dataclass(frozen=True)
class Rule:
    """A sign of contention: a share that no quiet machine reaches."""

    metric: str
    """The row of metrics.csv that it looks at."""
    limit: float
    """The smallest share that is contention."""
    words: str
    """What it is, with a place for the share."""


OTHERS_LIMIT = 0.10
"""Of the CPU time, used by others. They take the cores that a repeat leaves idle first, so it is
twice as much as of what is lost; `benchmarks/contention.py` measures what costs a training 5 %."""
LOST_LIMIT = 0.05
"""Of the time wanted, withheld: lost outright, and judged by compare's default margin."""

RULES = (
    Rule("other_cpu_share", OTHERS_LIMIT, "other processes used {} of the CPU time"),
    Rule("steal_share", LOST_LIMIT, "the host kept {} of the CPU time wanted for other machines"),
    Rule("cpu_throttled_share", LOST_LIMIT, "the CPU quota withheld {} of the CPU time wanted"),
    Rule("pressure_memory_some_share", LOST_LIMIT, "something waited for memory {} of the time"),
)


def repeat_metrics(before: Reading, after: Reading) -> tuple[Metric, ...]:
    """Return the rows of metrics.csv for what changed, and whether the repeat was contended."""
    metrics = [*_cpu(before, after), *_pressure(before, after), *_states(before, after)]
    metrics += [*_energy(before, after), *_gpus(before, after)]
    return (*metrics, *contention({metric.name: metric.value for metric in metrics}))


def contention(values: Mapping[str, Value]) -> tuple[Metric, Metric]:
    """Return whether the repeat was contended, and by what in words.

    Unknown if no sign could be read. A sign that could not be read counts as absent.
    """
    shares = [(rule, values.get(rule.metric)) for rule in RULES]
    readable = [(rule, share) for rule, share in shares if isinstance(share, float)]
    signs = [rule.words.format(f"{share:.0%}") for rule, share in readable if share >= rule.limit]
    marked = bool(signs) if readable else None
    return Metric(CONTENDED, marked, ""), Metric(CONTENTION, "; ".join(signs) or None, "")


def is_contended(metrics: Sequence[Metric]) -> bool:
    """Return whether a repeat's metrics mark it; an unknown is no mark."""
    return any(metric.name == CONTENDED and metric.value is True for metric in metrics)


def worst_signs(repeats: Sequence[Sequence[Metric]]) -> list[str]:
    """Return each sign of contention in words, with its largest share over several repeats."""
    signs = []
    for rule in RULES:
        shares = [
            metric.value
            for metrics in repeats
            for metric in metrics
            if metric.name == rule.metric and isinstance(metric.value, float)
        ]
        worst = max(shares, default=0.0)
        if worst >= rule.limit:
            several = sum(share >= rule.limit for share in shares) > 1
            signs.append(rule.words.format(f"{'up to ' if several else ''}{worst:.0%}"))
    return signs


def _difference(before: float | None, after: float | None) -> float | None:
    """Return what a counter rose by; None if it is unknown, or was set back meanwhile."""
    if before is None or after is None or after < before:
        return None
    return after - before


def _share(seconds: float | None, of_seconds: float) -> float | None:
    return None if seconds is None or of_seconds <= 0 else seconds / of_seconds


def other_cpu_seconds(before: Reading, after: Reading) -> float | None:
    """Return the CPU time of everything on this process's cores but mnistbench itself."""
    busy, own = _busy(before, after), _own(before, after)
    if busy is None or own is None:
        return None
    # The machine is counted by ticks and a process exactly: on an idle machine that may be < 0.
    return max(0.0, busy - own)


def _busy(before: Reading, after: Reading) -> float | None:
    if before.cpu is None or after.cpu is None or before.cores != after.cores:
        return None
    return _difference(before.cpu.busy_seconds, after.cpu.busy_seconds)


def _own(before: Reading, after: Reading) -> float | None:
    return _difference(before.own_cpu_seconds, after.own_cpu_seconds)


def _withheld(seconds: float | None, used_seconds: float | None) -> float | None:
    """Return what was withheld as a share of what was wanted: used, or withheld."""
    if seconds is None or used_seconds is None:
        return None
    return _share(seconds, seconds + used_seconds)


def _cpu(before: Reading, after: Reading) -> list[Metric]:
    wall = after.at_seconds - before.at_seconds
    others = other_cpu_seconds(before, after)
    steal = throttled = throttled_periods = None
    if before.cpu is not None and after.cpu is not None:
        steal = _difference(before.cpu.steal_seconds, after.cpu.steal_seconds)
    if before.throttling is not None and after.throttling is not None:
        throttled = _difference(before.throttling.seconds, after.throttling.seconds)
        throttled_periods = _difference(before.throttling.periods, after.throttling.periods)
    return [
        Metric("repeat_wall_seconds", wall, "s"),
        Metric(WALL_CLOCK_CHANGE, _wall_clock_change(before, after), "s"),
        Metric("other_cpu_seconds", others, "s"),
        Metric("other_cpu_share", _share(others, wall * before.cores), "1"),
        Metric("steal_seconds", steal, "s"),
        Metric("steal_share", _withheld(steal, _busy(before, after)), "1"),
        Metric("cpu_throttled_periods", throttled_periods, "1"),
        Metric("cpu_throttled_seconds", throttled, "s"),
        Metric("cpu_throttled_share", _withheld(throttled, _own(before, after)), "1"),
    ]


def _wall_clock_change(before: Reading, after: Reading) -> float | None:
    """Return by how much the wall clock was set, below 0 if back."""
    if before.at_utc_seconds is None or after.at_utc_seconds is None:
        return None
    wall = after.at_seconds - before.at_seconds
    return after.at_utc_seconds - before.at_utc_seconds - wall


def _pressure(before: Reading, after: Reading) -> list[Metric]:
    wall = after.at_seconds - before.at_seconds
    metrics = []
    for name in PRESSURES:
        waited = _difference(before.pressure_seconds.get(name), after.pressure_seconds.get(name))
        metrics += [
            Metric(f"pressure_{name}_seconds", waited, "s"),
            Metric(f"pressure_{name}_share", _share(waited, wall), "1"),
        ]
    return metrics


def _states(before: Reading, after: Reading) -> list[Metric]:
    """Return what has no total to subtract, before and after, and the counts of rare events."""
    swapped = _difference(before.swapped_bytes, after.swapped_bytes)
    throttles = _difference(before.thermal_throttles, after.thermal_throttles)
    return [
        Metric("swapped_in_bytes", swapped, "bytes"),
        Metric("cpu_thermal_throttles", throttles, "1"),
        *_both("load_1min_{}", before, after, lambda reading: reading.load_1min, "1"),
        *_both("runnable_{}", before, after, lambda reading: reading.runnable, "1"),
        *_both("cpu_frequency_{}_hz", before, after, lambda r: r.cpu_frequency_hz, "Hz"),
        *_both(
            "cpu_temperature_{}_celsius", before, after, lambda r: r.cpu_temperature_celsius, "degC"
        ),
    ]


def _both(
    name: str, before: Reading, after: Reading, value: Callable[[Reading], float | None], unit: str
) -> list[Metric]:
    return [
        Metric(name.format("before"), value(before), unit),
        Metric(name.format("after"), value(after), unit),
    ]


def _energy(before: Reading, after: Reading) -> list[Metric]:
    wall = after.at_seconds - before.at_seconds
    parts = [
        _joules(before.energy[domain], after.energy[domain], wall)
        for domain in before.energy
        if domain in after.energy
    ]
    whole = len(parts) == len(before.energy) == len(after.energy) > 0
    known = [part for part in parts if part is not None]
    joules = sum(known) if whole and len(known) == len(parts) else None
    return [Metric("cpu_energy_joules", joules, "J")]


def _joules(before: EnergyCounter, after: EnergyCounter, wall_seconds: float) -> float | None:
    if wall_seconds * _MOST_WATTS >= before.full_joules:
        return None
    used = after.joules - before.joules
    return used if used >= 0 else used + before.full_joules


def _gpus(before: Reading, after: Reading) -> list[Metric]:
    if len(before.gpus) != len(after.gpus):
        return []
    pairs = zip(before.gpus, after.gpus, strict=True)
    return [metric for n, (first, last) in enumerate(pairs) for metric in _gpu(n, first, last)]


def _gpu(number: int, before: GpuReading, after: GpuReading) -> list[Metric]:
    prefix = f"gpu_{number}_"
    metrics = [
        Metric(
            prefix + "energy_joules", _difference(before.energy_joules, after.energy_joules), "J"
        )
    ]
    for name in ("throttled_by_power_seconds", "throttled_by_heat_seconds"):
        rise = _difference(getattr(before, name), getattr(after, name))
        metrics.append(Metric(prefix + name, rise, "s"))
    for moment, gpu in (("before", before), ("after", after)):
        reasons = gpu.throttle_reasons
        metrics += [
            Metric(f"{prefix}clock_{moment}_hz", gpu.clock_hz, "Hz"),
            Metric(f"{prefix}memory_clock_{moment}_hz", gpu.memory_clock_hz, "Hz"),
            Metric(f"{prefix}power_{moment}_watts", gpu.power_watts, "W"),
            Metric(f"{prefix}temperature_{moment}_celsius", gpu.temperature_celsius, "degC"),
            Metric(
                f"{prefix}throttle_reasons_{moment}",
                None if reasons is None else ", ".join(reasons) or "none",
                "",
            ),
        ]
    return metrics
