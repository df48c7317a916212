"""What machine this is: stable facts and the load before the run; unknown is None."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import psutil

from mnistbench import __version__

Facts = dict[str, object]

SPEED_VARIABLES = re.compile(
    r"^(TF_(?!CLI_)|XLA_|JAX_|LIBTPU_|TORCH|PYTORCH_|OMP_|KMP_|GOMP_|MKL_|ONEDNN_|DNNL_|OPENBLAS_|BLIS_|CUDA_|CUDNN_|NCCL_|NVIDIA_|"
    r"HIP_|ROCR_|KERAS_|MALLOC_|SLURM_CPUS|SLURM_JOB_ID|LD_PRELOAD$|GLIBC_TUNABLES$|"
    r"PYTHONHASHSEED$|PYTHONOPTIMIZE$)"
)

# What the facts of our own say more exactly.
_TOLD_BETTER = ("frequency", "date", "user", "cpu", "cpu_cores", "cpu_threads", "python.version")

# cloudmesh's names of today, and those that seed 002's report has for the same.
_SEED_NAMES = {
    "uname.system": "system",
    "uname.node": "node",
    "uname.release": "release",
    "uname.version": "version",
    "uname.machine": "machine",
    "uname.processor": "processor",
    "sys.platform": "sys",
    "mem.percent": "mem_percent",
    "mem.total": "mem_total",
    "mem.available": "mem_available",
    "mem.used": "mem_used",
    "mem.free": "mem_free",
    "mem.active": "mem_active",
    "mem.inactive": "mem_inactive",
}


def node() -> str:
    """Return the host's name; empty if it has none."""
    return platform.node()


def user() -> str:
    """Return the user's name; empty where the system knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""


def machine_facts(environment: Mapping[str, str]) -> Facts:
    """Return everything known without a framework; `environment` is the user's own."""
    return {
        **cloudmesh_facts(),
        "user": user() or None,
        **cpu_facts(),
        **memory_facts(),
        **cgroup_facts(),
        **gpu_facts(),
        **container_facts(),
        **version_facts(),
        **load_facts(),
        **{
            f"env_{name}": value
            for name, value in sorted(environment.items())
            if SPEED_VARIABLES.match(name)
        },
    }


def cloudmesh_facts() -> Facts:
    """Return what cloudmesh tells, under the names of seed 002's report."""
    from cloudmesh.common.systeminfo import systeminfo

    told = systeminfo()
    facts: Facts = {
        _SEED_NAMES.get(name, name): _unquoted(value)
        for name, value in told.items()
        if name not in _TOLD_BETTER
    }
    facts["platform"] = platform.platform()
    facts["mac_version"] = platform.mac_ver()[0] or None
    facts["win_version"] = " ".join(platform.win32_ver()).strip() or None
    return facts


def _unquoted(value: object) -> object:
    return value.strip('"') or None if isinstance(value, str) else value


def cpu_facts() -> Facts:
    """Return model, cores, affinity, caches and frequency of the CPU."""
    frequency = cpu_frequency()
    return {
        "cpu_model": _cpu_model(),
        "cpu_architecture": platform.machine() or None,
        "cpu_cores_physical": psutil.cpu_count(logical=False),
        "cpu_threads": psutil.cpu_count(logical=True),
        "cpu_affinity_threads": len(affinity()) or None,
        "cpu_affinity": ",".join(map(str, affinity())) or None,
        "cpu_frequency_current_hz": frequency[0],
        "cpu_frequency_max_hz": frequency[1],
        "cpu_governor": read_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "cpu_features": _cpu_features(),
        **_cache_facts(),
    }


def _cpu_model() -> str | None:
    match = re.search(r"^model name\s*:\s*(.+)$", read_text("/proc/cpuinfo") or "", re.MULTILINE)
    if match:
        return match[1].strip()
    # py-cpuinfo knows the other systems, and takes a second.
    import cpuinfo

    brand = cpuinfo.get_cpu_info().get("brand_raw")
    return str(brand) if brand else None


