"""Execution modes: the compiled epoch learns what Keras's own loop learns."""

from __future__ import annotations

import os
import statistics
from pathlib import Path

import pytest
from conftest import FEW, Session, benchmark_here, failure_line, rows, run, run_here
from inside_updates import OTHERS, PLAIN, outcomes
from scipy import stats

from mnistbench.config.loading import load_config
from mnistbench.data.arrays import ALIGNMENT_BYTES, aligned_bytes, can_be_lent, lent
from mnistbench.measuring.startup import environment_of
from mnistbench.measuring.workers import Workers

CASES = {
    # Each has a partial last batch in training, and most another way from bytes to a number.
    "plain": ("dense", "batch_size: 100, jit: on"),
    "short": ("dense", "batch_size: 100"),
    "sparse": (
        "dense",
        "batch_size: 100, jit: on, loss: sparse_categorical_crossentropy, optimizer: sgd",
    ),
    "validated": ("dense", "batch_size: 100, jit: on, validation: 0.25, optimizer: rmsprop"),
    "graph": ("dense", "batch_size: 100, jit: off, validation: test"),
    "descent": ("dense", "batch_size: 100, jit: off, optimizer: sgd, learning_rate: 0.05"),
    "convolutions": ("cnn, filters: [8, 8], padding: [same], dropout: 0.0", "batch_size: 100"),
}
NORMALIZATIONS = {"sparse": "standardize", "validated": "divide_max", "graph": "none"}


def config_file(folder: Path, name: str, execution: str, rest: str = "") -> Path:
    family, training = CASES[name]
    normalization = NORMALIZATIONS.get(name, "divide_255")
    file = folder / f"{name}-{execution}.yaml"
    file.write_text(
        f"dataset: {{train_samples: 1030, test_samples: 270, normalization: {normalization}}}\n"
        f"model: {{family: {family}}}\n"
        f"training: {{epochs: 2, shuffle: false, execution: {execution}, {training}{rest}}}\n"
    )
    return file


