"""The evidence beside every repeat: what the kernel's files say, and which repeats are marked."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistbench.machine import evidence, gpus, readings
from mnistbench.machine.gpus import GpuReading
from mnistbench.machine.readings import CpuTimes, EnergyCounter, Reading, Throttling
from mnistbench.results.rows import Metric

TICK = 1 / os.sysconf("SC_CLK_TCK")
COUNTS = st.integers(0, 2**63 - 1)

BEFORE = Reading(
    at_seconds=100.0,
    cores=2,
    cpu=CpuTimes(busy_seconds=1000.0, steal_seconds=5.0),
    own_cpu_seconds=10.0,
    throttling=Throttling(periods=3, seconds=1.0),
    pressure_seconds=dict.fromkeys(readings.PRESSURES, 7.0),
    swapped_bytes=4096,
    thermal_throttles=2,
    load_1min=0.5,
    runnable=1,
    cpu_frequency_hz=2e9,
    cpu_temperature_celsius=50.0,
    energy={"intel-rapl:0": EnergyCounter(100.0, 262_143.0)},
)
# Ten seconds later, 12 of the cores' 20 seconds used by the repeat and 1 by others.
QUIET = replace(
    BEFORE,
    at_seconds=110.0,
    cpu=CpuTimes(1013.0, 5.1),
    own_cpu_seconds=22.0,
    pressure_seconds=dict.fromkeys(readings.PRESSURES, 7.1),
    energy={"intel-rapl:0": EnergyCounter(400.0, 262_143.0)},
)


def values(before: Reading, after: Reading) -> dict[str, object]:
    metrics = evidence.repeat_metrics(before, after)
    assert len({metric.name for metric in metrics}) == len(metrics)
    return {metric.name: metric.value for metric in metrics}


def test_what_changed_meanwhile() -> None:
    found = values(BEFORE, QUIET)
    expected = {
        "repeat_wall_seconds": 10.0, "other_cpu_seconds": 1.0, "other_cpu_share": 0.05,
        "steal_seconds": 0.1, "steal_share": 0.1 / 13.1, "cpu_throttled_periods": 0,
        "cpu_throttled_seconds": 0.0, "cpu_throttled_share": 0.0,
        "pressure_cpu_some_seconds": 0.1, "pressure_io_full_share": 0.01, "swapped_in_bytes": 0,
        "cpu_thermal_throttles": 0, "load_1min_before": 0.5, "runnable_after": 1,
        "cpu_frequency_before_hz": 2e9, "cpu_temperature_after_celsius": 50.0,
        "cpu_energy_joules": 300.0,
    }  # fmt: skip
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name
    assert found["contended"] is False
    assert found["contention"] is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cpu": CpuTimes(1013.9, 5.1)}, None),
        ({"cpu": CpuTimes(1014.2, 5.1)}, "other processes used 11% of the CPU time"),
        ({"cpu": CpuTimes(1013.0, 5.6)}, None),
        (
            {"cpu": CpuTimes(1013.0, 6.2)},
            "the host kept 8% of the CPU time wanted for other machines",
        ),
        # One thread of two cores, stopped half of the time.
        (
            {"own_cpu_seconds": 15.0, "cpu": CpuTimes(1006.0, 5.0), "throttling": Throttling(9, 6)},
            "the CPU quota withheld 50% of the CPU time wanted",
        ),
        ({"throttling": Throttling(9, 1.6)}, None),
        ({"throttling": Throttling(9, 3.0)}, "the CPU quota withheld 14% of the CPU time wanted"),
        ({"pressure_seconds": {"memory_some": 7.4}}, None),
        ({"pressure_seconds": {"memory_some": 8.0}}, "something waited for memory 10% of the time"),
        # A training starts more threads than there are cores: they wait for each other.
        ({"pressure_seconds": {"cpu_some": 16.0, "io_some": 16.0}}, None),
        (
            {"cpu": CpuTimes(1022.0, 7.0)},
            "other processes used 50% of the CPU time; "
            "the host kept 8% of the CPU time wanted for other machines",
        ),
    ],
)
def test_the_rule_of_contention(changes: dict[str, object], words: str | None) -> None:
    found = values(BEFORE, replace(QUIET, **changes))  # type: ignore[arg-type]
    assert found["contended"] is (words is not None)
    assert found["contention"] == words


def test_what_cannot_be_read_is_unknown_and_never_0() -> None:
    nothing = Reading(
        at_seconds=1.0, cores=2, cpu=None, own_cpu_seconds=None, throttling=None,
        pressure_seconds={}, swapped_bytes=None, thermal_throttles=None, load_1min=None,
        runnable=None, cpu_frequency_hz=None, cpu_temperature_celsius=None,
    )  # fmt: skip
    found = values(nothing, replace(nothing, at_seconds=2.0))
    assert found.pop("repeat_wall_seconds") == 1.0
    assert set(found.values()) == {None}


@pytest.mark.parametrize("name", ["cpu", "own_cpu_seconds", "throttling"])
def test_one_unreadable_sign_leaves_the_others(name: str) -> None:
    found = values(replace(BEFORE, **{name: None}), QUIET)  # type: ignore[arg-type]
    assert found["contended"] is False
    if name == "own_cpu_seconds":
        assert found["other_cpu_seconds"] is None
        assert found["steal_seconds"] is not None


def test_a_counter_that_was_set_back_says_nothing() -> None:
    found = values(QUIET, replace(BEFORE, at_seconds=120.0))
    assert found["other_cpu_seconds"] is None
    assert found["pressure_cpu_some_seconds"] is None


@pytest.mark.parametrize(
    ("name", "unknown"),
    [
        ("cpu", "steal_seconds"),
        ("own_cpu_seconds", "other_cpu_seconds"),
        ("throttling", "cpu_throttled_periods"),
    ],
)
def test_a_sign_that_can_no_longer_be_read_is_unknown(name: str, unknown: str) -> None:
    found = values(BEFORE, replace(QUIET, **{name: None}))  # type: ignore[arg-type]
    assert found[unknown] is None
    assert found["contended"] is False


def test_other_cores_than_before_are_no_busy_time() -> None:
    found = values(BEFORE, replace(QUIET, cores=4))
    assert found["other_cpu_seconds"] is None
    assert found["steal_share"] is None


def test_a_repeat_of_no_time_has_no_shares() -> None:
    found = values(BEFORE, BEFORE)
    assert (found["other_cpu_seconds"], found["other_cpu_share"]) == (0.0, None)
    assert (found["pressure_memory_some_seconds"], found["steal_share"]) == (0.0, None)


def test_the_limit_itself_is_contention() -> None:
    marked, words = evidence.contention({"steal_share": evidence.LOST_LIMIT})
    assert marked.value is True
    assert words.value == "the host kept 5% of the CPU time wanted for other machines"
    at_limit = [Metric("steal_share", evidence.LOST_LIMIT, "1")]
    assert evidence.worst_signs([at_limit]) == [words.value]
    assert evidence.worst_signs([at_limit, at_limit]) == [
        "the host kept up to 5% of the CPU time wanted for other machines"
    ]


def test_only_a_mark_that_is_true_is_one() -> None:
    def of(*values: object) -> bool:
        metrics = [Metric("contended", value, "") for value in values]  # type: ignore[arg-type]
        return evidence.is_contended([Metric("steal_share", 0.5, "1"), *metrics])

    assert of(True) is True
    assert [of(False), of(None), of()] == [False, False, False]


def test_rounding_makes_no_negative_time_of_others() -> None:
    found = values(BEFORE, replace(QUIET, own_cpu_seconds=23.5))
    assert found["other_cpu_seconds"] == 0.0


def test_a_full_energy_counter_begins_anew_and_a_long_repeat_is_not_guessed() -> None:
    wrapped = replace(QUIET, energy={"intel-rapl:0": EnergyCounter(40.0, 262_143.0)})
    assert values(BEFORE, wrapped)["cpu_energy_joules"] == pytest.approx(262_083.0)
    hour_later = replace(QUIET, at_seconds=3_700.0)
    assert values(BEFORE, hour_later)["cpu_energy_joules"] is None
    other_socket = {**QUIET.energy, "intel-rapl:1": EnergyCounter(1.0, 262_143.0)}
    assert values(BEFORE, replace(QUIET, energy=other_socket))["cpu_energy_joules"] is None
    assert values(replace(BEFORE, energy=other_socket), QUIET)["cpu_energy_joules"] is None
    assert values(replace(BEFORE, energy={}), QUIET)["cpu_energy_joules"] is None


@pytest.mark.parametrize(
    ("used", "full", "joules"),
    [(0.0, 9_000.0, 0.0), (0.5, 9_000.0, 0.5), (90.0, 5_000.0, None), (90.0, 5_001.0, 90.0)],
)
def test_a_counter_is_trusted_where_500_watts_cannot_fill_it(
    used: float, full: float, joules: float | None
) -> None:
    before = replace(BEFORE, energy={"intel-rapl:0": EnergyCounter(100.0, full)})
    after = replace(QUIET, energy={"intel-rapl:0": EnergyCounter(100.0 + used, full)})
    assert values(before, after)["cpu_energy_joules"] == joules


def test_the_worst_of_several_repeats_is_told() -> None:
    half, third = (
        evidence.repeat_metrics(BEFORE, replace(QUIET, cpu=CpuTimes(busy, 5.0)))
        for busy in (1022.0, 1018.4)
    )
    calm = evidence.repeat_metrics(BEFORE, QUIET)
    assert evidence.worst_signs([half]) == ["other processes used 50% of the CPU time"]
    assert evidence.worst_signs([third, half, calm]) == [
        "other processes used up to 50% of the CPU time"
    ]
    assert evidence.worst_signs([calm]) == []
    assert evidence.worst_signs([]) == []
    assert evidence.worst_signs([[Metric("steal_share", None, "1")]]) == []


@st.composite
def proc_stat(draw: st.DrawFn) -> tuple[str, dict[int, list[int]]]:
    """A /proc/stat of any kernel: 7 columns before 2.6.11, 10 today, cores that are off missing."""
    columns = draw(st.sampled_from([7, 8, 9, 10, 12]))
    numbers = draw(st.lists(st.integers(0, 300), min_size=1, max_size=8, unique=True))
    ticks = {n: draw(st.lists(COUNTS, min_size=columns, max_size=columns)) for n in numbers}
    lines = ["cpu  " + " ".join(["1"] * columns)]
    lines += [f"cpu{number} {' '.join(map(str, ticks[number]))}" for number in sorted(ticks)]
    lines += ["intr 99 0 1", "ctxt 12", "btime 1", "procs_running 2", "softirq 1 2 3"]
    return "\n".join(lines) + draw(st.sampled_from(["", "\n"])), ticks


@given(proc_stat(), st.data())
def test_cpu_times_of_the_cores_in_use(
    written: tuple[str, dict[int, list[int]]], data: st.DataObject
) -> None:
    text, ticks = written
    cores = data.draw(st.lists(st.sampled_from(sorted(ticks)), min_size=1, unique=True))
    found = readings.parse_cpu_times(text, cores)
    assert found is not None
    busy = sum(ticks[core][column] for core in cores for column in (0, 1, 2, 5, 6))
    assert found.busy_seconds == pytest.approx(busy * TICK)
    if len(ticks[cores[0]]) > 7:
        assert found.steal_seconds == pytest.approx(sum(ticks[core][7] for core in cores) * TICK)
    else:
        assert found.steal_seconds is None
    assert readings.parse_cpu_times(text, [*cores, 301]) is None


@given(COUNTS, COUNTS, st.booleans())
def test_pressure_totals(some: int, full: int, with_full: bool) -> None:
    text = f"some avg10=1.49 avg60=2.37 avg300=5.13 total={some}\n"
    text += f"full avg10=0.00 avg60=0.00 avg300=0.00 total={full}" if with_full else ""
    found = readings.parse_pressure(text)
    assert found["some"] == pytest.approx(some / 1e6)
    assert found.get("full") == (pytest.approx(full / 1e6) if with_full else None)


@given(COUNTS, COUNTS)
def test_throttling_of_both_versions_of_control_groups(periods: int, time: int) -> None:
    first = f"nr_periods 9\nnr_throttled {periods}\nthrottled_time {time}\nnr_bursts 0"
    second = f"usage_usec 1\nuser_usec 1\nnr_periods 9\nnr_throttled {periods}\n"
    second += f"throttled_usec {time}\n"
    old, new = readings.parse_throttling(first), readings.parse_throttling(second)
    assert old is not None
    assert new is not None
    assert (old.periods, new.periods) == (periods, periods)
    assert old.seconds == pytest.approx(time / 1e9)
    assert new.seconds == pytest.approx(time / 1e6)
    # The root of version 2, and groups whose CPU is not controlled, count no throttling.
    assert readings.parse_throttling("usage_usec 1\nuser_usec 1") is None


@given(st.floats(0, 1e5), st.integers(0, 10**6), st.integers(1, 2**22))
def test_load_and_runnable_threads(load: float, runnable: int, last_pid: int) -> None:
    text = f"{load:.2f} 0.53 0.40 {runnable}/822 {last_pid}"
    found = readings.parse_loadavg(text)
    assert found == (pytest.approx(load, abs=0.0051), runnable)


GARBAGE = st.text(st.characters(exclude_categories=["Nd", "Z", "C"]), min_size=1)
"""One word that is no number, though it may hold figures such as a superscript 2."""


@given(GARBAGE, st.sampled_from([0, 1, 2, 5, 6]))
def test_garbled_files_are_unknown_and_no_error(word: str, place: int) -> None:
    ticks = ["1"] * 10
    assert readings.parse_cpu_times(f"cpu0 {' '.join(ticks)}", [0]) is not None
    ticks[place] = word
    assert readings.parse_cpu_times(f"cpu0 {' '.join(ticks)}", [0]) is None
    assert readings.parse_pressure(f"some avg10=0.00 total={word}\nfull total=2") == {"full": 2e-6}
    assert readings.parse_throttling(f"nr_throttled {word}\nthrottled_usec 5") is None
    assert readings.parse_throttling(f"nr_throttled 5\nthrottled_usec {word}") is None
    assert readings.parse_swapped_bytes(f"pswpin {word}") is None
    for text in (f"{word} 0.53 0.40 1/822 99", f"0.50 0.53 0.40 {word}/822 99"):
        load, runnable = readings.parse_loadavg(text)
        assert runnable is None
        assert load is None or load >= 0, "what the system says elsewhere"


@given(st.text())
def test_of_any_text_no_more_is_known_than_its_figures_say(text: str) -> None:
    has_figures = any(letter in "0123456789" for letter in text)
    known = (
        readings.parse_cpu_times(text, [0]), readings.parse_throttling(text),
        readings.parse_loadavg(text)[1], readings.parse_swapped_bytes(text),
    )  # fmt: skip
    assert has_figures or (known == (None,) * 4 and readings.parse_pressure(text) == {})


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


def test_throttling_of_the_groups_above_counts_too(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a/b/cpu.stat": "nr_throttled 2\nthrottled_usec 500000",
            "a/cpu.stat": "nr_throttled 1\nthrottled_usec 250000",
            "cpu.stat": "usage_usec 5",
        },
    )
    groups = [tmp_path / "a" / "b", tmp_path / "a", tmp_path]
    assert readings.read_throttling(groups) == Throttling(3, 0.75)
    assert readings.read_throttling([tmp_path]) is None


def test_energy_is_that_of_all_packages_or_unknown(tmp_path: Path) -> None:
    def package(number: int, used: str) -> dict[str, str]:
        folder = f"intel-rapl:{number}"
        return {
            f"{folder}/name": f"package-{number}", f"{folder}/energy_uj": used,
            f"{folder}/max_energy_range_uj": "262143328850",
            f"{folder}:0/name": "core", f"{folder}:0/energy_uj": "1",
        }  # fmt: skip

    write(tmp_path, {**package(0, "5000000"), "intel-rapl:2/name": "psys"})
    assert readings.read_energy(tmp_path) == {
        "intel-rapl:0": EnergyCounter(5.0, pytest.approx(262_143.32885))
    }
    write(tmp_path, package(1, ""))  # as if it may not be read
    assert readings.read_energy(tmp_path) == {}
    assert readings.read_energy(tmp_path / "missing") == {}


def test_temperature_is_that_of_the_cpu_and_of_no_disk(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "hwmon0/name": "nvme", "hwmon0/temp1_input": "90000",
            "hwmon1/name": "coretemp", "hwmon1/temp1_input": "61000",
            "hwmon1/temp2_input": "63500", "hwmon1/temp3_input": "",
        },
    )  # fmt: skip
    assert readings.read_cpu_temperature(tmp_path) == 63.5
    assert readings.read_cpu_temperature(tmp_path / "missing") is None


def test_a_reading_here() -> None:
    reading = readings.take(1.5)
    assert reading.own_cpu_seconds == 1.5
    assert reading.cores == len(os.sched_getaffinity(0))
    assert reading.cpu is not None
    assert reading.load_1min is not None


class _Nvml:
    """NVIDIA's driver as it answers on a machine with one GPU: none can be had in tests."""

    NVML_TEMPERATURE_GPU, NVML_CLOCK_SM, NVML_CLOCK_MEM = 0, 1, 2

    class NVMLError(Exception):
        pass

    nvmlInit = nvmlShutdown = staticmethod(lambda: None)  # noqa: N815
    nvmlDeviceGetCount = staticmethod(lambda: 1)  # noqa: N815
    nvmlDeviceGetHandleByIndex = staticmethod(lambda number: number)  # noqa: N815
    nvmlDeviceGetClockInfo = staticmethod(lambda device, kind: {1: 1980, 2: 2619}[kind])  # noqa: N815
    nvmlDeviceGetTemperature = staticmethod(lambda device, sensor: 41)  # noqa: N815
    nvmlDeviceGetCurrentClocksThrottleReasons = staticmethod(lambda device: 0x1 | 0x4 | 0x40)  # noqa: N815
    energy_millijoules = 5_000
    violation_nanoseconds = 0

    @staticmethod
    def nvmlDeviceGetPowerUsage(device: int) -> int:  # noqa: N802
        raise _Nvml.NVMLError

    @classmethod
    def nvmlDeviceGetTotalEnergyConsumption(cls, device: int) -> int:  # noqa: N802
        cls.energy_millijoules += 90_500
        return cls.energy_millijoules

    @classmethod
    def nvmlDeviceGetViolationStatus(cls, device: int, policy: int) -> object:  # noqa: N802
        cls.violation_nanoseconds += 250_000_000
        return type("Status", (), {"violationTime": cls.violation_nanoseconds})