def _cpu_features() -> str | None:
    """Return those vector instructions that change how fast TensorFlow computes."""
    match = re.search(
        r"^(flags|Features)\s*:\s*(.+)$", read_text("/proc/cpuinfo") or "", re.MULTILINE
    )
    if not match:
        return None
    wanted = re.compile(r"^(sse4_2|avx.*|fma|f16c|amx.*|bf16|asimd|sve.*|i8mm)$")
    return " ".join(sorted(flag for flag in set(match[2].split()) if wanted.match(flag))) or None


def affinity() -> list[int]:
    """Return the numbers of the CPU threads this process may use; empty where none can be told."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return []


def cpu_frequency() -> tuple[float | None, float | None]:
    """Return the current frequency, a mean over the cores, and the highest one, in Hz."""
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError, RuntimeError):
        return None, None
    if frequency is None:
        return None, None
    hertz = 1e6
    return frequency.current * hertz or None, frequency.max * hertz or None


def _cache_facts() -> Facts:
    facts: Facts = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (read_text(index / name) for name in ("level", "type", "size"))
        if level and size:
            suffix = {"Data": "d", "Instruction": "i"}.get(kind or "", "")
            facts[f"cpu_cache_l{level}{suffix}_bytes"] = _size_bytes(size)
    return facts


def last_level_cache_bytes() -> int | None:
    """Return the last caches of all processors this process may use, each counted once."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    found: dict[tuple[int, str], int] = {}
    for cpu in usable:
        for index in Path(f"/sys/devices/system/cpu/cpu{cpu}/cache").glob("index*"):
            level, size = (
                _number(read_text(index / "level")),
                _size_bytes(read_text(index / "size") or ""),
            )
            shared = read_text(index / "shared_cpu_list") or str(cpu)
            if level and size:
                found[(level, shared)] = size
    last = max((level for level, _ in found), default=0)
    return sum(size for (level, _), size in found.items() if level == last) or None


def _size_bytes(text: str) -> int | None:
    match = re.fullmatch(r"(\d+)([KMG]?)", text)
    return int(match[1]) * 1024 ** " KMG".index(match[2] or " ") if match else None


def memory_facts() -> Facts:
    """Return the memory of the machine, in bytes."""
    memory = psutil.virtual_memory()
    return {
        "memory_total_bytes": memory.total,
        "memory_available_bytes": memory.available,
        "swap_total_bytes": psutil.swap_memory().total,
    }


def cgroup_facts(root: Path = Path("/sys/fs/cgroup"), own: str | None = None) -> Facts:
    """Return the CPU and memory limits of this process's control group and those above it.

    Reads version 2 (`cpu.max`, `memory.max`) and version 1; no limit is None.
    `own` is the text of /proc/self/cgroup.
    """
    own = own if own is not None else read_text("/proc/self/cgroup") or ""
    cpus, memory = [], []
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            for folder in _upwards(root, path):
                cpus.append(_quota_v2(read_text(folder / "cpu.max")))
                memory.append(_number(read_text(folder / "memory.max")))
        if "cpu" in controllers.split(","):
            for folder in _upwards(root / "cpu", path):
                quota = _number(read_text(folder / "cpu.cfs_quota_us"))
                period = _number(read_text(folder / "cpu.cfs_period_us"))
                cpus.append(quota / period if quota and period else None)
        if "memory" in controllers.split(","):
            memory += [
                _number(read_text(folder / "memory.limit_in_bytes"))
                for folder in _upwards(root / "memory", path)
            ]
    # Version 1 writes "no limit" as a number beyond any machine.
    limits = [limit for limit in memory if limit is not None and limit < 1 << 60]
    return {
        "cgroup_cpu_limit_cores": min((quota for quota in cpus if quota), default=None),
        "cgroup_memory_limit_bytes": min(limits, default=None),
    }


def cpu_cgroups(root: Path = Path("/sys/fs/cgroup"), own: str | None = None) -> list[Path]:
    """Return the folders of this process's CPU control group and of those above it.

    `own` is the text of /proc/self/cgroup.
    """
    own = own if own is not None else read_text("/proc/self/cgroup") or ""
    folders: list[Path] = []
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            folders += _upwards(root, path)
        if "cpu" in controllers.split(","):
            folders += _upwards(root / "cpu", path)
    return folders


