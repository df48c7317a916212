"""`mnistbench evaluate`: equal to what `train` reported, by class, by picture, and on files."""

from __future__ import annotations

import csv
import json
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import run_here
from PIL import Image

import mnistbench
from mnistbench.analysis import scores
from mnistbench.config.datasets import CIFAR10, MNIST
from mnistbench.data.user_images import prepare_image
from mnistbench.errors import InputError
from mnistbench.session.findings import grid_side, guess_text

EMBEDDED = Path(mnistbench.__file__).parent / "data" / "mnist.npz"


def mnistbench(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = run_here(*map(str, arguments))
    assert done.returncode == code, done.stderr
    return done


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def values(folder: Path, repeat: str = "1") -> dict[str, str]:
    rows = table(folder / "metrics.csv")
    return {row["metric"]: row["value"] for row in rows if row["repeat"] == repeat}


@pytest.fixture(scope="module")
def test_images() -> tuple[np.ndarray, np.ndarray]:
    with np.load(EMBEDDED) as arrays:
        return arrays["x_test"], arrays["y_test"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network good enough to know most digits."""
    output = tmp_path_factory.mktemp("evaluate")
    mnistbench(
        "train", "mnist-dense-512", "--set", "dataset.train_samples=8000",
        "--set", "dataset.test_samples=2000", "--set", "model.hidden_units=[128]",
        "--set", "training.epochs=3", "--output", output, "-q",
    )  # fmt: skip
    (folder,) = output.iterdir()
    return folder


@pytest.fixture(scope="module")
def evaluation(run: Path) -> tuple[Path, str]:
    """The folder of an evaluation of two repeats with its mistakes, and what was printed."""
    done = mnistbench("evaluate", run, "--repeats", 2, "--mistakes", "-q")
    (folder,) = (run / "evaluations").iterdir()
    return folder, done.stdout


def test_accuracy_and_loss_are_those_of_train_to_the_last_digit(
    run: Path, evaluation: tuple[Path, str]
) -> None:
    folder, printed = evaluation
    for repeat in ("1", "2"):
        for name in ("test_loss", "test_accuracy", "parameters"):
            assert values(folder, repeat)[name] == values(run)[name]
    assert f"Test accuracy: {float(values(run)['test_accuracy']):.1%}" in printed
    assert f"Test loss: {float(values(run)['test_loss']):.4f}" in printed


def test_every_repeat_is_timed(evaluation: tuple[Path, str]) -> None:
    rows = table(evaluation[0] / "timings.csv")
    phases = ["import", "data-load", "preprocess", "model-load", "test", "total"]
    assert [(row["repeat"], row["phase"]) for row in rows] == [
        (repeat, phase) for repeat in ("1", "2") for phase in phases
    ]
    assert all(float(row["seconds"]) > 0 for row in rows if row["status"] == "ok")


def test_predictions_confusion_and_classes_agree(
    evaluation: tuple[Path, str], test_images: tuple[np.ndarray, np.ndarray]
) -> None:
    folder, printed = evaluation
    rows = table(folder / "predictions.csv")
    assert list(rows[0]) == ["index", "label", "guess", "probability"]
    assert [int(row["label"]) for row in rows] == test_images[1][:2000].tolist()
    right = [row["label"] == row["guess"] for row in rows]
    accuracy = float(values(folder)["test_accuracy"])
    assert np.mean(right) == pytest.approx(accuracy, abs=1e-7)
    counts = [
        [int(row[f"guess_{n}"]) for n in range(10)] for row in table(folder / "confusion.csv")
    ]
    assert np.trace(counts) == sum(right)
    for number, row in enumerate(table(folder / "classes.csv")):
        column = [line[number] for line in counts]
        assert int(row["support"]) == sum(counts[number])
        assert float(row["precision"]) == counts[number][number] / sum(column)
        assert float(row["recall"]) == counts[number][number] / sum(counts[number])
        assert f"{float(row['f1']):.4f}" in printed


def test_pictures_are_whole(evaluation: tuple[Path, str]) -> None:
    for name, size in (("confusion.png", (960, 900)), ("predictions.png", (768, 984))):
        with Image.open(evaluation[0] / name) as image:
            assert image.size == size
            assert len(set(image.convert("L").tobytes())) > 20


def test_train_split_in_json(run: Path, tmp_path: Path) -> None:
    done = mnistbench(
        "evaluate", run / "model.keras", "--split", "train", "--format", "json", "-q",
        "--output", tmp_path,
    )  # fmt: skip
    told = json.loads(done.stdout)
    (folder,) = tmp_path.iterdir()
    assert told["folder"] == str(folder)
    assert sum(row["support"] for row in told["classes"]) == 8_000
    assert told["accuracy"] > float(values(run)["train_accuracy"]) - 0.01


def test_own_data_is_tested_whole(
    run: Path, tmp_path: Path, test_images: tuple[np.ndarray, np.ndarray]
) -> None:
    own = tmp_path / "own.npz"
    images, labels = test_images[0][:300], test_images[1][:300]
    np.savez(own, x_train=images[:5], y_train=labels[:5], x_test=images, y_test=labels)
    done = mnistbench("evaluate", run, "--data", own, "-q", "--output", tmp_path / "out")
    assert f"Data: {own} is not the published MNIST" in done.stdout
    (folder,) = (tmp_path / "out").iterdir()
    rows = table(folder / "predictions.csv")
    assert [int(row["label"]) for row in rows] == labels.tolist()


def draw(path: Path, digit: np.ndarray, light: bool) -> Path:
    """A digit as a user would have it: large, off the middle, on paper or on a blackboard."""
    page = np.zeros((400, 300), np.uint8)
    page[20:244, 60:284] = digit.repeat(8, axis=0).repeat(8, axis=1)
    Image.fromarray(255 - page if light else page).save(path)
    return path


def test_own_pictures_are_guessed(
    run: Path, tmp_path: Path, test_images: tuple[np.ndarray, np.ndarray]
) -> None:
    suffixes = [".png", ".jpg"]
    files = [
        draw(tmp_path / f"{n}{suffixes[n % 2]}", test_images[0][n], light=n % 3 > 0)
        for n in range(20)
    ]
    done = mnistbench("evaluate", run, "--output", tmp_path / "out", "--images", *files)
    (folder,) = (tmp_path / "out").iterdir()
    rows = table(folder / "guesses.csv")
    right = [row["guess"] == str(label) for row, label in zip(rows, test_images[1], strict=False)]
    assert sum(right) >= 18
    assert f"{files[0]}: guess 7, probability " in done.stdout
    for file, row in zip(files, rows, strict=True):
        assert f"{file}: {row['preparation']}" in done.stderr
    assert ["inverted" in row["preparation"] for row in rows] == [n % 3 > 0 for n in range(20)]
    with Image.open(folder / "predictions.png") as image:
        assert image.width == 768


def test_prepared_digit_is_as_mnist_has_it(
    tmp_path: Path, test_images: tuple[np.ndarray, np.ndarray]
) -> None:
    for number in range(10):
        digit = test_images[0][number]
        made = prepare_image(draw(tmp_path / "digit.png", digit, light=True), MNIST).pixels
        assert made.shape == (28, 28, 1)
        difference = np.abs(made[..., 0].astype(int) - digit).mean()
        assert difference < 2


@pytest.mark.parametrize("light", [True, False])
def test_grey_of_sixteen_bits_is_read_as_grey_of_eight(
    tmp_path: Path, test_images: tuple[np.ndarray, np.ndarray], light: bool
) -> None:
    page = draw(tmp_path / "8.png", test_images[0][0], light)
    wide = tmp_path / "16.png"
    with Image.open(page) as image:
        Image.fromarray(np.asarray(image).astype(np.uint16) * 257).save(wide)
    expected = prepare_image(page, MNIST).pixels
    np.testing.assert_array_equal(prepare_image(wide, MNIST).pixels, expected)


def test_transparent_parts_are_white_and_colours_of_the_right_size_stay(tmp_path: Path) -> None:
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[8:24, 8:24] = (255, 0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "red.png")
    prepared = prepare_image(tmp_path / "red.png", CIFAR10)
    assert prepared.pixels[0, 0].tolist() == [255, 255, 255]
    assert prepared.pixels[16, 16].tolist() == [255, 0, 0]
    assert prepared.steps == "32x32 RGBA"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        (b"no picture", "is a text file, not a picture; give a PNG"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "x.png"),
        ("white", "nothing that stands out"),
    ],
)
def test_pictures_that_cannot_be_used(
    tmp_path: Path, content: bytes | str | None, said: str
) -> None:
    file = tmp_path / "x.png"
    if isinstance(content, str):
        Image.new("RGB", (50, 50), content).save(file)
    elif content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=said):
        prepare_image(file, MNIST)


def test_a_model_that_does_not_fit_is_one_line(run: Path, tmp_path: Path) -> None:
    config = tmp_path / "other.yaml"
    config.write_text("dataset: {name: cifar10, source: synthetic}\nmodel: {family: dense}\n")
    output = tmp_path / "out"
    done = mnistbench(
        "evaluate", run / "model.keras", "--config", config, "--output", output, "-q", code=2
    )
    assert done.stderr.count("\n") == 1
    assert "takes images of 784 numbers; those of CIFAR-10 are 32 x 32 x 3" in done.stderr
    assert not output.exists()


def test_code_inside_a_model_is_not_run(run: Path, tmp_path: Path) -> None:
    """A Lambda layer in a crafted file is refused by Keras's safe mode."""
    crafted = tmp_path / "model.keras"
    with zipfile.ZipFile(run / "model.keras") as source, zipfile.ZipFile(crafted, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["config"]["layers"][1] = {
                    "module": "keras.layers",
                    "class_name": "Lambda",
                    "config": {
                        "name": "run_me",
                        "function": {
                            "class_name": "__lambda__",
                            "config": {"code": "4wEAAAA=", "defaults": None, "closure": None},
                        },
                    },
                    "registered_name": None,
                }
                content = json.dumps(config).encode()
            target.writestr(name, content)
    arguments = ("evaluate", crafted, "--config", run / "config.yaml", "--output", tmp_path / "out")
    done = mnistbench(*arguments, "-q", code=2)
    assert done.stderr.count("\n") == 1
    assert "has a Lambda layer, whose Python code is never run here" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "no such file or folder"),
        ((".",), "holds no model.keras"),
        ((EMBEDDED,), "is a NumPy archive, not a Keras model"),
        ((".", "7.png"), "write --images before it"),
        ((".", "--images"), "needs the pictures"),
        ((".", "--images", "7.png", "--mistakes"), "cannot be given with --images"),
    ],
)
def test_wrong_input_is_one_line(
    arguments: tuple[object, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = mnistbench("evaluate", *arguments, code=2)
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def test_figures_of_classes() -> None:
    labels, guesses = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 1])
    counts = scores.confusion(labels, guesses, 3)
    np.testing.assert_array_equal(counts, [[1, 1, 0], [0, 3, 0], [0, 0, 0]])
    first, second, third = scores.class_rows(counts, ("a", "b", "c"))
    assert (first.precision, first.recall, first.support) == (1.0, 0.5, 2)
    assert first.f1 == pytest.approx(2 / 3)
    assert (second.precision, second.recall, second.support) == (0.75, 1.0, 3)
    assert (third.precision, third.recall, third.f1, third.support) == (None, None, None, 0)


def test_worst_mistakes_are_the_surest_wrong_guesses() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]])
    labels = np.array([1, 1, 1, 0])
    assert scores.worst_mistakes(labels, probabilities, 2).tolist() == [0, 3]


def test_guesses_are_titled_as_in_the_lessons() -> None:
    assert guess_text(MNIST, 7) == "guess 7"
    assert grid_side(MNIST) == 4