def test_a_gpu_beside_a_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a mocked driver, so that only our reading of its answers is tested, not the driver."""
    monkeypatch.setitem(__import__("sys").modules, "pynvml", _Nvml)
    gpus._devices.cache_clear()
    try:
        before = replace(BEFORE, gpus=gpus.read_gpus())
        after = replace(QUIET, gpus=gpus.read_gpus())
    finally:
        gpus._devices.cache_clear()
    assert after.gpus[0].is_too_hot
    found = values(before, after)
    expected = {
        "gpu_0_clock_before_hz": 1.98e9, "gpu_0_memory_clock_after_hz": 2.619e9,
        "gpu_0_power_before_watts": None, "gpu_0_temperature_after_celsius": 41.0,
        "gpu_0_throttle_reasons_after": "power cap, hardware thermal slowdown",
        "gpu_0_energy_joules": 90.5, "gpu_0_throttled_by_power_seconds": 0.5,
        "gpu_0_throttled_by_heat_seconds": 0.5,
    }  # fmt: skip
    for name, value in expected.items():
        assert found[name] == (pytest.approx(value) if isinstance(value, float) else value), name


def test_a_gpu_that_nothing_slows_says_so_and_an_unread_one_says_nothing() -> None:
    idle = GpuReading(1e9, 2e9, 70.0, 40.0, (), 5.0, 0.0, 0.0)
    unread = GpuReading(None, None, None, None, None, None, None, None)
    found = values(replace(BEFORE, gpus=(idle,)), replace(QUIET, gpus=(unread,)))
    assert found["gpu_0_throttle_reasons_before"] == "none"
    assert found["gpu_0_throttle_reasons_after"] is None
    assert found["gpu_0_energy_joules"] is None
    # One that came or went meanwhile: which is which cannot be told.
    fewer = values(replace(BEFORE, gpus=(idle, idle)), replace(QUIET, gpus=(idle,)))
    assert not [name for name in fewer if name.startswith("gpu_")]


settings.register_profile("evidence", max_examples=100, deadline=None)
settings.load_profile("evidence")
