"""Models, pictures and files of other people's: the inputs on which the tool once failed."""

from __future__ import annotations

import gzip
import importlib.util
import json
import pickle
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import failure_line, rows, run
from fused_edges import EDGES
from PIL import Image, ImageDraw, ImageOps

from mnistbench.config.datasets import MNIST
from mnistbench.data.pickles import PickleError, read_pickle
from mnistbench.data.readers import read_any
from mnistbench.data.user_images import prepare_image
from mnistbench.errors import InputError
from mnistbench.session.evaluate import find_model

CASES = Path(__file__).resolve().parents[2] / "shared" / "cases"


def case(name: str) -> Path:
    """Return a file or folder of the cases; skip where they are not beside the project."""
    path = CASES / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return path


def write_npz(path: Path, train: int, test: int) -> Path:
    """Write a small data set in MNIST's form, of noise."""
    draw = np.random.default_rng(1)
    images = draw.integers(0, 256, (train + test, 28, 28), np.uint8)
    labels = draw.integers(0, 10, train + test, np.uint8)
    np.savez(path, x_train=images[:train], y_train=labels[:train],
             x_test=images[train:], y_test=labels[train:])  # fmt: skip
    return path


@pytest.fixture(scope="module", params=["tensorflow", "jax", "torch"])
def learnt_both_ways(request: pytest.FixtureRequest) -> dict[str, list[dict[str, list[float]]]]:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    program = Path(__file__).with_name("fused_edges.py")
    command = [sys.executable, str(program), request.param]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    edges: dict[str, list[dict[str, list[float]]]] = json.loads(done.stdout.splitlines()[-1])
    return edges


@pytest.mark.long
@pytest.mark.parametrize("edge", EDGES)
def test_fused_learns_what_fit_learns_at_every_edge(
    edge: str, learnt_both_ways: dict[str, list[dict[str, list[float]]]]
) -> None:
    fit, fused = learnt_both_ways[edge]
    assert fused.keys() == fit.keys()
    assert ("val_loss" in fit) == (EDGES[edge][3] != "none")
    for name, values in fit.items():
        assert fused[name] == pytest.approx(values, rel=0.001, abs=1e-5), name


def test_a_batch_larger_than_the_training_set_is_one_partial_batch(tmp_path: Path) -> None:
    small = case("01-fused-batch-larger-than-train/small.npz")
    done = run(
        "benchmark", "mnist-dense", "--set", f"dataset.path={small}", "--execution", "fused",
        "--set", "training.batch_size=128", "--no-calibrate", "--output", str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [folder] = tmp_path.iterdir()
    assert ",steps_per_epoch,1," in (folder / "metrics.csv").read_text()


@pytest.mark.parametrize("execution", ["fit", "fused"])
@pytest.mark.parametrize("train, fraction, purpose", [(60, "0.999", "train"), (1, "0.5", "train")])
def test_a_validation_that_leaves_nothing_is_refused_before_anything_is_made(
    execution: str, train: int, fraction: str, purpose: str, tmp_path: Path
) -> None:
    own = write_npz(tmp_path / "own.npz", train, 5)
    done = run(
        "benchmark", "--set", f"dataset.path={own}", "--execution", execution,
        "--set", f"training.validation={fraction}", "--output", str(tmp_path / "out"),
    )  # fmt: skip
    assert done.returncode == 2
    problem = f"training.validation: {fraction} of {train} images leaves none to {purpose} on"
    assert problem in failure_line(done)
    assert not (tmp_path / "out").exists()


MODELS = Path(__file__).with_name("foreign_models.py")
SMALL = (40, 30)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[float]]]:
    """Models of somebody else's making, and the loss and accuracy that Keras itself gives them."""
    folder = tmp_path_factory.mktemp("foreign")
    write_npz(folder / "own.npz", *SMALL)
    command = [sys.executable, str(MODELS), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1])


