"""Different work is said first, in words, and the training is also told by the image."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hand_written_runs import OTHER_NOISE, compare, times, write_run

TRAIN = {"train": times(11.0, OTHER_NOISE)}


def sides(folder: Path, *settings: str) -> tuple[Path, Path]:
    """Ten epochs in 10 s, and a run of 11 s with these settings, interleaved."""
    ten = "training.epochs=10"
    base = write_run(folder / "a", {"train": times(10.0)}, session="s", settings=[ten])
    new = write_run(folder / "b", TRAIN, session="s", settings=[ten, *settings])
    return base, new


def test_more_epochs_are_said_first_and_taken_out(tmp_path: Path) -> None:
    base, new = sides(tmp_path, "training.epochs=11")
    code, output, _ = compare(base, new)
    assert code == 3, "the whole training did take longer"
    first, second, *_ = output.splitlines()
    assert first == "Not the same work: training.epochs 10 -> 11"
    assert second.startswith("Train per image trained on: 16.6")
    assert "NEW is unchanged (" in second
    _, output, _ = compare(base, new, "--format", "json")
    (config,) = json.loads(output)["comparisons"][0]["configs"]
    assert config["other_work"] == ["training.epochs"]
    assert config["train_per_image"]["ratio"] == pytest.approx(1.0, abs=0.005)
    assert config["train_per_image"]["base_seconds"] == pytest.approx(10 / 600_000, rel=0.01)
    _, output, _ = compare(base, new, "--format", "markdown")
    assert output.startswith("**Not the same work: training.epochs 10 -> 11**\n")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("training.batch_size=128", "training.batch_size 4 -> 128"),
        ("model.hidden_units=[32]", "model.hidden_units [64] -> [32]"),
    ],
)
def test_another_batch_or_network_is_other_work(setting: str, words: str, tmp_path: Path) -> None:
    _, output, _ = compare(*sides(tmp_path, setting))
    assert output.splitlines()[0] == f"Not the same work: {words}"


def test_a_validation_fraction_leaves_fewer_images(tmp_path: Path) -> None:
    _, output, _ = compare(*sides(tmp_path, "training.validation=0.1"), "--format", "json")
    (config,) = json.loads(output)["comparisons"][0]["configs"]
    assert config["train_per_image"]["ratio"] == pytest.approx(1.1 / 0.9, rel=0.005)


def test_a_target_may_have_ended_it_early(tmp_path: Path) -> None:
    settings = ("training.validation=test", "training.target_accuracy=0.9")
    _, output, _ = compare(*sides(tmp_path, *settings))
    assert output.startswith("Not the same work: training.validation none -> test\n")
    assert "per image" not in output


def test_how_and_where_is_the_same_work(tmp_path: Path) -> None:
    _, output, _ = compare(*sides(tmp_path, "training.execution=fused"))
    assert "same work" not in output
