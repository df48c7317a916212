"""What will disturb a run and can be seen before it: each warning ends in a remedy."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import psutil

from mnistbench.config.devices import is_parallel
from mnistbench.config.frameworks import BACKENDS, Framework
from mnistbench.config.run_config import RunConfig, Threads
from mnistbench.machine.readings import Reading

_MEBIBYTE = 2**20
_GIBIBYTE = 2**30

_MANY_REPEATS = 20
_BUSY_LOAD = 0.5
"""Load per core from which a training, which uses most cores, will find some of them taken."""
_SWAPPED_BYTES = _MEBIBYTE
"""Less comes back from swap on any machine that has been up for a while."""
_COARSE_CLOCK_SECONDS = 1e-4
"""A hundred of it are the phases of a small training."""


def warnings_before(
    facts: Mapping[str, object],
    needed_bytes: int,
    repeats: int,
    first: Reading,
    last: Reading,
    threads: Collection[Threads] = ("auto",),
) -> list[str]:
    """Return what is true of this machine and should be known before a run, most serious first.

    `facts` are those of machine.csv, `first` and `last` readings before and after the framework
    was loaded, `needed_bytes` the memory that a repeat takes, `threads` what the configs ask for.
    """
    lines = (
        _load(facts, repeats),
        _quota(facts, threads),
        _memory(facts, needed_bytes),
        _swapping(_title(_framework(facts)), first, last),
        _heat(first, last),
        _governor(facts),
        _clock(facts),
        battery(),
    )
    return [line for line in lines if line]


def logical_devices(configs: Iterable[tuple[RunConfig, str]]) -> list[str]:
    """Return what to know of several devices that are one CPU; each config with its device."""
    asked = {
        config.training.devices
        for config, device in configs
        if device == "cpu" and is_parallel(config)
    }
    if not asked:
        return []
    told = ", ".join(sorted(map(str, asked)))
    return [
        f"training.devices {told} on a CPU are logical devices that share its cores: they test "
        "the wiring, and no speed-up is to be expected; use GPUs for that"
    ]


def _load(facts: Mapping[str, object], repeats: int) -> str:
    load, cores = facts.get("load_1min"), facts.get("cpu_threads")
    if not isinstance(load, float) or not isinstance(cores, int) or load < _BUSY_LOAD * cores:
        return ""
    more = f", or use --repeats {_MANY_REPEATS}" if repeats < _MANY_REPEATS else ""
    return f"load {load:.1f} on {cores} cores before the run: wait until it is lower{more}"


def _quota(facts: Mapping[str, object], asked: Collection[Threads]) -> str:
    framework = _framework(facts)
    quota, automatic = facts.get("cgroup_cpu_limit_cores"), _threads(facts, framework)
    configured = [each for each in asked if isinstance(each, int)]
    started = [*configured]
    if automatic is not None and len(configured) < len(asked):
        started.append(automatic)
    threads = max(started, default=None)
    if not isinstance(quota, int | float) or threads is None or quota >= threads:
        return ""
    fewer = max(1, int(quota))
    start = f"CPU quota {quota:g} cores, but {_title(framework)} will start {threads} thread"
    if threads == fewer:
        return f"{start} and be stopped again and again: raise the quota"
    remedy = _fewer_threads(framework, fewer)
    if threads in configured:
        remedy = f"set training.threads={fewer}"
    return f"{start}s and be stopped again and again: {remedy}, or raise the quota"


def _clock(facts: Mapping[str, object]) -> str:
    step = facts.get("clock_resolution_seconds")
    if not isinstance(step, float) or step < _COARSE_CLOCK_SECONDS:
        return ""
    return (
        f"the clock moves by {1000 * step:.3g} ms at a time: a phase shorter than {100 * step:.3g} "
        "s is not known within 1 %; train longer: more training.epochs, or dataset.train_samples"
    )


def _framework(facts: Mapping[str, object]) -> Framework | None:
    """Return the framework that told of itself in the facts."""
    frameworks = (entry for name, entry in BACKENDS.items() if f"{name}_version" in facts)
    return next(frameworks, None)


def _title(framework: Framework | None) -> str:
    return framework.title if framework else "the framework"


def _threads(facts: Mapping[str, object], framework: Framework | None) -> int | None:
    """Return the threads that it computes with: as many as cores, unless told otherwise."""
    names = framework.thread_variables[:1] if framework else ()
    for value in (str(facts.get(f"env_{name}", "")) for name in names):
        if value.isascii() and value.isdigit() and int(value) > 0:
            return int(value)
    cores = facts.get("cpu_affinity_threads") or facts.get("cpu_threads")
    return cores if isinstance(cores, int) else None


def _fewer_threads(framework: Framework | None, threads: int) -> str:
    names = framework.thread_variables if framework else ()
    if not names:  # it starts as many threads as it may use cores
        return f"start it by: taskset --cpu-list 0-{threads - 1} mnistbench"
    return f"set {' and '.join(f'{name}={threads}' for name in names)}"


def _memory(facts: Mapping[str, object], needed_bytes: int) -> str:
    limits = (facts.get("memory_available_bytes"), facts.get("cgroup_memory_limit_bytes"))
    free = min((value for value in limits if isinstance(value, int)), default=None)
    if free is None or free >= needed_bytes:
        return ""
    return (
        f"{free / _GIBIBYTE:.1f} GiB of memory left, and a repeat takes about "
        f"{needed_bytes / _GIBIBYTE:.1f} GiB: close programs, or raise the container's limit"
    )


def _swapping(title: str, first: Reading, last: Reading) -> str:
    if first.swapped_bytes is None or last.swapped_bytes is None:
        return ""
    swapped = last.swapped_bytes - first.swapped_bytes
    if swapped < _SWAPPED_BYTES:
        return ""
    return (
        f"swapping: {swapped / _MEBIBYTE:.0f} MiB came back from swap while "
        f"{title} was loaded: close programs that fill the memory"
    )


def _heat(first: Reading, last: Reading) -> str:
    hot = [f"GPU {number}" for number, gpu in enumerate(last.gpus) if gpu.is_too_hot]
    counts = first.thermal_throttles, last.thermal_throttles
    if counts[0] is not None and counts[1] is not None and counts[1] > counts[0]:
        hot.insert(0, "the CPU")
    if not hot:
        return ""
    return (
        f"heat slows {' and '.join(hot)}: let it cool, see that air gets through, or use --warmup"
    )


def _governor(facts: Mapping[str, object]) -> str:
    if facts.get("cpu_governor") != "powersave":
        return ""
    return (
        "governor powersave: cores may be slow to reach their clock rate: "
        "sudo cpupower frequency-set -g performance"
    )


def battery() -> str:
    """Return a warning if the machine runs on its battery."""
    try:
        state = psutil.sensors_battery()
    except (AttributeError, OSError, ValueError):  # no such sensors here, or odd ones
        return ""
    if state is None or state.power_plugged is not False:
        return ""
    return f"on battery power ({state.percent:.0f} % left), which slows most machines: plug it in"
