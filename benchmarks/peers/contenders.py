"""Who takes part, and how each one's program is run and its figures are read."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1]

OK = "ok"
NOT_AVAILABLE = "not available"
FAILED = "failed"


@dataclass(frozen=True)
class Order:
    """One training to run."""

    config: str
    epochs: int
    train_samples: int | None
    """The first so many training images; None for all."""
    seed: int

    @property
    def overrides(self) -> list[str]:
        """Return the fields to override, as mnistbench and the peers' programs take them."""
        fields = [f"training.epochs={self.epochs}"]
        if self.train_samples is not None:
            fields.append(f"dataset.train_samples={self.train_samples}")
        return [word for field in fields for word in ("--set", field)]


@dataclass(frozen=True)
class Outcome:
    """What one process measured, or why it did not; unknown figures are None."""

    status: str
    """`ok`, `not available` or `failed`."""
    reason: str = ""
    preprocess_seconds: float | None = None
    """From the images' bytes to what the training takes; None where it is not told apart."""
    train_seconds: float | None = None
    """The whole train phase, what is traced and compiled in it included."""
    compile_seconds: float | None = None
    """Its share for tracing and compiling; 0 where nothing is, None where it cannot be told."""
    accuracy: float | None = None
    """On the test set, from 0 to 1."""
    steps: int | None = None
    peak_rss_bytes: int | None = None

    @property
    def compiled_seconds(self) -> float | None:
        """Return the train phase without compilation."""
        if self.train_seconds is None or self.compile_seconds is None:
            return None
        return self.train_seconds - self.compile_seconds

    @property
    def from_bytes_seconds(self) -> float | None:
        """Return preprocessing and training together: where images become numbers differs."""
        if self.train_seconds is None or self.preprocess_seconds is None:
            return None
        return self.preprocess_seconds + self.train_seconds


@dataclass(frozen=True)
class Contender:
    """One way to train a config."""

    name: str
    title: str
    run: Callable[[Order], Outcome]
    caches_on_disk: bool = False
    """Its compiler keeps what it compiled: an unrecorded run comes first, as for its user."""


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a program on the CPU, as a process of its own."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=environment
    )


def seed_script(order: Order) -> Outcome:
    """Run the lesson's script; plain `fit` does not tell when it has compiled."""
    script = BENCHMARKS / "seeds" / f"{order.config.replace('-', '_')}.py"
    if not script.is_file():
        return Outcome(NOT_AVAILABLE, f"no script of {order.config}")
    samples = [] if order.train_samples is None else [str(order.train_samples)]
    return _reported(run([str(script), str(order.epochs), *samples]))


def program(script: str, *options: str) -> Callable[[Order], Outcome]:
    """Return the way to run a program of this folder."""

    def of(order: Order) -> Outcome:
        path = str(BENCHMARKS / "peers" / script)
        done = run([path, order.config, "--seed", str(order.seed), *options, *order.overrides])
        return _reported(done)

    return of


def _reported(done: subprocess.CompletedProcess[str]) -> Outcome:
    last = (done.stderr.strip().splitlines() or [""])[-1]
    if done.returncode or not last.startswith("{"):
        not_installed = last.startswith("ModuleNotFoundError")
        refused = not_installed or (done.returncode == 1 and "Traceback" not in done.stderr)
        return Outcome(NOT_AVAILABLE if refused else FAILED, last)
    line = json.loads(last)
    # A seed's phase of that name is `model.compile`, which compiles nothing.
    is_share = "preprocess" in line["seconds"]
    return Outcome(
        OK,
        preprocess_seconds=line["seconds"].get("preprocess"),
        train_seconds=line["seconds"]["train"],
        compile_seconds=line["seconds"]["compile"] if is_share else None,
        accuracy=line["accuracy"],
        steps=line["steps"],
        peak_rss_bytes=line["peak_rss_bytes"],
    )


def mnistbench(*fields: str) -> Callable[[Order], Outcome]:
    """Return the way to run `mnistbench benchmark` with these fields set."""
    settings = [word for field in fields for word in ("--set", field)]

    def of(order: Order) -> Outcome:
        with tempfile.TemporaryDirectory() as output:
            done = run(
                ["-m", "mnistbench", "benchmark", order.config, "--quiet", "--device", "cpu",
                 "--output", output, "--set", f"training.seed={order.seed}",
                 *settings, *order.overrides]
            )  # fmt: skip
            if done.returncode:
                last = (done.stderr.strip().splitlines() or [""])[-1]
                return Outcome(NOT_AVAILABLE if done.returncode == 2 else FAILED, last)
            return _from_tables(next(Path(output).iterdir()))

    return of


def _from_tables(folder: Path) -> Outcome:
    seconds = {row["phase"]: row["seconds"] for row in _rows(folder / "timings.csv")}
    metrics = {row["metric"]: row["value"] for row in _rows(folder / "metrics.csv")}
    return Outcome(
        OK,
        preprocess_seconds=float(seconds["preprocess"]),
        train_seconds=float(seconds["train"]),
        compile_seconds=_compile_seconds(metrics),
        accuracy=float(metrics["test_accuracy"]),
        steps=int(metrics["train_steps"]),
        peak_rss_bytes=int(metrics["peak_rss_bytes"]),
    )


def _compile_seconds(metrics: dict[str, str]) -> float | None:
    """Return what `fused` measured; for `fit`, by how much the first step is longer than others."""
    if metrics.get("trace_compile_seconds"):
        return float(metrics["trace_compile_seconds"])
    first, steady = metrics.get("first_step_seconds"), metrics.get("steady_step_seconds")
    return float(first) - float(steady) if first and steady else None


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


SEED = "seed"
FUSED = "fused-tensorflow"

CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender(SEED, "the lesson's script, Keras fit", seed_script),
        Contender("fit-tensorflow", "mnistbench fit", mnistbench()),
        Contender("fit-jax", "mnistbench fit, JAX", mnistbench("backend=jax")),
        Contender("fit-torch", "mnistbench fit, PyTorch", mnistbench("backend=torch")),
        Contender(FUSED, "mnistbench fused", mnistbench("training.execution=fused")),
        Contender(
            "fused-jax",
            "mnistbench fused, JAX",
            mnistbench("training.execution=fused", "backend=jax"),
        ),
        Contender(
            "fused-torch",
            "mnistbench fused, PyTorch",
            mnistbench("training.execution=fused", "backend=torch"),
        ),
        Contender("torch-eager", "PyTorch loop, eager", program("torch_loop.py")),
        Contender(
            "torch-compile",
            "PyTorch loop, torch.compile",
            program("torch_loop.py", "--compile"),
            caches_on_disk=True,
        ),
        Contender("jax", "JAX scan with Optax", program("jax_scan.py")),
        Contender("sklearn", "scikit-learn MLPClassifier", program("sklearn_mlp.py")),
    )
}
"""Everyone, in the order of the tables; a new one is an entry here."""
