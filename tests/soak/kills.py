"""Ends at any moment, and odd surroundings: real processes of the real command."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
from tries import Outcome, judged

FEW = ("--set", "dataset.train_samples=512", "--set", "dataset.test_samples=256")
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
EXIT_CODES = {0, 1, 2, 130, 143, 129, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP}
"""A signal before Python runs a line of ours ends it as the system does."""


def mnistbench(*arguments: str) -> list[str]:
    """Return the command in this interpreter."""
    return [sys.executable, "-m", "mnistbench", *arguments]


def measure_two_runs(target: Path) -> None:
    """Leave two small run folders, `base` and `new`."""
    for name in ("base", "new"):
        out = target / f"{name}-out"
        subprocess.run(
            mnistbench("benchmark", "mnist-dense", *FEW, "--repeats", "6", "--output", str(out)),
            check=True, capture_output=True,
        )  # fmt: skip
        next(out.iterdir()).rename(target / name)
        out.rmdir()


def killed(seed: int, folder: Path) -> Outcome:
    """End a command that writes, at a moment drawn: it, its group, or a process below it."""
    draw = random.Random(f"kill:{seed}")
    out, scratch = folder / "out", folder / "scratch"
    scratch.mkdir()
    arguments = draw.choice([
        ["benchmark", "mnist-dense", *FEW, "--repeats", "20", "--output", str(out)],
        ["benchmark", "mnist-dense", *FEW, "--repeats", "20", "--start-method", "spawn",
         "--output", str(out)],
        ["train", "mnist-dense", *FEW, "--set", "training.epochs=200", "--checkpoint-every", "20",
         "--output", str(out)],
        ["sweep", "mnist-dense", "--grid", "training.batch_size=4,8", *FEW, "--repeats", "3",
         "--output", str(out)],
    ])  # fmt: skip
    number = draw.choice(SIGNALS)
    environment = {**os.environ, "TMPDIR": str(scratch)}
    process = subprocess.Popen(
        mnistbench(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment, start_new_session=True,
    )  # fmt: skip
    time.sleep(draw.uniform(0.05, 12))
    below = _below(process.pid)
    if below and draw.random() < 0.25:
        draw.choice(below).send_signal(signal.SIGKILL)
        time.sleep(draw.uniform(0, 2))
        below = [*below, *_below(process.pid)]
    if process.poll() is None:
        process.send_signal(number)
    began = time.monotonic()
    try:
        output, error = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        output, error = process.communicate()
    seconds = time.monotonic() - began
    outcome = judged(arguments, process.returncode, output, error, seconds, 0.0, EXIT_CODES)
    _look_after(outcome, out, scratch, below)
    return outcome


def _below(process_id: int) -> list[psutil.Process]:
    try:
        return psutil.Process(process_id).children(recursive=True)
    except psutil.Error:
        return []


def resumed(seed: int, folder: Path) -> Outcome:
    """Kill a sweep, go on with it and kill that too; at last each repeat is there exactly once."""
    draw = random.Random(f"resumed:{seed}")
    out, scratch = folder / "out", folder / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "TMPDIR": str(scratch)}
    arguments = draw.choice([
        ["sweep", "mnist-dense", "--grid", "training.batch_size=64,128,256", *FEW, "--repeats", "3",
         "--no-calibrate", "--output", str(out)],
        ["sweep", "mnist-dense", "--grid", "training.learning_rate=1e-4..1e-1:log", *FEW,
         "--set", "training.epochs=3", "--trials", "9", "--pruner", "median", "--no-calibrate",
         "--output", str(out)],
    ])  # fmt: skip
    for _ in range(draw.randint(1, 3)):
        process = subprocess.Popen(
            mnistbench(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=environment, start_new_session=True,
        )  # fmt: skip
        time.sleep(draw.uniform(0.5, 15))
        below = _below(process.pid)
        process.kill()
        process.wait()
        psutil.wait_procs(below, timeout=3)
        for plan in out.glob("*/sweep.yaml"):
            arguments = ["sweep", "--resume", str(plan.parent), "--no-calibrate"]
    began = time.monotonic()
    done = subprocess.run(
        mnistbench(*arguments), capture_output=True, text=True, env=environment, check=False
    )
    seconds = (time.monotonic() - began) / 10  # it measures
    outcome = judged(arguments, done.returncode, done.stdout, done.stderr, seconds, 0.0, {0})
    _look_after(outcome, out, scratch, [])
    _count_repeats(outcome, next(out.glob("*/sweep.yaml")).parent)
    return outcome


def _count_repeats(outcome: Outcome, folder: Path) -> None:
    """Count what is not there once, of every point of a sweep that is said to be whole."""
    told = subprocess.run(
        mnistbench("sweep", "status", str(folder), "--format", "json"),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    result = json.loads(told.stdout)
    planned = result["search"]["trials"] if result["search"] else 3
    points = result["points"]
    wanted = {True: 1, False: result["repeats"]}
    wrong = [p["point"] for p in points if p["repeats"] != wanted[p["state"] == "pruned"]]
    outcome.lost += len(wrong) + len(result["missing"]) + abs(planned - len(points))
    folders = [path.parent.name for path in folder.glob("*/timings.csv")]
    outcome.doubled += len(folders) - len(points)
    if outcome.lost or outcome.doubled:
        outcome.problem = f"lost {outcome.lost}, doubled {outcome.doubled}; {outcome.problem}"


def _look_after(outcome: Outcome, out: Path, scratch: Path, below: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(below, timeout=3)
    outcome.orphans = len([p for p in alive if p.is_running() and p.status() != "zombie"])
    for timings in out.rglob("timings.csv"):
        text = timings.read_text()
        rows = list(csv.reader(text.splitlines()))
        keys = [
            (row[0], row[rows[0].index("repeat")], row[rows[0].index("phase")]) for row in rows[1:]
        ]
        outcome.doubled += len(keys) - len(set(keys))
        outcome.lost += int(not text.endswith("\n")) + sum(len(row) != len(rows[0]) for row in rows)
        metrics = list(csv.DictReader(timings.with_name("metrics.csv").read_text().splitlines()))
        known = {row["repeat"] for row in metrics}
        outcome.halves += len({key[1] for key in keys} - known)
    subprocess.run(
        mnistbench("peak", "--output", str(out / "next")), check=False, capture_output=True,
        env={**os.environ, "TMPDIR": str(scratch), "PATH": ""},
    ) if any(scratch.iterdir()) else None  # fmt: skip
    outcome.left_over = len(list(scratch.iterdir()))
    counted = ("lost", "doubled", "halves", "orphans", "left_over")
    wrong = [f"{name} {getattr(outcome, name)}" for name in counted if getattr(outcome, name)]
    if wrong:
        outcome.problem = "; ".join([*wrong, outcome.problem])


def surroundings(seed: int, folder: Path) -> Outcome:
    """Call a command where something of the machine is not as it should be."""
    draw = random.Random(f"surroundings:{seed}")
    runs = str(Path("runs").absolute())
    arguments = [word.replace("{runs}", runs) for word in draw.choice(COMMANDS)]
    line = draw.choice([*WAYS.values()]).format(folder=folder)
    began = time.monotonic()
    done = subprocess.run(
        ["bash", "-c", line, "bash", *mnistbench(*arguments)],
        capture_output=True, text=True, errors="replace", timeout=120, check=False,
    )  # fmt: skip
    seconds = time.monotonic() - began
    return judged([line, *arguments], done.returncode, done.stdout, done.stderr, seconds / 10, 0.0,
                  {0, 1, 2, 3, 4, 5, 74})  # fmt: skip


COMMANDS = (
    ["config", "list"], ["config", "show", "mnist-dense"], ["config", "schema"], ["--help"],
    ["compare", "{runs}/base", "{runs}/new"], ["machine-info"], ["data", "list"],
    ["data", "show", "mnist"],
    ["compare", "{runs}/base", "{runs}/new", "--format", "json"],
)  # fmt: skip
WAYS: Mapping[str, str] = {
    "standard output full": '"$@" >/dev/full',
    "standard error full": '"$@" 2>/dev/full',
    "streams closed": '"$@" <&- >&- 2>&-',
    "reader gone": 'set -o pipefail; "$@" | true; exit ${{PIPESTATUS[0]}}',
    "no temporary folder": 'TMPDIR=/nowhere "$@"',
    "temporary folder not to be written": 'TMPDIR=/proc "$@"',
    "folder deleted": 'mkdir {folder}/gone && cd {folder}/gone && rmdir ../gone && "$@"',
    "no home": 'env -u HOME "$@"',
    "home not there": 'HOME=/nowhere "$@"',
    "a time zone that is none": 'TZ=No/Where "$@"',
    "ASCII": 'LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 "$@"',
    "few open files": 'ulimit -n 10; "$@"',
    "little memory": 'ulimit -v 3000000; "$@"',
    "narrow": 'COLUMNS=1 "$@"',
    "one core": 'taskset -c 0 "$@"',
    "nice words": 'PYTHONIOENCODING=ascii "$@"',
}


KINDS: Mapping[str, tuple[int, Callable[[int, Path], Outcome]]] = {
    "kills": (1000, killed),
    "kills and resumes": (20, resumed),
    "surroundings": (400, surroundings),
}
