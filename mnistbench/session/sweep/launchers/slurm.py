"""Slurm: an array of jobs by submitit, each alone on its node; what becomes of them by squeue.

Nothing asks `sacct`, which many clusters do not have: what goes on is told by squeue, how it ended
by scontrol as long as Slurm remembers, and what was measured by the folders.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from mnistbench.errors import InputError, RunError
from mnistbench.session.sweep.launchers.engine import Launched, TaskState, point_command
from mnistbench.session.sweep.launchers.settings import Line, Minutes, Number, Word

JOBS = "jobs"
"""The folder of the jobs' own output."""
_PROGRAMS = ("sbatch", "squeue", "scontrol", "scancel")
_USUAL_ARRAY_SIZE = 1001
"""Slurm's own limit where a cluster sets none: indices stay below it."""
_PATIENCE_SECONDS = 60


class Settings(BaseModel):
    """What `--launch` takes for Slurm."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    partition: Word | None = None
    account: Word | None = None
    qos: Word | None = None
    constraint: Word | None = None
    """Features that a node must have."""
    time: Minutes | None = None
    """Of one point; None for the partition's own limit."""
    gpus: Number | None = None
    """Of the node."""
    module: tuple[Line, ...] = ()
    """Loaded before anything else."""
    setup: tuple[Line, ...] = ()
    """Lines of the shell, before the measuring command."""

    @property
    def flags(self) -> dict[str, Any]:
        """Return the options of sbatch: always a whole node, and all of its memory."""
        given = {
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "constraint": self.constraint,
            "time": self.time,
            "gpus-per-node": self.gpus,
        }
        always = {"nodes": 1, "exclusive": True, "mem": 0, "requeue": True}
        return {**always, **{name: value for name, value in given.items() if value is not None}}

    @property
    def setup_lines(self) -> list[str]:
        """Return the lines before the measuring command; one that fails ends the job."""
        loads = [f"module load {name}" for name in self.module]
        return ["set -e", *loads, *self.setup] if loads or self.setup else []


class Engine:
    """The jobs of one sweep."""

    poll_seconds = 2.0

    def __init__(
        self, folder: Path, launched: Launched, settings: Settings, options: tuple[str, ...]
    ) -> None:
        """Use a sweep's folder; raise InputError where there is no Slurm."""
        missing = [program for program in _PROGRAMS if shutil.which(program) is None]
        if missing:
            raise InputError(
                f"slurm needs {missing[0]}, which is not found here",
                source="--launcher",
                hint="call it where jobs are submitted, or take --print there",
            )
        self._folder, self._launched = folder, launched
        self._settings, self._options = settings, options

    def submit(self, numbers: Sequence[int]) -> str:
        """Begin an array of jobs, or several where one may not be so large."""
        executor = self._executor()
        arrays: list[str] = []
        for some in _parts(numbers, _largest_array()):
            commands = [point_command(self._folder, str(number), self._options) for number in some]
            parallel = self._launched.launch.parallel or len(some)
            self._update(executor, parallel, arrays)
            try:
                jobs = executor.map_array(run_command, commands)
            except Exception as error:  # noqa: BLE001  submitit's own, or that of a program it runs
                raise _refused(error) from None
            names = [str(job.job_id) for job in jobs]
            arrays.append(names[0].partition("_")[0])
            self._launched.jobs |= dict(zip(names, some, strict=True))
            self._launched.write(self._folder)
        noun = "point" if len(numbers) == 1 else "points"
        job = "job" if len(arrays) == 1 else "jobs"
        return f"{len(numbers):,} {noun} submitted to Slurm, {job} {', '.join(arrays)}"

    def _executor(self) -> Any:
        import submitit

        return submitit.SlurmExecutor(self._folder / JOBS)

    def _update(self, executor: Any, parallel: int, arrays: Sequence[str]) -> None:
        more = self._settings.flags
        if arrays and self._launched.launch.parallel:
            more["dependency"] = f"afterany:{arrays[-1]}"  # so many at a time, of all arrays
        executor.update_parameters(
            job_name="mnistbench",
            array_parallelism=parallel,
            setup=self._settings.setup_lines or None,
            time=self._settings.time,
            use_srun=False,  # a step of it would have one CPU of the node
            stderr_to_stdout=True,
            signal_delay_s=1,
            additional_parameters=more,
        )

    def states(self) -> dict[int, TaskState]:
        """Return the jobs that squeue shows; all of them where it does not answer now."""
        if not self._launched.jobs:
            return {}
        try:
            shown = _queue()
        except RunError as error:
            shown = {job: TaskState(job, "waits", str(error)) for job in self._launched.jobs}
        return {number: shown[job] for job, number in self._launched.jobs.items() if job in shown}

    def endings(self) -> dict[int, str]:
        """Return what scontrol remembers of jobs that ended otherwise than well."""
        endings = {}
        for array in sorted({job.partition("_")[0] for job in self._launched.jobs}):
            for job, state in _remembered(array):
                number = self._launched.jobs.get(job)
                if number is not None and state != "COMPLETED":
                    log = self._folder / JOBS / f"{job}_0_log.out"
                    endings[number] = f"its job {job} ended as {state}: see {log}"
        return endings

    def cancel(self, *, waiting_only: bool) -> None:
        """Cancel the jobs; raise RunError where Slurm refuses."""
        live = {state.job.partition("_")[0] for state in self.states().values()}
        if live:
            _ask("scancel", *(["--state=PENDING"] if waiting_only else []), *sorted(live))

    def close(self) -> None:
        """Nothing is held."""


