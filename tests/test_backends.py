"""Frameworks: the same configs, phases and files on each, and what each can and cannot do."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import FEW, Session, benchmark, failure_line, rows, run

from mnistbench.config.frameworks import BACKENDS
from mnistbench.config.loading import load_config
from mnistbench.config.run_config import json_schema

FLOOR = 0.4
"""Guessing is right in a tenth; two epochs of a thousand images reach .65 and more."""


def needs(name: str) -> pytest.MarkDecorator:
    found = importlib.util.find_spec(name) is not None
    return pytest.mark.skipif(not found, reason=f"{name} is not installed")


EACH = [pytest.param(name, marks=needs(name)) for name in BACKENDS]
OTHERS = [pytest.param(name, marks=needs(name)) for name in BACKENDS if name != "tensorflow"]


def site(folder: Path, code: str) -> dict[str, str]:
    """Return an environment in which every Python runs this code as it starts."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


WATCHES_TENSORFLOW = """
import pathlib, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "tensorflow":
            pathlib.Path({file!r}).write_text("imported")
sys.meta_path.insert(0, Finder())
"""

WITHOUT_TORCH = """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'")
sys.meta_path.insert(0, Finder())
"""


def config_file(folder: Path, backend: str, execution: str) -> Path:
    file = folder / f"{backend}-{execution}.yaml"
    file.write_text(
        f"backend: {backend}\n"
        "dataset: {train_samples: 1030, test_samples: 270, normalization: standardize}\n"
        "model: {family: dense}\n"
        "training: {epochs: 2, batch_size: 100, shuffle: false, validation: 0.25,\n"
        f"           execution: {execution}}}\n"
    )
    return file


