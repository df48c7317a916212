"""The peers of the comparison run, take every step, and learn."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
FEW = ("dataset.train_samples=2010", "dataset.test_samples=500", "training.epochs=1")
PROGRAMS = [
    # program, what it imports, config, steps (2,010 images: the last batch is a partial one)
    ("torch_loop.py", "torch", "mnist-dense", 503),
    ("jax_scan.py", "optax", "mnist-mlp", 63),
    ("sklearn_mlp.py", "sklearn", "mnist-dense", 503),
]


@pytest.mark.parametrize(("program", "module", "config", "steps"), PROGRAMS)
def test_a_peer_takes_every_step_and_learns(
    program: str, module: str, config: str, steps: int
) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    settings = [word for field in FEW for word in ("--set", field)]
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "peers" / program), config, *settings],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stderr.splitlines()[-1])
    assert line["steps"] == steps
    assert line["accuracy"] > 0.75
    assert 0 <= line["seconds"]["compile"] < line["seconds"]["train"]
    assert line["peak_rss_bytes"] > 1e8


def test_side_by_side(tmp_path: Path) -> None:
    if importlib.util.find_spec("sklearn") is None:
        pytest.skip("sklearn is not installed")
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "peers.py"), "--configs", "mnist-dense-512,mnist-mlp",
         "--peers", "sklearn", "--rounds", "2", "--epochs", "1", "--train-samples", "1000",
         "--output", str(tmp_path)],
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with (tmp_path / "peers.csv").open(newline="", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    ran = [row for row in rows if row["config"] == "mnist-dense-512"]
    assert [row["status"] for row in ran] == ["ok", "ok"]
    assert {row["steps"] for row in ran} == {"8"}
    assert all(float(row["preprocess_seconds"]) > 0 for row in ran)
    if sys.platform == "linux":  # elsewhere there may be nothing to read it from
        assert all(0 <= float(row["other_cpu_share"]) <= 1 for row in ran)
        assert {row["contended"] for row in ran} <= {"true", "false"}
    (refused,) = (row for row in rows if row["config"] == "mnist-mlp")
    assert refused["status"] == "not available"
    assert refused["reason"] == "mnist-mlp: scikit-learn has no rmsprop"
    assert refused["train_seconds"] == ""
    told = (tmp_path / "peers.md").read_text(encoding="utf-8")
    assert "scikit-learn has no rmsprop" in told
    assert "| contended |" in told


def test_few_rounds_are_no_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from peers.contenders import FUSED, OK, Outcome
    from peers.report import Entry, rows_of

    def told(rounds: int) -> tuple[str, ...]:
        entries = [
            Entry("mnist-dense", peer, number, 1, Outcome(OK, train_seconds=seconds + number / 100))
            for number in range(rounds)
            for peer, seconds in ((FUSED, 1.0), ("jax", 2.0))
        ]
        return rows_of("mnist-dense", entries)[1]

    assert told(4)[5].startswith("(1.9")
    assert told(5)[5].startswith("1.9")


def test_an_unknown_peer_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "peers.py"), "--peers", "caffe"],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 2
    assert "caffe: unknown; choose from seed, " in done.stderr