def run_command(command: Sequence[str]) -> None:
    """Measure one point, on its node: what submitit calls there."""
    done = subprocess.run(command, check=False)
    if done.returncode not in (0, 1):  # 1: a training failed, and that is a result
        raise subprocess.CalledProcessError(done.returncode, command)


def live_jobs() -> frozenset[str] | None:
    """Return the user's jobs that have not ended; None where Slurm cannot be asked."""
    if shutil.which("squeue") is None:
        return None
    try:
        return frozenset(_queue())
    except RunError:
        return None


def script(folder: Path, points: int, settings: Settings, parallel: int | None,
           options: Sequence[str]) -> str:  # fmt: skip
    """Return a script for sbatch that measures every point of a sweep, an array of jobs."""
    if points >= _USUAL_ARRAY_SIZE:
        raise InputError(
            f"{points:,} points are more than most clusters take in one array, "
            f"{_USUAL_ARRAY_SIZE - 1:,}",
            source="--print",
            hint="submit them by --launcher slurm without --print: it makes several",
        )
    flags = {
        "job-name": "mnistbench",
        "array": f"1-{points}" + (f"%{parallel}" if parallel else ""),
        **settings.flags,
        "output": str(folder / "%x-%A_%a.out"),
    }
    lines = [
        f"#SBATCH --{name}" + ("" if value is True else f"={shlex.quote(str(value))}")
        for name, value in flags.items()
    ]
    number = '"$SLURM_ARRAY_TASK_ID"'
    command = " ".join(
        word if word == number else shlex.quote(word)
        for word in point_command(folder, number, options)
    )
    return "\n".join(["#!/bin/bash", *lines, *settings.setup_lines, f"exec {command}", ""])


def _parts(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (numbers[start : start + size] for start in range(0, len(numbers), size))


def _largest_array() -> int:
    told = re.search(r"^MaxArraySize\s*=\s*(\d+)", _ask("scontrol", "show", "config"), re.MULTILINE)
    return max(1, int(told[1]) - 1) if told else _USUAL_ARRAY_SIZE - 1


def _queue() -> dict[str, TaskState]:
    """Return the user's jobs as squeue shows them, by their names."""
    text = _ask("squeue", "--me", "--noheader", "--array", "--format=%i|%T|%N|%r")
    return {state.job: state for state in map(_state, text.splitlines())}


def _state(line: str) -> TaskState:
    job, state, node, reason = (*line.split("|"), "", "", "")[:4]
    if state == "PENDING":
        return TaskState(job, "waits", reason)
    return TaskState(job, "runs", node if state == "RUNNING" else f"{node} {state}".strip())


def _remembered(array: str) -> Iterable[tuple[str, str]]:
    """Give the jobs of an array that scontrol remembers, with the state of each."""
    try:
        text = _ask("scontrol", "--oneliner", "show", "job", array)
    except RunError:  # forgotten: the folders tell what was measured
        return
    for line in text.splitlines():
        facts = dict(word.partition("=")[::2] for word in line.split())
        name = facts.get("JobId", "")
        if "ArrayTaskId" in facts:
            name = f"{facts.get('ArrayJobId')}_{facts['ArrayTaskId']}"
        yield name, facts.get("JobState", "")


def _ask(*command: str) -> str:
    """Return what a program of Slurm prints; raise RunError, with its own words, if it refuses."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise _refused(error) from None
    return done.stdout


def _refused(error: Exception) -> RunError:
    said = getattr(error, "stderr", None) or getattr(error, "output", None) or str(error)
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = next((line for line in lines if "error:" in line), lines[-1] if lines else "no answer")
    return RunError(f"Slurm refused: {told}", details="" if len(lines) < 2 else text)
