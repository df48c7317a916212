"""Runs written by hand, and the command `compare` on them; TensorFlow is never needed."""

from __future__ import annotations

import csv
import io

from conftest import run_here

from mnistbench.config.loading import load_config
from mnistbench.results.phases import PHASES
from mnistbench.results.rows import MachineRow, MetricRow, TimingRow, to_csv

# Noise in percent, one figure a repeat: 10 repeats of about 2 % spread with sum 0.
NOISE = (1.2, -0.7, 2.9, -2.4, 0.3, -1.8, 1.9, 0.4, -0.5, -1.3)
OTHER_NOISE = (-0.4, 1.6, 1.1, 0.2, -2.7, 0.9, -1.1, 2.2, -1.9, 0.1)

MACHINE = {
    "node": "anna", "cpu_model": "AMD EPYC", "cpu_threads": "2", "memory_total_bytes": "8000000000",
    "mnistbench_version": "0.1.0", "tensorflow_version": "2.21.0", "keras_version": "3.15.1",
    "tensorflow_onednn": "true", "load_1min": "0.5", "mem_free": "3 GiB", "dataset": "mnist",
    "cpu_frequency_current_hz": "2445426000.0", "started_utc": "2026-11-22T10:00:00Z",
}  # fmt: skip


def compare(*arguments):
    """Run the command in this process; return its exit code, standard output and error."""
    done = run_here("compare", *map(str, arguments))
    return done.returncode, done.stdout, done.stderr


def verdicts(*arguments):
    """Return the verdict of each phase, from the CSV that the command prints."""
    code, output, error = compare(*arguments, "--format", "csv")
    assert not error, error
    rows = list(csv.DictReader(io.StringIO(output)))
    return code, {row["phase"]: row["verdict"] for row in rows}, rows


def times(seconds, noise=NOISE):
    return [seconds * (1 + percent / 100) for percent in noise]


def write_run(
    folder, phases, *, session="", accuracy=0.91, machine=(), settings=(), metrics=(), **columns
):
    """Write a run folder with a list of seconds for each phase; None is a failed repeat.

    `metrics` are, by their names, a list of a value for each repeat, and the unit.
    """
    folder.mkdir(parents=True)
    config = load_config(columns.pop("config", "mnist-dense"), list(settings))
    run_id = columns.get("run_id", folder.name)
    fields = {
        "run_id": run_id, "config": config.name, "config_digest": config.digest(),
        "dataset": "mnist", "data_digest": "d1", "model": "dense", "backend": "tensorflow",
        "device": "cpu", "precision": "float32", "epochs": config.training.epochs,
        "batch_size": config.training.batch_size, "seed": 1, "cpu_seconds": None, "tag": "",
        "user": "eve", "node": dict(machine).get("node", "anna"), **columns,
    }  # fmt: skip
    rows = [
        TimingRow(
            **fields, phase=phase, repeat=number, seconds=seconds,
            start_utc=f"2026-11-22T10:{number:02d}:00.000000Z",
            status="ok" if seconds is not None else "killed:SIGKILL",
        )
        for phase, listed in phases.items()
        for number, seconds in enumerate(listed, start=1)
    ]  # fmt: skip
    facts = {**MACHINE, "session": session, **dict(machine)}
    repeats = len(next(iter(phases.values())))
    figures = {"test_accuracy": ([accuracy] * repeats, "1"), **dict(metrics)}
    measured = [
        MetricRow(run_id, number, name, value, unit)
        for name, (values, unit) in figures.items()
        for number, value in enumerate(values, start=1)
    ]
    write(folder / "timings.csv", to_csv(rows, TimingRow))
    write(folder / "metrics.csv", to_csv(measured, MetricRow))
    write(
        folder / "machine.csv",
        to_csv([MachineRow(run_id, name, value) for name, value in facts.items()], MachineRow),
    )
    write(folder / "config.yaml", config.to_yaml())
    return folder


def write(path, text):
    path.write_bytes(text.encode())


ACCEPTED_SECONDS = {"train": 20.0, "test": 1.4, "total": 22.0}
ACCEPTED_MACHINE = {
    "node": "annas-laptop.example.org", "user": "eve",
    "cpu_model": "Intel(R) Core(TM) i7 CPU @ 2GHz",
    "cpu_threads": "8", "cpu_affinity_threads": "8", "dataset_canonical": "true",
    "repeats_planned": "10", "started_utc": "2026-11-22T10:00:00.000000Z",
    "python_executable": "/home/eve/venv/bin/python", "env_XLA_FLAGS": "--xla_dump_to=/home/eve/x",
    "env_OMP_NUM_THREADS": "8", "PRETTY_NAME": "Debian 12", "device": "cpu",
    "tensorflow_version": "2.21.0",
}  # fmt: skip


def submitted_run(folder, *, machine=(), repeats=10, contended=0, phases=PHASES, **more):
    """Write a run that `submit` accepts, but for what is said."""
    measured = {phase: times(ACCEPTED_SECONDS.get(phase, 0.3))[:repeats] for phase in phases}
    marks = ["true"] * contended + ["false"] * (repeats - contended)
    return write_run(
        folder, measured, machine={**ACCEPTED_MACHINE, **dict(machine)}, tag="eve's",
        node=ACCEPTED_MACHINE["node"], metrics={"contended": (marks, "")}, **more,
    )  # fmt: skip