@dataclass(frozen=True)
class Runs:
    """What the sessions of all installed backends left behind."""

    folders: dict[tuple[str, str], Path]
    """By backend and execution."""
    imported_tensorflow: dict[str, bool]

    def metric(self, name: str, way: str, metric: str) -> str:
        table = rows(self.folders[name, way] / "metrics.csv")
        [value] = [row["value"] for row in table if row["metric"] == metric]
        return value

    def facts(self, name: str, way: str) -> dict[str, str]:
        table = rows(self.folders[name, way] / "machine.csv")
        return {row["attribute"]: row["value"] for row in table}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """TensorFlow both ways; the others with `fit`, forked, and fused in one session together."""
    installed = [name for name in BACKENDS if importlib.util.find_spec(name) is not None]
    others = [name for name in installed if name != "tensorflow"]
    sessions = {"tensorflow": [("tensorflow", "fit"), ("tensorflow", "fused")]}
    sessions |= {name: [(name, "fit")] for name in others}
    sessions["together"] = [(name, "fused") for name in others]
    made = Runs({}, {})
    for session, members in sessions.items():
        if not members:
            continue
        folder = tmp_path_factory.mktemp(session)
        watching = WATCHES_TENSORFLOW.format(file=str(folder / "imported"))
        files = [str(config_file(folder, *member)) for member in members]
        output = folder / "results"
        done = run(
            "benchmark", *files, "--no-calibrate", "--output", str(output),
            env=site(folder / "site", watching),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found = Session(done, output)
        made.folders.update({(name, way): found.folder(f"{name}-{way}") for name, way in members})
        made.imported_tensorflow[session] = (folder / "imported").exists()
    return made


@pytest.mark.parametrize("way", ["fit", "fused"])
@pytest.mark.parametrize("name", EACH)
def test_the_files_are_those_of_any_backend(name: str, way: str, runs: Runs) -> None:
    mine, theirs = runs.folders[name, way], runs.folders["tensorflow", way]
    timings, others = rows(mine / "timings.csv"), rows(theirs / "timings.csv")
    assert list(timings[0]) == list(others[0])
    assert [row["phase"] for row in timings] == [row["phase"] for row in others]
    assert {row["status"] for row in timings} <= {"ok", "inherited"}
    assert {row["backend"] for row in timings} == {name}
    metrics = [row["metric"] for row in rows(mine / "metrics.csv")]
    assert metrics == [row["metric"] for row in rows(theirs / "metrics.csv")]
    assert runs.metric(name, way, "parameters") == "50890"
    assert float(runs.metric(name, way, "test_accuracy")) > FLOOR


@pytest.mark.parametrize("name", EACH)
def test_in_the_same_order_both_executions_learn_the_same(name: str, runs: Runs) -> None:
    for metric in (
        "test_loss", "train_loss", "epoch_1_train_loss", "validation_loss",
        "test_accuracy", "train_accuracy", "validation_accuracy",
    ):  # fmt: skip
        fit, fused = (float(runs.metric(name, way, metric)) for way in ("fit", "fused"))
        assert fused == pytest.approx(fit, rel=0.005, abs=0.004), metric
    assert float(runs.metric(name, "fused", "trace_compile_seconds")) > 0
    assert runs.metric(name, "fit", "trace_compile_seconds") == ""
    assert runs.metric(name, "fused", "jit_reason").startswith("auto: ")
    assert runs.metric(name, "fit", "jit_reason") == "Keras's own choice"


@pytest.mark.parametrize("name", EACH)
def test_the_machine_is_told_of_this_framework_alone(name: str, runs: Runs) -> None:
    for way in ("fit", "fused"):
        facts = runs.facts(name, way)
        assert facts["keras_backend"] == name
        assert facts[f"{name}_version"].startswith(importlib.metadata.version(name).split("+")[0])
        assert not [other for other in BACKENDS if other != name and f"{other}_version" in facts]
        said = f"{BACKENDS[name].title} said while it was imported"
        assert said in (runs.folders[name, way] / "log.txt").read_text()
    session = "tensorflow" if name == "tensorflow" else "together"
    for watched in (name, session):
        assert runs.imported_tensorflow[watched] == (name == "tensorflow")


@needs("jax")
@needs("torch")
def test_several_backends_in_one_session_are_spawned(runs: Runs) -> None:
    both = [runs.facts(name, "fused") for name in ("jax", "torch")]
    assert [facts["start_method"] for facts in both] == ["spawn", "spawn"]
    assert both[0]["session"] == both[1]["session"]
    for name in ("jax", "torch"):
        timings = rows(runs.folders[name, "fused"] / "timings.csv")
        [imported] = [row for row in timings if row["phase"] == "import"]
        assert imported["status"] == "ok" and float(imported["seconds"]) > 0


def evaluates_to_the_same(folder: Path, whole: dict[str, str]) -> None:
    done = run("evaluate", str(folder))
    assert done.returncode == 0, done.stderr
    [evaluation] = (folder / "evaluations").iterdir()
    again = {row["metric"]: row["value"] for row in rows(evaluation / "metrics.csv")}
    assert float(again["test_loss"]) == pytest.approx(float(whole["test_loss"]), rel=1e-5)
    assert again["test_accuracy"] == whole["test_accuracy"]


@pytest.mark.long
@pytest.mark.parametrize("name", OTHERS)
def test_train_resumes_to_the_same_end(name: str, tmp_path: Path) -> None:
    done = run("train", "--backend", name, *FEW, "--set", "training.epochs=2",
               "--set", "training.batch_size=64", "--checkpoint-every", "1",
               "--output", str(tmp_path))  # fmt: skip
    assert done.returncode == 0, done.stderr
    [folder] = tmp_path.iterdir()
    whole = {row["metric"]: row["value"] for row in rows(folder / "metrics.csv")}

    if name == "torch":
        evaluates_to_the_same(folder, whole)

    # As a training looks that was ended after its first epoch.
    for file in ("model.keras", "checkpoints/epoch-0002.keras", "checkpoints/epoch-0002.json"):
        (folder / file).unlink()
    done = run("train", "--resume", str(folder))
    assert done.returncode == 0, done.stderr
    resumed = {r["metric"]: r["value"] for r in rows(folder / "metrics.csv") if r["repeat"] == "2"}
    # Both draw each epoch's order anew: another order would be another loss.
    assert float(resumed["test_loss"]) == pytest.approx(float(whole["test_loss"]), rel=1e-5)


@pytest.mark.parametrize("arguments", [("benchmark",), ("train", "mnist-cnn")])
def test_a_missing_backend_is_one_line_and_no_folder(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    output = tmp_path / "results"
    done = run(
        *arguments, "--backend", "torch", "--output", str(output),
        env=site(tmp_path / "site", WITHOUT_TORCH),
    )  # fmt: skip
    assert done.returncode == 2
    line = failure_line(done)
    assert line.endswith(
        "backend: 'torch' is not installed; install it with: "
        f"{sys.executable} -m pip install 'torch>=2.4'"
    )
    assert not output.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("benchmark", "--backend", "jax", "--execution", "fused", "--set", "training.jit='off'"),
         ("training.jit", "'off'", "allowed: auto, on")),
        (("benchmark", "mnist-cnn", "--backend", "torch", "--execution", "fused",
          "--set", "training.jit='on'"), ("training.jit", "'on'", "dropout", "allowed: auto, off")),
        (("benchmark", "--set", "backend=theano"), ("backend", "'theano'", "tensorflow, jax")),
    ],
)  # fmt: skip
def test_what_a_backend_cannot_do_is_one_line(
    arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    line = failure_line(done)
    assert all(word in line for word in words), line


@pytest.mark.long
@needs("jax")
def test_convolutions_on_jax_are_stepped_on_a_cpu_and_learn_the_same(tmp_path: Path) -> None:
    losses = []
    for way in ("fit", "fused"):
        (tmp_path / f"{way}.yaml").write_text(
            "backend: jax\ndevice: cpu\ndataset: {train_samples: 230, test_samples: 130}\n"
            "model: {family: cnn, filters: [4], padding: [same], dropout: 0.0}\n"
            f"training: {{batch_size: 100, shuffle: false, execution: {way}}}\n"
        )
    files = [str(tmp_path / f"{way}.yaml") for way in ("fit", "fused")]
    session = benchmark(tmp_path / "results", *files, "--no-calibrate")
    assert session.done.returncode == 0, session.done.stderr
    for way in ("fit", "fused"):
        losses += map(float, session.metric(way, "test_loss"))
    assert losses[1] == pytest.approx(losses[0], rel=0.005)
    assert "each step is compiled" in session.metric("fused", "jit_reason")[0]


@needs("jax")
def test_tensorboard_needs_tensorflow(tmp_path: Path) -> None:
    done = run("train", "--backend", "jax", "--tensorboard", "--output", str(tmp_path))
    assert done.returncode == 2
    assert "--tensorboard" in failure_line(done)
    assert not list(tmp_path.iterdir())


@needs("torch")
def test_several_backends_cannot_be_forked(tmp_path: Path) -> None:
    files = [str(config_file(tmp_path, name, "fit")) for name in ("tensorflow", "torch")]
    done = run("benchmark", *files, "--start-method", "fork", "--output", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "one backend" in failure_line(done)
    assert not list((tmp_path / "out").iterdir())


def test_every_backend_of_the_configs_has_its_entry() -> None:
    assert json_schema()["properties"]["backend"]["enum"] == list(BACKENDS)


def test_only_another_backend_changes_the_digest() -> None:
    plain = load_config("mnist-dense")
    assert load_config("mnist-dense", ["backend=tensorflow"]).digest() == plain.digest()
    assert load_config("mnist-dense", ["backend=jax"]).digest() != plain.digest()
