"""The five MNIST networks of the lessons: right size, and they learn what they should."""

from __future__ import annotations

import csv
import io

import pytest
from conftest import (
    LEARNT_IN_PART,
    LEARNT_WHOLE,
    MNIST_CONFIGS,
    Session,
    benchmark_here,
    rows,
    run_here,
)

from mnistbench.config.loading import load_config


@pytest.fixture(scope="module")
def default_session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """One epoch of the default config on the whole of MNIST; `fit` is in the long tests."""
    return benchmark_here(
        tmp_path_factory.mktemp("default"), "--execution", "fused", "--no-calibrate"
    )


def test_the_default_config_is_within_the_bounds_of_its_seed(default_session: Session) -> None:
    [accuracy] = map(float, default_session.metric("mnist-dense", "test_accuracy"))
    assert 0.90 <= accuracy <= 0.92
    assert default_session.done.returncode == 0
    assert f"Test accuracy: {accuracy:.1%}" in default_session.done.stdout


@pytest.fixture(scope="module")
def one_epoch_session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """One epoch of the five MNIST configs, in one folder of results."""
    output = tmp_path_factory.mktemp("epoch")
    benchmark_here(output, *LEARNT_IN_PART, "--set", "training.epochs=1", "--no-calibrate",
                   "--set", "dataset.train_samples=12000")  # fmt: skip
    return benchmark_here(output, *LEARNT_WHOLE, "--set", "training.epochs=1", "--no-calibrate")


@pytest.mark.parametrize("name", MNIST_CONFIGS)
def test_parameters_are_exactly_the_seeds(name: str) -> None:
    assert load_config(name).parameters == MNIST_CONFIGS[name][0]


@pytest.mark.long
@pytest.mark.parametrize("name", MNIST_CONFIGS)
def test_the_network_that_was_trained_has_them_too(name: str, one_epoch_session: Session) -> None:
    expected, _ = MNIST_CONFIGS[name]
    assert one_epoch_session.metric(name, "parameters") == [str(expected)]
    assert one_epoch_session.metric(name, "parameters_trainable") == [str(expected)]


@pytest.mark.long
@pytest.mark.parametrize("name", MNIST_CONFIGS)
def test_accuracy_after_one_epoch(name: str, one_epoch_session: Session) -> None:
    _, expected = MNIST_CONFIGS[name]
    [accuracy] = map(float, one_epoch_session.metric(name, "test_accuracy"))
    # Fewer steps, more spread: three runs of the bare scripts were .93 to .95.
    assert accuracy == pytest.approx(expected, abs=0.025 if name in LEARNT_IN_PART else 0.015)


@pytest.mark.long
def test_validation_is_the_test_set_where_the_seed_says_so(one_epoch_session: Session) -> None:
    [validation] = one_epoch_session.metric("mnist-mlp", "validation_accuracy")
    [tested] = one_epoch_session.metric("mnist-mlp", "test_accuracy")
    assert float(validation) == pytest.approx(float(tested), abs=1e-6)
    assert one_epoch_session.metric("mnist-dense", "validation_accuracy") == []


@pytest.mark.long
def test_real_runs_are_held_against_the_lessons(one_epoch_session: Session) -> None:
    done = run_here("reproduce", "--from", str(one_epoch_session.output), "--format", "csv")
    assert done.returncode == 1, "the longer configs were run for one epoch only"
    table = list(csv.DictReader(io.StringIO(done.stdout)))
    told = {(row["config"], row["quantity"]): row for row in table}
    assert told["mnist-dense", "test_accuracy"]["verdict"] == "reproduced"
    assert told["mnist-dense-512", "test_accuracy"]["verdict"] == "reproduced"
    assert told["mnist-cnn", "parameters"]["verdict"] == "measured with other settings"
    assert told["mnist-dense", "train"]["lesson"] == "20.58"
    timings = rows(one_epoch_session.folder("mnist-dense") / "timings.csv")
    train = next(row["seconds"] for row in timings if row["phase"] == "train")
    assert told["mnist-dense", "train"]["here"] == train