@pytest.fixture(scope="module")
def both_ways(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Every case in both modes, with the images in the order of the files."""
    folder = tmp_path_factory.mktemp("both")
    files = [config_file(folder, name, way) for name in CASES for way in ("fit", "fused")]
    session = benchmark_here(folder / "results", *map(str, files), "--no-calibrate")
    assert session.done.returncode == 0, session.done.stderr
    return session


@pytest.mark.parametrize("case", CASES)
def test_in_the_same_order_both_ways_learn_the_same(case: str, both_ways: Session) -> None:
    names = ["test_loss", "train_loss", "epoch_1_train_loss", "test_accuracy", "train_accuracy"]
    if "validation" in CASES[case][1]:
        names += ["validation_loss", "validation_accuracy"]
    for name in names:
        [fit] = map(float, both_ways.metric(f"{case}-fit", name))
        [fused] = map(float, both_ways.metric(f"{case}-fused", name))
        # Sums in another order round differently; a wrong batch or step is far outside.
        assert fused == pytest.approx(fit, rel=0.005, abs=0.004), name
    for name in ("train_steps", "steps_per_epoch", "train_samples", "parameters"):
        assert both_ways.metric(f"{case}-fused", name) == both_ways.metric(f"{case}-fit", name)


def test_what_was_compiled_and_why_is_recorded(both_ways: Session) -> None:
    def told(config: str) -> tuple[str, str]:
        [jit], [reason] = (
            both_ways.metric(config, "jit_compile"),
            both_ways.metric(config, "jit_reason"),
        )
        return jit, reason

    assert told("plain-fused") == ("true", "training.jit is on")
    [parameters] = both_ways.metric("short-fused", "parameters")
    work = f"22 steps of {parameters} parameters"
    assert told("short-fused") == (
        "false", f"auto: {work} do not earn back what XLA takes to compile",
    )  # fmt: skip
    assert told("graph-fused") == ("false", "training.jit is off")
    assert told("graph-fit") == ("false", "training.jit is off")
    assert told("short-fit")[1] == "Keras's own choice"
    assert told("convolutions-fused")[0] == "false"
    assert "xla_cpu_disable_loop_unrolling" in both_ways.metric("plain-fused", "xla_flags")[0]
    assert both_ways.metric("plain-fit", "xla_flags") == [os.environ.get("XLA_FLAGS", "")]
    assert both_ways.metric("plain-fused", "intra_op_threads") == [""], "its steps are large"
    [compiling] = map(float, both_ways.metric("plain-fused", "trace_compile_seconds"))
    folder = both_ways.folder("plain-fused")
    [train] = [
        float(row["seconds"]) for row in rows(folder / "timings.csv") if row["phase"] == "train"
    ]
    epochs = [float(both_ways.metric("plain-fused", f"epoch_{n}_seconds")[0]) for n in (1, 2)]
    assert 0 < compiling < train
    assert compiling + sum(epochs) <= train
    assert both_ways.metric("plain-fused", "first_step_seconds") == [""]
    assert both_ways.metric("plain-fit", "trace_compile_seconds") == [""]


def test_an_optimizers_step_by_kernels_is_keras_own(tmp_path: Path) -> None:
    workers = Workers(environment_of(load_config("mnist-dense")), "auto")
    found = workers.run(outcomes, None, tmp_path / "log.txt", lambda said: None)
    assert set(found) == {*PLAIN, *OTHERS}
    for name, outcome in found.items():
        assert outcome.moved > 0.001, name
        assert outcome.has_kernel == (name in PLAIN), name
        # Equal where Keras takes the step itself; the kernels round differently.
        assert outcome.apart <= (2e-6 if name in PLAIN else 0), (name, outcome)


def test_small_steps_have_one_thread_unless_the_user_says_otherwise(tmp_path: Path) -> None:
    fused = ("mnist-dense", *FEW, "--set", "training.execution=fused", "--no-calibrate")
    own_flag = "--xla_backend_extra_options=xla_cpu_disable_slp_vectorizer"
    many = "training.epochs=80"
    left = benchmark_here(tmp_path / "a", *fused, "--set", many)
    done = run("benchmark", *fused, "--output", str(tmp_path / "b"),
               env={"TF_NUM_INTRAOP_THREADS": "2", "XLA_FLAGS": own_flag})  # fmt: skip
    assert done.returncode == 0, done.stderr
    chosen = Session(done, tmp_path / "b")
    assert left.metric("mnist-dense", "intra_op_threads") == ["1"]
    assert chosen.metric("mnist-dense", "intra_op_threads") != ["1"]
    assert left.metric("mnist-dense", "jit_reason") == ["auto: XLA is faster for a dense network"]
    assert chosen.metric("mnist-dense", "jit_compile") == ["false"], "a short training"
    # As a spreadsheet may have it: it would take what begins with a minus for a formula.
    assert chosen.metric("mnist-dense", "xla_flags") == [f"'{own_flag}"]


def test_aligned_bytes_start_where_tensorflow_can_use_them() -> None:
    lying_well = aligned_bytes(1000)
    assert lying_well.ctypes.data % ALIGNMENT_BYTES == 0
    assert lying_well.shape == (1000,)
    assert lying_well.flags.writeable
    assert lying_well.flags.c_contiguous
    assert lent(lying_well) is lying_well
    for other in (lying_well[1:], lying_well[::2]):
        assert not can_be_lent(other)
        copy = lent(other)
        assert can_be_lent(copy)
        assert copy.tolist() == other.tolist()
    lying_well.flags.writeable = False
    assert can_be_lent(lent(lying_well)), "NumPy lends nothing read-only"


def test_every_epoch_has_an_order_of_its_own(tmp_path: Path) -> None:
    from mnistbench.measuring.inside.execution import FusedExecution

    file = config_file(tmp_path, "plain", "fused", ", seed: 1")
    config = load_config(str(file), ["training.shuffle=true"])
    fused = FusedExecution.__new__(FusedExecution)
    fused._config, fused._seed = config, 7
    first, second = fused._order(1030, 0), fused._order(1030, 1)
    assert sorted(first) == sorted(second) == list(range(1030))
    assert list(first) != list(second)
    assert list(first) == list(fused._order(1030, 0))


@pytest.mark.long
def test_over_ten_seeds_the_accuracies_do_not_differ(tmp_path: Path) -> None:
    files = []
    for way in ("fit", "fused"):
        files.append(tmp_path / f"{way}.yaml")
        files[-1].write_text(
            "dataset: {train_samples: 20000}\n"
            "model: {family: dense, hidden_units: [128]}\n"
            f"training: {{batch_size: 256, execution: {way}}}\n"
        )
    repeats = ("--repeats", "10", "--no-calibrate")
    session = benchmark_here(tmp_path / "results", *map(str, files), *repeats)
    fit, fused = (
        list(map(float, session.metric(way, "test_accuracy"))) for way in ("fit", "fused")
    )
    differences = [a - b for a, b in zip(fused, fit, strict=True)]
    assert len(set(session.metric("fused", "seed"))) == 10
    interval = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    # Power first: a difference of .005 could not hide in an interval this narrow.
    assert interval.high - interval.low < 0.005
    assert interval.low > -0.005 and interval.high < 0.005, statistics.mean(differences)


def test_train_resumes_and_evaluate_agrees(tmp_path: Path) -> None:
    few = (*FEW, "--set", "training.execution=fused", "--set", "training.batch_size=100")
    whole = run_here("train", "mnist-cnn", *few, "--set", "training.epochs=2",
                     "--checkpoint-every", "1", "--output", str(tmp_path / "a"))  # fmt: skip
    assert whole.returncode == 0, whole.stderr
    [folder] = (tmp_path / "a").iterdir()
    metrics = {row["metric"]: row["value"] for row in rows(folder / "metrics.csv")}
    history = (folder / "history.csv").read_text()

    checked = run_here("evaluate", str(folder), "--output", str(tmp_path / "e"))
    assert checked.returncode == 0, checked.stderr
    [evaluation] = (tmp_path / "e").iterdir()
    again = {row["metric"]: row["value"] for row in rows(evaluation / "metrics.csv")}
    assert again["test_loss"] == metrics["test_loss"]
    assert again["test_accuracy"] == metrics["test_accuracy"]

    # As a training looks that was ended after its first epoch.
    for name in ("model.keras", "checkpoints/epoch-0002.keras", "checkpoints/epoch-0002.json"):
        (folder / name).unlink()
    resumed = run_here("train", "--resume", str(folder))
    assert resumed.returncode == 0, resumed.stderr
    second = {
        row["metric"]: row["value"] for row in rows(folder / "metrics.csv") if row["repeat"] == "2"
    }
    assert second["test_loss"] == metrics["test_loss"]
    assert len(history.splitlines()) == len((folder / "history.csv").read_text().splitlines())


@pytest.mark.parametrize("execution", ["fit", "fused"])
def test_mixed_precision_is_recorded_and_learns(execution: str, tmp_path: Path) -> None:
    session = benchmark_here(
        tmp_path, "mnist-dense-512", "--set", "training.precision=mixed_bfloat16",
        "--set", f"training.execution={execution}", "--set", "dataset.train_samples=12000",
        "--set", "dataset.test_samples=2000", "--no-calibrate",
    )  # fmt: skip
    [accuracy] = map(float, session.metric("mnist-dense-512", "test_accuracy"))
    assert accuracy > 0.8
    precisions = {
        row["precision"] for row in rows(session.folder("mnist-dense-512") / "timings.csv")
    }
    assert precisions == {"mixed_bfloat16"}


def test_an_unknown_mode_is_one_line() -> None:
    done = run_here("benchmark", "--set", "training.execution=fast")
    assert done.returncode == 2
    line = failure_line(done)
    assert "training.execution" in line and "'fast'" in line
    assert "fit, fused" in line
