"""Dask: a point a task, on any cluster that dask.distributed reaches; run folders come back by it.

A worker offers the resource `mnistbench`, of which a point takes one, and measures in a process of
its own. Of workers on one machine one measures at a time, whoever started them.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from pydantic import BaseModel, ConfigDict

from mnistbench.errors import InputError, OutputError
from mnistbench.machine import host
from mnistbench.results.folder import output_error
from mnistbench.results.tables import ATTEMPTS, FINDINGS, SWEEP_PLAN
from mnistbench.session.sweep import lock
from mnistbench.session.sweep.launchers.engine import Launched, TaskState, point_command
from mnistbench.session.sweep.launchers.settings import Number, Word

RESOURCE = "mnistbench"
_PATIENCE = "10s"

Files = Mapping[str, bytes]
"""What an attempt left: paths below the sweep's folder, and what stands there."""


class Settings(BaseModel):
    """What `--launch` takes for Dask."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scheduler: Word | None = None
    """Its address; None for a cluster of this machine alone, ended with the command."""
    workers: Number = 1
    """Of a cluster of this machine: they take turns."""
    retries: Number = 2
    """Of a point whose process or worker died."""


class Engine:
    """The tasks of one sweep in a Dask cluster."""

    poll_seconds = 0.2

    def __init__(
        self, folder: Path, launched: Launched, settings: Settings, options: tuple[str, ...]
    ) -> None:
        """Reach the cluster, or start one; raise InputError where that fails."""
        self._folder, self._launched = folder, launched
        self._settings, self._options = settings, options
        self._futures: dict[int, Any] = {}
        self._endings: dict[int, str] = {}
        self._cluster: Any = None
        self._client = self._connected()

    def _connected(self) -> Any:
        from distributed import Client, LocalCluster

        address = self._settings.scheduler
        if address is None:
            self._cluster = LocalCluster(
                n_workers=max(1, self._settings.workers), threads_per_worker=1, processes=True,
                resources={RESOURCE: 1}, dashboard_address="127.0.0.1:0",
            )  # fmt: skip
            return Client(self._cluster)
        try:
            return Client(address, timeout=_PATIENCE)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"no Dask scheduler answers there: {error}",
                source=f"--launch scheduler={address}",
                hint="start one with: dask scheduler",
            ) from None

    def submit(self, numbers: Sequence[int]) -> str:
        """Begin a task for each point; raise InputError where no worker would take it."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        able = [worker for worker in workers if worker["resources"].get(RESOURCE)]
        if not able:
            raise InputError(
                f"none of its {len(workers)} workers offers the resource {RESOURCE}",
                source="--launcher dask",
                hint=f"start them with: dask worker ADDRESS --nthreads 1 --resources {RESOURCE}=1",
            )
        plan = (self._folder / SWEEP_PLAN).read_text(encoding="utf-8")
        # Sent once, not with each of ten thousand points.
        shared = self._client.scatter(plan, broadcast=True)
        for number in numbers:
            self._futures[number] = self._client.submit(
                measure_point_here, shared, number, self._options,
                key=f"mnistbench-{number}-{secrets.token_hex(4)}", pure=False,
                resources={RESOURCE: 1}, retries=self._settings.retries,
            )  # fmt: skip
        self._launched.write(self._folder)
        hosts = len({worker["host"] for worker in able})
        return (
            f"{len(numbers):,} points given to Dask: {len(able)} workers on {hosts} "
            f"{'machine' if hosts == 1 else 'machines'}"
        )

    def states(self) -> dict[int, TaskState]:
        """Return the tasks that have not ended; what others brought is written down."""
        for number, future in list(self._futures.items()):
            if future.done():
                del self._futures[number]
                self._take(number, future)
        return {number: TaskState(future.key, "waits") for number, future in self._futures.items()}

    def _take(self, number: int, future: Any) -> None:
        if future.status == "finished":
            write_attempt(self._folder, future.result())
        elif future.status == "error":
            self._endings[number] = f"Dask gave up: {_one_line(future.exception())}"
        else:
            self._endings[number] = f"its task was {future.status}"
        future.release()

    def endings(self) -> dict[int, str]:
        """Return why tasks ended without a result."""
        return self._endings

    def cancel(self, *, waiting_only: bool) -> None:
        """Cancel tasks; Dask does not tell which have begun, and those are ended too."""
        self._client.cancel(list(self._futures.values()), force=True)

    def close(self) -> None:
        """Leave the cluster, and end one that was started here."""
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


def measure_point_here(plan: str, number: int, options: Sequence[str]) -> Files:
    """Measure one point in a process of its own, on a worker; return what it left.

    Raises RuntimeError where it left nothing whole: Dask tries again, perhaps elsewhere.
    """
    with tempfile.TemporaryDirectory(prefix="mnistbench-") as scratch:
        folder = Path(scratch)
        (folder / SWEEP_PLAN).write_text(plan, encoding="utf-8")
        with _alone_on_this_machine() as inherited:
            done = subprocess.run(
                point_command(folder, str(number), options), capture_output=True, text=True,
                check=False, cwd=scratch, env=_environment(), **inherited,
            )  # fmt: skip
        ended = next((folder / ATTEMPTS).glob(f"*/{FINDINGS}"), None)
        if ended is None:
            said = done.stderr.strip().splitlines()
            raise RuntimeError(said[-1] if said else f"its process ended with {done.returncode}")
        return {
            file.relative_to(folder).as_posix(): file.read_bytes()
            for file in sorted(ended.parent.rglob("*"))
            if file.is_file()
        }


@contextmanager
def _alone_on_this_machine() -> Iterator[dict[str, Any]]:
    """Wait until no other worker of this machine measures; give what its process must inherit.

    A process that outlives its killed worker goes on holding its turn.
    """
    with lock.turn_of(Path(tempfile.gettempdir()) / f"mnistbench-{host.user()}.turn") as file:
        yield {} if file is None else {"pass_fds": (file.fileno(),)}


def _environment() -> dict[str, str]:
    """Return this worker's environment without what Dask put there for tasks of its own kind.

    Its nanny gives a worker one thread (OMP_NUM_THREADS=1 and the like) and an allocator that keeps
    nothing (MALLOC_TRIM_THRESHOLD_), as it expects many small tasks beside each other. A point is
    the only one on its machine, and is to be measured as one in turn is. What whoever started the
    nanny had set stays.
    """
    from dask import config

    of_dask = config.get("distributed.nanny.pre-spawn-environ", default={})
    parent = psutil.Process().parent()  # the nanny; without one, a shell that set what there is
    try:
        given = parent.environ() if parent else {}
    except (psutil.Error, OSError):  # somebody else's
        given = {}
    return {
        name: value
        for name, value in os.environ.items()
        if name in given or str(of_dask.get(name)) != value
    }


def write_attempt(folder: Path, files: Files) -> None:
    """Write what a worker brought, to be collected; raise OutputError if it cannot be."""
    # What tells that the attempt is whole is written last.
    for name in sorted(files, key=lambda name: name.endswith(f"/{FINDINGS}")):
        place = folder / name
        if ".." in place.parts or not name.startswith(f"{ATTEMPTS}/"):
            raise OutputError(f"{name}: a worker brought a file that is of no attempt")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(files[name])
        except OSError as error:
            raise output_error(place, error) from None


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
