"""What was measured, with what, on what: the stable facts of runs in parts, and how two differ.

Volatile readings (load, free memory, current clock rate, times, names of hosts) are no part of
any identity: they would make every run its own.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mnistbench.config.versions import BEFORE

CONFIG = "config"
DATA = "data"
CODE = "code"
NUMERICS = "numerics"
SYSTEM = "system"
HARDWARE = "hardware"

PARTS = (CONFIG, DATA, CODE, NUMERICS, SYSTEM, HARDWARE)

_SETTINGS_OF_DATA = (
    "dataset.name",
    "dataset.source",
    "dataset.train_samples",
    "dataset.test_samples",
)
_WHOLE_CONFIG = "model.family"  # known from a config file, and from nothing else
_NO_SETTINGS = ("name", "description", "device", "dataset.path", "backend")

# A fact belongs to the first part whose pattern it matches whole; what matches none is volatile,
# or says in other words what one here says.
_PART_OF_FACT = (
    (DATA, re.compile(r"dataset|data_digest")),
    (CODE, re.compile(r"mnistbench_version|mnistbench_git_commit")),
    (
        NUMERICS,
        re.compile(
            r"device|backend|precision|jit_compile|numpy_version|keras_version|keras_backend|"
            r"(tensorflow|jax|torch)_(?!gpu_).*|jaxlib_version|env_(?!SLURM_JOB_ID|TF_CLI_).*"
        ),
    ),
    (
        SYSTEM,
        re.compile(
            r"system|kernel|libc|python_version|python_implementation|container|cpu_governor|"
            r"gpu_driver_version|gpu_cuda_driver_version|start_method"
        ),
    ),
    (
        HARDWARE,
        re.compile(
            r"cpu_model|cpu_architecture|cpu_cores_physical|cpu_threads|cpu_affinity_threads|"
            r"cpu_features|cpu_frequency_max_hz|cpu_cache_.*|memory_total_bytes|cgroup_.*|"
            r"gpu_count|gpu_\d+_(name|memory_bytes)|(tensorflow|jax|torch)_gpu_.*|virtual_machine|hypervisor"
        ),
    ),
)

_SIZE = re.compile(
    r"memory_total_bytes|gpu_\d+_memory_bytes|cgroup_memory_limit_bytes|cpu_frequency_max_hz"
)
_SAME_SIZE = 0.01
"""Share by which another kernel, firmware or hypervisor changes what a machine says it has; the
next smaller memory module or clock is further away."""

Values = tuple[str, ...]
"""The different values of a fact over several runs, sorted; one for a single run."""


@dataclass(frozen=True)
class Difference:
    """A fact that is known of both sides and is not the same."""

    part: str
    field: str
    base: Values
    new: Values


@dataclass(frozen=True)
class Identity:
    """The stable facts of one or several runs."""

    parts: Mapping[str, Mapping[str, Values]]
    """Part to field to its values; what is unknown is left out."""

    def digest(self, part: str) -> str | None:
        """Return a sha256 over a part; None if nothing of it is known."""
        known = self.parts[part]
        if not known:
            return None
        canonical = json.dumps(known, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def identify_runs(
    facts: Iterable[Mapping[str, str]], settings: Mapping[str, object] | None
) -> Identity:
    """Return the identity of runs of one config from the facts of each, and the config's fields.

    Without the fields (a log of somebody else's) what the facts say of the config stands in.
    """
    found: dict[str, dict[str, set[str]]] = {part: {} for part in PARTS}
    for run in facts:
        for name, value in run.items():
            part = part_of(name)
            if part is not None and value != "":
                found[part].setdefault(name, set()).add(value)
        if run.get("config_digest"):
            found[CONFIG].setdefault("config_digest", set()).add(run["config_digest"])
        if settings is None:
            for name in ("model", "training.epochs", "training.batch_size"):
                value = run.get(name.removeprefix("training."), "")
                if value != "":
                    found[CONFIG].setdefault(name, set()).add(value)
    for name, setting in _with_older(settings).items():
        if name not in _NO_SETTINGS:
            part = DATA if name in _SETTINGS_OF_DATA else CONFIG
            found[part].setdefault(name, set()).add(setting)
    return Identity(
        {
            part: {name: tuple(sorted(values)) for name, values in sorted(found[part].items())}
            for part in PARTS
        }
    )


def differences(base: Identity, new: Identity) -> list[Difference]:
    """Return every fact that both sides know and that is not the same, part by part."""
    found = []
    for part in PARTS:
        before, after = base.parts[part], new.parts[part]
        shared = [name for name in before if name in after]
        # A digest says nothing more where both sides tell every field.
        told = _WHOLE_CONFIG in shared
        found += [
            Difference(part, name, before[name], after[name])
            for name in shared
            if not _same(name, before[name], after[name]) and not (told and name == "config_digest")
        ]
        # A variable that only one side sets is a difference too.
        found += [
            Difference(part, name, before.get(name, ()), after.get(name, ()))
            for name in sorted({*before, *after})
            if name.startswith("env_") and (name in before) != (name in after) and shared
        ]
    return found


def _same(field: str, base: Values, new: Values) -> bool:
    """Return whether the values of a fact are the same; sizes within what a kernel changes."""
    if base == new:
        return True
    if not _SIZE.fullmatch(field):
        return False
    try:
        sizes = [[float(value) for value in values] for values in (base, new)]
    except ValueError:
        return False
    return all(
        any(abs(size - other) <= _SAME_SIZE * max(size, other) for other in others)
        for some, others in (sizes, sizes[::-1])
        for size in some
    )


def _with_older(settings: Mapping[str, object] | None) -> dict[str, str]:
    """Return the fields of a config by dotted names; of those it is too old for, what was done."""
    if settings is None:
        return {}
    return {**flattened(BEFORE), **flattened(settings)}


def flattened(fields: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Return nested fields as dotted names with their values as text; lists as JSON."""
    flat: dict[str, str] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            flat |= flattened(value, f"{prefix}{name}.")
        elif value is None or isinstance(value, list | bool):
            flat[prefix + name] = json.dumps(value)
        else:
            flat[prefix + name] = str(value)
    return flat


@functools.cache
def part_of(name: str) -> str | None:
    """Return the part that a fact belongs to; None for a volatile one."""
    return next((part for part, pattern in _PART_OF_FACT if pattern.fullmatch(name)), None)