def _upwards(root: Path, path: str) -> list[Path]:
    own = root / path.lstrip("/")
    above = [folder for folder in own.parents if folder == root or root in folder.parents]
    return [own, *above]


def _quota_v2(text: str | None) -> float | None:
    quota, period = [*(text or "").split(), "", ""][:2]
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def gpu_facts() -> Facts:
    """Return NVIDIA's GPUs, their memory, and the driver; nothing where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return {"gpu_count": None}
    try:
        facts: Facts = {
            "gpu_count": pynvml.nvmlDeviceGetCount(),
            "gpu_driver_version": _text(pynvml.nvmlSystemGetDriverVersion()),
            "gpu_cuda_driver_version": _cuda_version(pynvml.nvmlSystemGetCudaDriverVersion()),
        }
        for number in range(pynvml.nvmlDeviceGetCount()):
            device = pynvml.nvmlDeviceGetHandleByIndex(number)
            facts[f"gpu_{number}_name"] = _text(pynvml.nvmlDeviceGetName(device))
            with contextlib.suppress(pynvml.NVMLError):  # not told by unified-memory GPUs
                memory = pynvml.nvmlDeviceGetMemoryInfo(device)
                facts[f"gpu_{number}_memory_bytes"] = int(memory.total)
        return facts
    except pynvml.NVMLError as error:
        return {"gpu_count": None, "gpu_error": str(error)}
    finally:
        pynvml.nvmlShutdown()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _cuda_version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def container_facts() -> Facts:
    """Return the container and the virtual machine this runs in, if any shows."""
    cpuinfo = read_text("/proc/cpuinfo") or ""
    flags = re.search(r"^flags\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return {
        "container": _container(),
        "virtual_machine": "hypervisor" in flags[1].split() if flags else None,
        "hypervisor": read_text("/sys/hypervisor/type")
        or read_text("/sys/class/dmi/id/sys_vendor"),
    }


def _container() -> str | None:
    if "COLAB_RELEASE_TAG" in os.environ or "COLAB_GPU" in os.environ:
        return "colab"
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return "kubernetes"
    if "APPTAINER_NAME" in os.environ or "SINGULARITY_NAME" in os.environ:
        return "apptainer"
    if Path("/.dockerenv").exists():
        return "docker"
    if Path("/run/.containerenv").exists():
        return "podman"
    return read_text("/run/systemd/container")


def version_facts() -> Facts:
    """Return versions of Python, mnistbench and what it stands on, without importing them."""
    return {
        "python_version": platform.python_version(),
        "python_implementation": platform.python_implementation(),
        "python_compiler": platform.python_compiler(),
        "mnistbench_version": __version__,
        "mnistbench_git_commit": git_commit(),
        "cloudmesh_common_version": _version("cloudmesh-common"),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()).strip() or None,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def git_commit() -> str | None:
    """Return the commit mnistbench runs from, with `-dirty` if files differ from it."""
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / ".git").exists():
        described = _output(["git", "-C", str(checkout), "rev-parse", "HEAD"])
        changed = _output(["git", "-C", str(checkout), "status", "--porcelain", "-uno"])
        return f"{described}-dirty" if described and changed else described
    try:
        origin = metadata.distribution("mnistbench").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    told = json.loads(origin or "{}").get("vcs_info", {}).get("commit_id")
    return str(told) if told else None


def load_facts() -> dict[str, float | None]:
    """Return what the machine was doing before the run."""
    try:
        load = os.getloadavg()
    except (OSError, AttributeError):
        return {"load_1min": None, "load_5min": None, "load_15min": None}
    return {"load_1min": load[0], "load_5min": load[1], "load_15min": load[2]}


def read_text(path: str | Path) -> str | None:
    """Return a small file's text without the space around it; None if it has none or is none."""
    try:
        return Path(path).read_text(errors="replace").strip() or None
    except OSError:
        return None


def _output(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


__all__ = [
    "Facts",
    "affinity",
    "cgroup_facts",
    "cpu_cgroups",
    "cpu_frequency",
    "git_commit",
    "last_level_cache_bytes",
    "load_facts",
    "machine_facts",
    "node",
    "read_text",
    "user",
]
