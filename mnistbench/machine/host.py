"""What machine this is: stable facts and the load before the run; unknown is None."""

from __future__ import annotations

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

import mnistbench
from mnistbench import __version__
from mnistbench.machine.cgroups import cgroup_facts
from mnistbench.machine.clocks import clock_resolution_seconds
from mnistbench.machine.cpu import cpu_facts
from mnistbench.machine.gpus import gpu_facts
from mnistbench.machine.system_files import Facts, read_text

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
        "clock_resolution_seconds": clock_resolution_seconds(),
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


def memory_facts() -> Facts:
    """Return the memory of the machine, in bytes."""
    memory = psutil.virtual_memory()
    return {
        "memory_total_bytes": memory.total,
        "memory_available_bytes": memory.available,
        "swap_total_bytes": psutil.swap_memory().total,
    }


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
    checkout = Path(mnistbench.__file__).resolve().parents[1]
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


def _output(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
