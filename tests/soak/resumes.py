"""Sweeps that are killed, gone on with and killed again: every repeat is there once at last."""

from __future__ import annotations

import json
import random
import subprocess
import time
from pathlib import Path

import psutil
from commands import FEW, environment, words_of
from kills import below, count_rows
from tries import Outcome, judged


def resumed(seed: int, folder: Path) -> Outcome:
    """Kill a sweep, go on with it and kill that too; at last each repeat is there exactly once."""
    draw = random.Random(f"resumed:{seed}")
    out, scratch = folder / "out", folder / "scratch"
    scratch.mkdir()
    variables = environment(out, scratch)
    arguments = draw.choice([
        ["sweep", "mnist-dense", "--grid", "training.batch_size=64,128,256", *FEW, "--repeats", "3",
         "--no-calibrate", "--output", str(out)],
        ["sweep", "mnist-dense", "--grid", "training.learning_rate=1e-4..1e-1:log", *FEW,
         "--set", "training.epochs=3", "--trials", "9", "--pruner", "median", "--no-calibrate",
         "--output", str(out)],
    ])  # fmt: skip
    for _ in range(draw.randint(1, 3)):
        process = subprocess.Popen(
            words_of(arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=variables, start_new_session=True,
        )  # fmt: skip
        time.sleep(draw.uniform(0.5, 15))
        children = below(process.pid)
        process.kill()
        process.wait()
        psutil.wait_procs(children, timeout=3)
        for plan in out.glob("*/sweep.yaml"):
            arguments = ["sweep", "--resume", str(plan.parent), "--no-calibrate"]
    began = time.monotonic()
    done = subprocess.run(
        words_of(arguments), capture_output=True, text=True, env=variables, check=False
    )
    seconds = (time.monotonic() - began) / 30  # it measures, most of a sweep, beside others
    outcome = judged(arguments, done.returncode, done.stdout, done.stderr, seconds, 0.0, {0})
    count_rows(outcome, out)
    outcome.left_over += len([*scratch.iterdir()])
    _count_repeats(outcome, next(out.glob("*/sweep.yaml")).parent)
    outcome.sum_up("lost", "doubled", "halves", "left_over")
    return outcome


def _count_repeats(outcome: Outcome, folder: Path) -> None:
    """Count what is not there once, of every point of a sweep that is said to be whole."""
    told = subprocess.run(
        words_of(["sweep", "status", str(folder), "--format", "json"]),
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
