"""The data: the embedded MNIST is the real one, and a user's own files are read or refused."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from conftest import failure_line, run_here
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistbench import data
from mnistbench.config.datasets import MNIST
from mnistbench.config.loading import load_config
from mnistbench.config.run_config import RunConfig
from mnistbench.data.readers import IDX_FILES
from mnistbench.errors import InputError


def config_for(path: Path, *overrides: str) -> RunConfig:
    return load_config("mnist-dense", [f"dataset.path={path}", *overrides])


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        data.load(config_for(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def mnist() -> data.Dataset:
    return data.load(load_config("mnist-dense"))


def write_idx(folder: Path, dataset: data.Dataset, zipped: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in IDX_FILES.items():
        array = getattr(dataset, name)
        header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        content = header + array.tobytes()
        if zipped:
            (folder / f"{file}.gz").write_bytes(gzip.compress(content, 1))
        else:
            (folder / file).write_bytes(content)


def test_the_embedded_set_is_the_published_one(mnist: data.Dataset) -> None:
    identity = data.identify(mnist, load_config("mnist-dense"))
    assert identity.digests == MNIST.digests
    assert (identity.source, identity.canonical) == ("embedded", True)
    assert mnist.x_train.shape == (60_000, 28, 28)
    assert mnist.x_test.shape == (10_000, 28, 28)
    assert {a.dtype for a in (mnist.x_train, mnist.y_train)} == {np.dtype(np.uint8)}
    assert np.bincount(mnist.y_train).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip


@pytest.mark.parametrize("zipped", [False, True])
def test_the_four_idx_files_give_the_same_arrays(
    tmp_path: Path, mnist: data.Dataset, zipped: bool
) -> None:
    write_idx(tmp_path, mnist, zipped)
    config = config_for(tmp_path)
    identity = data.identify(data.load(config), config)
    assert identity.digests == MNIST.digests
    assert (identity.source, identity.canonical) == (str(tmp_path), True)


def test_another_set_of_the_same_shape_is_allowed_and_known(
    tmp_path: Path, mnist: data.Dataset
) -> None:
    write_idx(tmp_path, mnist.first(100, 50), zipped=False)
    config = config_for(tmp_path)
    identity = data.identify(data.load(config), config)
    assert not identity.canonical
    assert identity.digest != data.identify(mnist, load_config("mnist-dense")).digest


@given(st.data())
@settings(deadline=None)
def test_a_cut_idx_file_is_refused(
    tmp_path_factory: pytest.TempPathFactory, mnist: data.Dataset, draw: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("idx")
    zipped = draw.draw(st.booleans())
    write_idx(folder, mnist.first(3, 2), zipped)
    file = draw.draw(st.sampled_from(sorted(folder.iterdir())))
    content = file.read_bytes()
    cut = draw.draw(st.integers(0, len(content) - 1))
    file.write_bytes(content[:cut])
    assert str(file) in refusal(folder)


@given(st.binary(max_size=300))
def test_any_bytes_in_an_npz_are_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.mktemp("npz") / "own.npz"
    file.write_bytes(content)
    assert str(file) in refusal(file)


def test_a_truncated_npz_is_refused_before_tensorflow(tmp_path: Path) -> None:
    embedded = data.source_of(load_config("mnist-dense")).path
    assert embedded is not None
    file = tmp_path / "own.npz"
    file.write_bytes(embedded.read_bytes()[:5_000_000])
    done = run_here("benchmark", "--set", f"dataset.path={file}", "--output", str(tmp_path / "out"))
    assert done.returncode == 2
    assert str(file) in failure_line(done)
    assert "fetch the file again" in failure_line(done)
    assert not (tmp_path / "out").exists()


def valid_arrays() -> dict[str, np.ndarray]:
    return {
        "x_train": np.zeros((6, 28, 28), np.uint8),
        "y_train": np.arange(6),
        "x_test": np.zeros((4, 28, 28), np.uint8),
        "y_test": np.arange(4),
    }


@pytest.mark.parametrize(
    ("name", "array", "part"),
    [
        ("x_train", np.zeros((6, 32, 32), np.uint8), "(6, 32, 32)"),
        ("x_train", np.zeros((6, 28, 28), np.float32), "float32"),
        ("x_test", np.zeros((0, 28, 28), np.uint8), "y_test is"),
        ("y_train", np.arange(5), "y_train is"),
        ("y_train", np.full(6, 10), "0 to 9"),
        ("y_train", np.full(6, -1), "0 to 9"),
        ("y_test", np.zeros((4, 10)), "y_test is float64"),
        ("y_test", np.array(list("abcd"), object), "y_test holds Python objects, not numbers"),
    ],
)
def test_wrong_shapes_and_labels_are_refused(
    tmp_path: Path, name: str, array: np.ndarray, part: str
) -> None:
    file = tmp_path / "own.npz"
    np.savez(file, **{**valid_arrays(), name: array})
    assert part in refusal(file)


def test_missing_files_and_arrays_are_refused(tmp_path: Path) -> None:
    assert "no such file or folder" in refusal(tmp_path / "nowhere.npz")
    assert "a folder without the files of a data set" in refusal(tmp_path)
    np.savez(tmp_path / "own.npz", x_train=valid_arrays()["x_train"])
    assert "lacks the arrays y_train, x_test, y_test" in refusal(tmp_path / "own.npz")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"")
    (tmp_path / "data.txt").write_text("no")
    assert "is a text file, no data set" in refusal(tmp_path / "data.txt")


def test_more_samples_than_a_users_copy_has(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", **valid_arrays())
    config = config_for(tmp_path / "own.npz", "dataset.train_samples=7")
    with pytest.raises(InputError, match=r"dataset\.train_samples: 7 is more than the 6 images"):
        data.select(data.load(config), config)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("divide_255", lambda x, own: x.astype(np.float32) / 255),
        ("divide_max", lambda x, own: (x / own.max()).astype(np.float32)),
        ("standardize", lambda x, own: (x - own.mean()) / own.std()),
        ("none", lambda x, own: x.astype(np.float32)),
    ],
)
def test_normalisation(mnist: data.Dataset, how: str, expected: object) -> None:
    few = mnist.first(50, 20)
    config = load_config("mnist-dense", [f"dataset.normalization={how}"])
    own_test = few.x_test if how == "divide_max" else few.x_train
    for got, images, own in (
        (data.numbers(few, config, "train").images, few.x_train, few.x_train),
        (data.raw_images(few, config, "train").numbers(), few.x_train, few.x_train),
        (data.numbers(few, config, "test").images, few.x_test, own_test),
        (data.raw_images(few, config, "test").numbers(), few.x_test, own_test),
    ):
        assert got.dtype == np.float32
        assert got.shape == (len(images), 784)
        np.testing.assert_allclose(got.reshape(images.shape), expected(images, own), rtol=2e-6)  # type: ignore[operator]


def test_a_whole_divided_set_has_the_very_values_of_the_seeds(mnist: data.Dataset) -> None:
    numbers = data.numbers(mnist.first(1000, 10), load_config("mnist-dense"), "train").images
    seeds_own = np.reshape(mnist.x_train[:1000], [-1, 784]).astype("float32") / 255
    assert np.array_equal(numbers, seeds_own)
    seeds_float64 = (mnist.x_train[:1000].reshape(1000, 784) / 255).astype(np.float32)
    assert np.array_equal(numbers, seeds_float64)


def test_float64_images_are_those_of_lessons_that_divide_bytes(mnist: data.Dataset) -> None:
    """As the multilayer and the dense lesson have them: NumPy's own division."""
    config = load_config("mnist-mlp", ["dataset.image_dtype=float64"])
    numbers = data.numbers(mnist.first(1000, 10), config, "train").images
    seeds_own = mnist.x_train[:1000].reshape(1000, 784) / 255
    assert numbers.dtype == seeds_own.dtype == np.float64
    assert np.array_equal(numbers, seeds_own)


@given(st.lists(st.integers(0, 9), min_size=1))
def test_one_hot(labels: list[int]) -> None:
    from mnistbench.data.preprocessing import one_hot

    encoded = one_hot(np.array(labels, np.uint8), 10)
    assert encoded.dtype == np.float32
    assert encoded.argmax(axis=1).tolist() == labels
    assert encoded.sum(axis=1).tolist() == [1] * len(labels)
