"""Every figure that metrics.csv can hold: its unit, and whether more of it is better.

A new metric is an entry here. What a number in a name stands for, as the epoch in
`epoch_3_seconds`, is written N.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from mnistbench.results.inference import WAYS

Better = Literal["less", "more", "neither"]
Scale = Literal["ratio", "points"]

SECONDS, BYTES = "s", "bytes"

WALL_CLOCK_CHANGE = "wall_clock_change_seconds"
"""By how much the wall clock, which time stamps are by, was set in a repeat; below 0 is back."""

_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class MetricKind:
    """What is known of a metric."""

    name: str
    unit: str
    """As metrics.csv has it; `1` for shares and counts, empty for losses."""
    better: Better
    """What is better: less of it, more of it, or neither."""
    scale: Scale = "ratio"
    """Two sides are told apart by their ratio; shares of a whole by their difference, in points."""

    @property
    def is_pace(self) -> bool:
        """Return whether it is a time, or a rate: something that is slower or faster.

        Equal values of it come from a clock that is too coarse; those of a count are equal.
        """
        return self.unit == SECONDS or self.unit.endswith("/s")


def _kinds(unit: str, better: Better, scale: Scale, *names: str) -> dict[str, MetricKind]:
    return {name: MetricKind(name, unit, better, scale) for name in names}


KINDS: Mapping[str, MetricKind] = {
    # Times of the training, and what is made of them.
    **_kinds(
        "s", "less", "ratio",
        "first_step_seconds", "steady_step_seconds", "epoch_mean_seconds", "epoch_N_seconds",
        "trace_compile_seconds", "time_to_accuracy_seconds", "startup_seconds",
        "memory_seconds", "outside_phases_seconds", "repeat_wall_seconds", "cpu_user_seconds",
        "cpu_system_seconds", "train_cpu_seconds", "train_teardown_seconds",
        "train_without_teardown_seconds", "test_teardown_seconds", "test_without_teardown_seconds",
    ),
    **_kinds("samples/s", "more", "ratio", "train_samples_per_second"),
    **_kinds("FLOP/s", "more", "ratio", "train_flops_per_second"),
    **_kinds("bytes/s", "more", "ratio", "train_bytes_per_second"),
    **_kinds("1", "more", "points", "train_peak_share", "train_bandwidth_share"),
    # Of a network applied.
    **_kinds(
        "s", "less", "ratio",
        *(f"{way}_batch_N_{part}_seconds" for way in WAYS
          for part in ("latency", "latency_pN", "teardown", "cpu")),
    ),
    **_kinds("samples/s", "more", "ratio", *(f"{way}_batch_N_samples_per_second" for way in WAYS)),
    # What was learnt.
    **_kinds(
        "1", "more", "points",
        "test_accuracy", "train_accuracy", "validation_accuracy", "epoch_N_train_accuracy",
        "epoch_N_validation_accuracy",
    ),
    **_kinds("", "less", "ratio", "test_loss", "train_loss", "validation_loss",
             "epoch_N_train_loss", "epoch_N_validation_loss"),
    **_kinds("1", "less", "ratio", "epochs_to_accuracy"),
    # What was used.
    **_kinds("bytes", "less", "ratio", "peak_rss_bytes", "swapped_in_bytes"),
    **_kinds("J", "less", "ratio", "cpu_energy_joules", "gpu_N_energy_joules"),
    **_kinds(
        "1", "less", "ratio", "context_switches_voluntary", "context_switches_involuntary",
        "page_faults_minor", "page_faults_major",
    ),
    # What was asked for: another number is another work.
    **_kinds(
        "1", "neither", "ratio", "parameters", "parameters_trainable", "train_samples",
        "validation_samples", "test_samples", "steps_per_epoch", "train_steps",
        "intra_op_threads", "replicas_in_sync", "training_processes", "global_batch_size",
        "replica_batch_size",
    ),
    **_kinds("", "neither", "ratio", "seed", "seed_root", "order"),
    **_kinds("1", "neither", "points", "target_accuracy"),
    **_kinds("FLOP", "neither", "ratio", "train_flops"),
    **_kinds("bytes", "neither", "ratio", "train_bytes"),
    # What the machine did beside.
    **_kinds(
        "s", "neither", "ratio",
        WALL_CLOCK_CHANGE, "other_cpu_seconds", "steal_seconds", "cpu_throttled_seconds",
        "pressure_cpu_some_seconds",
        "pressure_cpu_full_seconds", "pressure_memory_some_seconds", "pressure_memory_full_seconds",
        "pressure_io_some_seconds", "pressure_io_full_seconds",
        "gpu_N_throttled_by_power_seconds", "gpu_N_throttled_by_heat_seconds",
    ),
    **_kinds(
        "1", "neither", "points",
        "other_cpu_share", "steal_share", "cpu_throttled_share", "pressure_cpu_some_share",
        "pressure_cpu_full_share", "pressure_memory_some_share", "pressure_memory_full_share",
        "pressure_io_some_share", "pressure_io_full_share",
    ),
    **_kinds(
        "1", "neither", "ratio", "cpu_throttled_periods", "cpu_thermal_throttles",
        "load_Nmin_before", "load_Nmin_after", "runnable_before", "runnable_after",
    ),
    **_kinds(
        "Hz", "neither", "ratio", "cpu_frequency_before_hz", "cpu_frequency_after_hz",
        "gpu_N_clock_before_hz", "gpu_N_clock_after_hz", "gpu_N_memory_clock_before_hz",
        "gpu_N_memory_clock_after_hz",
    ),
    **_kinds("degC", "neither", "ratio", "cpu_temperature_before_celsius",
             "cpu_temperature_after_celsius", "gpu_N_temperature_before_celsius",
             "gpu_N_temperature_after_celsius"),
    **_kinds("W", "neither", "ratio", "gpu_N_power_before_watts", "gpu_N_power_after_watts"),
}  # fmt: skip
"""Each metric that is a number, by its name."""


def known_kind(name: str) -> MetricKind | None:
    """Return what is known of a metric; None for one that is not ours."""
    kind = KINDS.get(name) or KINDS.get(_NUMBER.sub("N", name))
    return None if kind is None else replace(kind, name=name)


def kind_of(name: str, unit: str) -> MetricKind:
    """Return what is known of a metric of a file, in which its unit stands.

    Of one that is not ours nobody knows what is better.
    """
    return known_kind(name) or MetricKind(name, unit, "neither")
