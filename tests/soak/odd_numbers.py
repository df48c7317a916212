"""Numbers, data and clocks as they should not be, through a whole measurement and what reads it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import clocks
import numpy as np
from commands import words_of
from kills import count_rows
from tries import Outcome, judged

CODES = {0, 1, 2, 3, 4, 5}
CLOCKS = ("", "", "", "set:-3600", "set:-2", "set:86400", "coarse:0.015625", "coarse:1",
          "begin:86400", "begin:4102444800")  # fmt: skip
SETTINGS: Sequence[Sequence[str]] = (
    (),
    ("training.optimizer=sgd", "training.learning_rate=1e38", "dataset.normalization=none"),
    ("training.loss=mean_squared_error", "training.optimizer=sgd", "training.learning_rate=1e15",
     "dataset.normalization=none"),
    ("training.loss=poisson", "training.learning_rate=1e30"),
    ("training.learning_rate=1e-38",),
    ("training.batch_size=100000",),
    ("training.batch_size=1", "dataset.train_samples=3"),
    ("dataset.train_samples=1", "dataset.test_samples=1"),
    ("dataset.train_samples=2", "training.validation=0.5"),
    ("dataset.normalization=standardize",),
    ("training.validation=test",),
)  # fmt: skip


def _alike(draw: random.Random, folder: Path) -> Sequence[str]:
    """Images that are all one byte, of classes of which some are missing."""
    count, classes = draw.choice([1, 2, 7, 64]), draw.choice([1, 3, 10])
    images = np.full((count, 28, 28), draw.choice([0, 7, 255]), np.uint8)
    labels = (np.arange(count) % classes + draw.choice([0, 10 - classes])).astype(np.uint8)
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(folder / "data.npz", **arrays)  # type: ignore[arg-type]
    return (f"dataset.path={folder / 'data.npz'}",)


def numbers(seed: int, folder: Path) -> Outcome:
    """Measure something odd; then compare, report and export it."""
    draw = random.Random(f"numbers:{seed}")
    settings = ["dataset.train_samples=256", "dataset.test_samples=128", *draw.choice(SETTINGS)]
    if draw.random() < 0.3:
        settings = [*_alike(draw, folder), *settings[2:]]
        settings = [each for each in settings if not each.startswith(("dataset.tr", "dataset.te"))]
    clock = draw.choice(CLOCKS)
    variables = clocks.environment(clock, folder) if clock else {}
    trains = draw.random() < 0.4
    first = ["train"] if trains else ["benchmark", "--repeats", "2", "--format", "json"]
    execution = draw.choice([[], [], ["--execution", "fused"]])
    config = draw.choice(["mnist-dense", "mnist-dense-relu"])
    out = folder / "out"
    words = [*first, config, *execution, "--quiet", "--output", str(out),
             *(word for each in settings for word in ("--set", each))]  # fmt: skip
    outcome = _run(words, variables, draw.uniform(1, 12) if clock.startswith("set") else None)
    run = next(iter(out.glob("*")), None)
    if run is not None and outcome.survived:
        count_rows(outcome, out)
        for arguments in _after(trains, run, folder):
            _add(outcome, _run(arguments, variables))
    outcome.sum_up("lost", "doubled", "halves")
    return outcome


def _after(trains: bool, run: Path, folder: Path) -> list[list[str]]:
    base = str(Path("runs", "base").absolute())
    evaluate = ["evaluate", str(run), "--format", "json", "--output", str(folder / "e")]
    return [
        *([evaluate] if trains else []),
        ["compare", base, str(run), "--format", "json", "--phase", "all",
         "--metric", "test_loss"],
        ["report", str(run), "-o", str(folder / "r.html")],
        ["export", "pytest-benchmark", str(run)],
        ["merge", str(run), "-o", str(folder / "merged")],
    ]  # fmt: skip


def _run(
    words: Sequence[str], variables: Mapping[str, str], set_after: float | None = None
) -> Outcome:
    if set_after is not None:
        threading.Timer(set_after, clocks.set_now, [variables]).start()
    began = time.monotonic()
    done = subprocess.run(
        words_of(words), capture_output=True, text=True, env={**os.environ, **variables},
        timeout=240, check=False,
    )  # fmt: skip
    outcome = judged([*variables.values(), *words], done.returncode, done.stdout, done.stderr,
                     (time.monotonic() - began) / 12, 0.0, CODES)  # fmt: skip
    if done.stdout.startswith("{"):
        try:
            json.loads(done.stdout, parse_constant=_refused)
        except ValueError as error:
            outcome.wrong_codes += 1
            outcome.problem += f"; no JSON: {error}: {words}"
    return outcome


def _refused(constant: str) -> None:
    raise ValueError(constant)


def _add(outcome: Outcome, other: Outcome) -> None:
    """Count what another command of the same try did."""
    for name in ("tracebacks", "internal_errors", "hangs", "wrong_codes", "control_codes"):
        setattr(outcome, name, getattr(outcome, name) + getattr(other, name))
    outcome.seconds = max(outcome.seconds, other.seconds)
    outcome.problem = "; ".join(filter(None, [outcome.problem, other.problem]))