OWN_LOSS = "is tested by its own loss"
SOFTMAX = "the softmax of its outputs is taken for them"
JUDGED = {
    # Model: what is told of it.
    "logits": [OWN_LOSS, SOFTMAX],
    "flat": [OWN_LOSS, SOFTMAX],
    "rescaling": [OWN_LOSS, "has a Rescaling layer, so it is given the images as 0 to 255"],
    "normalization": [OWN_LOSS, "has a Normalization layer"],
    "normalization of scaled": [OWN_LOSS],
    "to minus one": [OWN_LOSS],
    "nested": [OWN_LOSS, "has a Rescaling layer", SOFTMAX],
    "softmax layer": [],
    "mse": ["its own loss, mse", SOFTMAX],
    "sigmoid": [OWN_LOSS, "gives each class a probability of its own"],
    "no loss": ["was saved without a loss", SOFTMAX],
    "old": [OWN_LOSS],
}


@pytest.fixture(scope="module")
def judged(foreign: tuple[Path, dict[str, list[float]]]) -> dict[str, dict[str, object]]:
    """What `evaluate` says of each, by the task that its process runs, and in both executions."""
    command = [sys.executable, str(MODELS), str(foreign[0]), "judge"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures: dict[str, dict[str, object]] = json.loads(done.stdout.splitlines()[-1])
    return figures


@pytest.mark.parametrize("execution", ["fit", "fused"])
@pytest.mark.parametrize("name", JUDGED)
def test_a_model_of_others_is_judged_as_keras_judges_it(
    name: str,
    execution: str,
    foreign: tuple[Path, dict[str, list[float]]],
    judged: dict[str, dict[str, object]],
) -> None:
    loss, accuracy, low, high, remarks = judged[f"{name} {execution}"]["figures"]
    assert [loss, accuracy] == pytest.approx(foreign[1][name], rel=1e-4)
    assert 0 <= low <= high <= 1, "a probability"
    assert len(remarks) == len(JUDGED[name])
    for remark, words in zip(remarks, JUDGED[name], strict=True):
        assert words in remark


@pytest.mark.parametrize(
    "name, problem",
    [
        ("one", "gives 1 number for an image; MNIST has 10 classes"),
        ("eleven", "gives 11 numbers for an image; MNIST has 10 classes"),
        ("colours", "takes images of 32 x 32 x 3; those of MNIST are 28 x 28 x 1"),
        ("two inputs", "takes several inputs, not one image"),
        ("two outputs", "gives several outputs"),
        ("lambda", "has a Lambda layer, whose Python code is never run here"),
        ("own class", "needs the class Own, which is not Keras's own"),
    ],
)
def test_a_model_that_cannot_be_judged_is_refused_in_words(
    name: str, problem: str, judged: dict[str, dict[str, object]]
) -> None:
    assert problem in str(judged[f"{name} fit"]["error"])


def test_the_logits_of_the_case_become_probabilities(tmp_path: Path) -> None:
    folder = case("02-evaluate-logits-model")
    done = run("evaluate", str(folder / "logits.keras"), "--config", "mnist-cnn", "--data",
               str(folder / "small.npz"), "--output", str(tmp_path), "-q")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Test loss: 2.4321" in done.stdout
    assert "its own loss, sparse_categorical_crossentropy on logits" in done.stdout
    [written] = tmp_path.iterdir()
    guesses = rows(written / "predictions.csv")
    assert float(guesses[0]["probability"]) == pytest.approx(0.18778692)
    assert all(0.1 <= float(row["probability"]) <= 1 for row in guesses)


HTML = b"<!DOCTYPE html><html><body>Not found</body></html>"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 12\n"


def damaged_model(kind: str, whole: Path, folder: Path) -> Path:
    path = folder / "model.keras"
    content = (whole / "logits.keras").read_bytes()
    written = {
        "cut": content[: len(content) // 2],
        "flipped": content[:900] + bytes([content[900] ^ 255]) + content[901:],
        "HTML": HTML,
        "LFS": LFS,
        "empty": b"",
        "HDF5": (whole / "old.h5").read_bytes(),
        "noise": bytes(range(256)) * 4,
    }
    if kind in written:
        path.write_bytes(written[kind])
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("logits.keras", content)
    elif kind == "unpacked":
        with zipfile.ZipFile(whole / "logits.keras") as archive:
            archive.extractall(path)
    elif kind == "weights":
        path = folder / "only.weights.h5"
        path.write_bytes((whole / "only.weights.h5").read_bytes())
    else:
        path = whole / "exported"
    return path


@pytest.mark.parametrize(
    "kind, problem, remedy",
    [
        ("cut", "is a damaged .keras file, or was cut short", "copy it again"),
        ("flipped", "is a damaged .keras file, or was cut short", "copy it again"),
        ("HTML", "is an HTML page, not a Keras model", "the address of the file itself"),
        ("LFS", "is a Git LFS pointer, not a Keras model", "run git lfs pull"),
        ("empty", "is empty, not a Keras model", "fetch the file again"),
        ("noise", "is damaged, or no Keras model", "copy or save it again"),
        ("HDF5", "is an HDF5 file, not a .keras file", "name it so: model.h5"),
        ("zip", "is a zip archive without config.json", "unpack it and give that file"),
        ("unpacked", "is an unpacked .keras file", "python -m zipfile -c packed.keras config.json"),
        ("weights", "holds weights without a network", "model.save('model.keras')"),
        ("SavedModel", "is a TensorFlow SavedModel", "model.save('model.keras')"),
    ],
)
def test_what_is_no_model_is_named_for_what_it_is(
    kind: str,
    problem: str,
    remedy: str,
    foreign: tuple[Path, dict[str, list[float]]],
    tmp_path: Path,
) -> None:
    path = damaged_model(kind, foreign[0], tmp_path)
    with pytest.raises(InputError) as refused:
        find_model(path, "mnist-dense")
    assert problem in str(refused.value)
    assert remedy in str(refused.value)
    assert str(path) in str(refused.value)


def test_the_remedies_for_a_model_work(
    foreign: tuple[Path, dict[str, list[float]]], tmp_path: Path
) -> None:
    renamed = tmp_path / "model.h5"
    renamed.write_bytes((foreign[0] / "old.h5").read_bytes())
    assert find_model(renamed, "mnist-dense")[0] == renamed
    unpacked = damaged_model("unpacked", foreign[0], tmp_path)
    parts = ["config.json", "model.weights.h5"]
    subprocess.run([sys.executable, "-m", "zipfile", "-c", "packed.keras", *parts],
                   cwd=unpacked, check=True)  # fmt: skip
    assert find_model(unpacked / "packed.keras", "mnist-dense")[0].is_file()


def write_odd(kind: str, folder: Path) -> Path:
    """Write what is no data set under the name of one."""
    path = folder / "own.npz"
    content = {"HTML": HTML, "LFS": LFS, "empty": b"", "gzip": gzip.compress(HTML),
               "pickle": pickle.dumps({"x_train": [1]}), "text": b"label,pixel\n5,0\n",
               "noise": bytes(range(256))}  # fmt: skip
    if kind in content:
        path.write_bytes(content[kind])
    elif kind == "cut":
        path.write_bytes(write_npz(folder / "whole.npz", 5, 5).read_bytes()[:3000])
    elif kind == "objects":
        np.savez(path, x_train=np.array([1, "a"], object), y_train=1, x_test=1, y_test=1)
    elif kind == "other names":
        np.savez(path, images=1, labels=1)
    elif kind == "one array":
        path = folder / "own.npy"
        np.save(path, np.zeros(3))
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("train-images-idx3-ubyte", b"")
    elif kind == "IDX of HTML":
        path = folder / "idx"
        path.mkdir()
        for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3",
                     "t10k-labels-idx1"):  # fmt: skip
            (path / f"{name}-ubyte").write_bytes(HTML)
    elif kind == "one IDX":
        path = folder / "train-images-idx3-ubyte.gz"
        path.write_bytes(gzip.compress(b"\0\0\x08\3" + bytes(100)))
    else:
        path = folder / "own.tar.gz"
        path.write_bytes(gzip.compress(HTML))
    return path


@pytest.mark.parametrize(
    "kind, problem",
    [
        ("HTML", "is an HTML page, not a NumPy archive"),
        ("LFS", "is a Git LFS pointer, not a NumPy archive (.npz); run git lfs pull"),
        ("empty", "is empty, not a NumPy archive"),
        ("gzip", "is a gzip file, not a NumPy archive"),
        ("pickle", "is a Python pickle, not a NumPy archive"),
        ("text", "is a text file, not a NumPy archive"),
        ("noise", "is damaged, or no NumPy archive"),
        ("cut", "is a damaged NumPy archive, or was cut short"),
        ("objects", "x_train holds Python objects, not numbers"),
        ("other names", "lacks the arrays x_train, y_train, x_test, y_test; it holds images"),
        ("one array", "is a single NumPy array (.npy)"),
        ("zip", "is a zip archive without a NumPy array"),
        ("IDX of HTML", "train-images-idx3-ubyte: is an HTML page, not an IDX file"),
        ("one IDX", "is a gzip file of a single IDX file; give the folder"),
        ("tar.gz of HTML", "is a gzip file of an HTML page"),
    ],
)
def test_what_is_no_data_set_is_named_for_what_it_is(
    kind: str, problem: str, tmp_path: Path
) -> None:
    path = write_odd(kind, tmp_path)
    with pytest.raises(InputError) as refused:
        read_any(path, MNIST.accepted)
    assert problem in str(refused.value)
    assert "pickle=" not in str(refused.value)


def test_the_name_of_an_archive_may_be_in_capitals_or_none(tmp_path: Path) -> None:
    whole = write_npz(tmp_path / "own.npz", 5, 3)
    for name in ("OWN.NPZ", "own"):
        content = whole.read_bytes()
        (tmp_path / name).write_bytes(content)
        assert read_any(tmp_path / name, MNIST.accepted)["x_test"].shape == (3, 28, 28)


def digit(mode: str) -> Image.Image:
    """Return a white L of strokes on black, as an opacity."""
    ink = Image.new("L", (60, 60), 0)
    draw = ImageDraw.Draw(ink)
    draw.line([(20, 10), (20, 48), (44, 48)], fill=255, width=6)
    black, white = (Image.new("L", ink.size, value) for value in (0, 255))
    pictures = {
        "white on black": lambda: ink,
        "black on white": lambda: ImageOps.invert(ink),
        "white on clear": lambda: Image.merge("RGBA", (white, white, white, ink)),
        "black on clear": lambda: Image.merge("RGBA", (black, black, black, ink)),
        "red on clear": lambda: Image.merge("RGBA", (white, black, black, ink)),
        "grey with alpha": lambda: Image.merge("LA", (white, ink)),
        "opaque with alpha": lambda: Image.merge("RGBA", (ink, ink, ink, white)),
        "16 bits": lambda: Image.fromarray(np.asarray(ink).astype(np.uint16) * 257),
        "floats": lambda: Image.fromarray(np.asarray(ink).astype(np.float32) / 255),
        "print colours": lambda: ImageOps.invert(ink).convert("CMYK"),
        "palette": lambda: ink.convert("P"),
        "two colours": lambda: ink.convert("1"),
    }
    return pictures[mode]()


@pytest.mark.parametrize(
    "mode, suffix",
    [
        ("black on white", "png"), ("white on clear", "png"), ("black on clear", "png"),
        ("red on clear", "png"), ("grey with alpha", "png"), ("opaque with alpha", "png"),
        ("16 bits", "png"), ("16 bits", "tiff"), ("floats", "tiff"), ("print colours", "tiff"),
        ("palette", "png"), ("palette", "gif"), ("two colours", "png"), ("black on white", "bmp"),
        ("white on clear", "webp"), ("white on clear", "gif"),
    ],
)  # fmt: skip
def test_the_same_drawing_is_the_same_digit_in_every_form(
    mode: str, suffix: str, tmp_path: Path
) -> None:
    digit("white on black").save(tmp_path / "plain.png")
    plain = prepare_image(tmp_path / "plain.png", MNIST).pixels.astype(int)
    file = tmp_path / f"own.{suffix}"
    digit(mode).save(file)
    assert np.abs(prepare_image(file, MNIST).pixels - plain).mean() < 2


def test_white_strokes_of_the_case_are_read() -> None:
    folder = case("19-white-on-transparent")
    white, black = (
        prepare_image(folder / f"alpha_{ink}.png", MNIST).pixels for ink in ("white", "black")
    )
    assert np.abs(white.astype(int) - black).mean() < 2
    assert prepare_image(folder / "palette_tr.png", MNIST).pixels.max() > 200


def test_a_paper_on_a_clear_ground_is_read_by_what_is_on_it(tmp_path: Path) -> None:
    paper = digit("black on white").convert("RGBA")
    ground = Image.new("RGBA", (90, 90), (0, 0, 0, 0))
    ground.paste(paper, (15, 15))
    ground.save(tmp_path / "paper.png")
    digit("white on black").save(tmp_path / "plain.png")
    plain = prepare_image(tmp_path / "plain.png", MNIST).pixels.astype(int)
    assert np.abs(prepare_image(tmp_path / "paper.png", MNIST).pixels - plain).mean() < 2


@pytest.mark.parametrize(
    "content, problem",
    [
        (HTML, "is an HTML page, not a picture"),
        (b"<svg xmlns='x'/>", "is an SVG drawing, not a picture; give a PNG, JPEG, WEBP"),
        (b"%PDF-1.7", "is a PDF document, not a picture"),
        (b"\0\0\0\x18ftypheic", "is a HEIC or AVIF picture, or a film, not a picture"),
        (b"\x89PNG\r\n\x1a\n", "is a damaged picture, or was cut short"),
        (b"", "is empty, not a picture"),
        (LFS, "is a Git LFS pointer, not a picture; run git lfs pull"),
    ],
)
def test_what_is_no_picture_is_named_for_what_it_is(
    content: bytes, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "x.png"
    file.write_bytes(content)
    with pytest.raises(InputError) as refused:
        prepare_image(file, MNIST)
    assert problem in str(refused.value)


def test_one_bad_picture_is_named_and_the_others_are_guessed(
    foreign: tuple[Path, dict[str, list[float]]], tmp_path: Path
) -> None:
    digit("white on clear").save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(HTML)
    model = foreign[0] / "logits.keras"
    pictures = [str(tmp_path / name) for name in ("bad.png", "good.png")]
    done = run("evaluate", str(model), "--config", "mnist-dense", "--output", str(tmp_path / "out"),
               "--images", *pictures)  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert f"{pictures[0]}: --images: is an HTML page, not a picture" in done.stderr
    assert f"{pictures[1]}: guess " in done.stdout
    [written] = (tmp_path / "out").iterdir()
    [row] = rows(written / "guesses.csv")
    assert 0.1 <= float(row["probability"]) <= 1, "of logits, their softmax"


def test_a_damaged_keras_cache_is_passed_over(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "datasets").mkdir(parents=True)
    archive = home / "datasets" / "cifar-10-batches-py.tar.gz"
    archive.write_bytes(gzip.compress(np.random.default_rng(1).bytes(9000))[:4000])
    proxies = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy")
    places = {**dict.fromkeys(proxies, "http://127.0.0.1:9"), "KERAS_HOME": str(home),
              "MNISTBENCH_DATA": str(tmp_path / "store")}  # fmt: skip
    done = run("benchmark", "cifar10-dense", "-q", "--output", str(tmp_path / "out"), env=places)
    assert done.returncode == 2
    line = failure_line(done)
    assert str(archive) in line and "Keras's cache is damaged" in line
    assert "mnistbench data fetch cifar10" in line

    fetched = run("data", "fetch", "cifar10", env=places)
    assert fetched.returncode == 2, "there is no network here"
    passed_over, downloading, failed = fetched.stderr.strip().splitlines()
    assert str(archive) in passed_over and passed_over.endswith("passed over")
    assert downloading.startswith("Downloading CIFAR-10")
    assert "cannot be downloaded" in failed
    assert archive.is_file(), "Keras's cache is Keras's"


def test_a_pickle_of_some_bytes_takes_no_memory_and_calls_nothing() -> None:
    far_place = b"\x80\x02Nr\xff\xff\xff\x7f."
    large_array = b"\x80\x02cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85R."
    code = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R."
    tracemalloc.start()
    try:
        assert read_pickle(far_place) is None
        for content, problem in ((large_array, "a call of numpy ndarray"), (code, "os system")):
            with pytest.raises(PickleError, match=problem):
                read_pickle(content)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
