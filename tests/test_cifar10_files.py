"""CIFAR-10's official files: read exactly, and refused in one line when anything is wrong."""

from __future__ import annotations

import gzip
import io
import pickle
import pickletools
import struct
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistbench import data
from mnistbench.config.loading import load_config
from mnistbench.data.pickles import PickleError, read_pickle
from mnistbench.errors import InputError

ROWS = 3
TRAIN_FILES = [f"data_batch_{number}" for number in range(1, 6)]

Batch = tuple[np.ndarray, np.ndarray]


def batches(rows: int = ROWS) -> dict[str, Batch]:
    """Images (rows, 32, 32, 3) and labels of each official file, every one different."""
    random = np.random.default_rng(7)
    return {
        name: (
            random.integers(0, 256, (rows, 32, 32, 3), np.uint8),
            random.integers(0, 10, rows, np.uint8),
        )
        for name in [*TRAIN_FILES, "test_batch"]
    }


def planes(images: np.ndarray) -> np.ndarray:
    return images.transpose(0, 3, 1, 2).reshape(len(images), 3072)


def old_pickle(batch: Batch, module: str = "numpy.core.multiarray") -> bytes:
    """A batch as Python 2 pickled it: protocol 2, byte strings, NumPy's module of that time."""

    def text(value: bytes) -> bytes:
        return pickle.SHORT_BINSTRING + bytes([len(value)]) + value

    def small(value: int) -> bytes:
        return pickle.BININT1 + bytes([value])

    images, labels = batch
    content = planes(images).tobytes()
    rebuilt = (
        pickle.GLOBAL + f"{module}\n_reconstruct\n".encode()
        + pickle.GLOBAL + b"numpy\nndarray\n" + small(0) + pickle.TUPLE1 + text(b"b")
        + pickle.TUPLE3 + pickle.REDUCE
    )  # fmt: skip
    kind = (
        pickle.GLOBAL + b"numpy\ndtype\n" + text(b"u1") + small(0) + small(1) + pickle.TUPLE3
        + pickle.REDUCE + pickle.MARK + small(3) + text(b"|") + pickle.NONE * 3
        + 2 * (pickle.BININT + struct.pack("<i", -1)) + small(0) + pickle.TUPLE + pickle.BUILD
    )  # fmt: skip
    sizes = (pickle.BININT2 + struct.pack("<H", size) for size in (len(images), 3072))
    shape = b"".join(sizes) + pickle.TUPLE2
    state = (
        pickle.MARK + small(1) + shape + kind + pickle.NEWFALSE
        + pickle.BINSTRING + struct.pack("<i", len(content)) + content + pickle.TUPLE
    )  # fmt: skip
    array = rebuilt + pickle.LONG_BINPUT + struct.pack("<I", 300) + state + pickle.BUILD
    listed = b"".join(small(int(label)) for label in labels)
    numbers = pickle.EMPTY_LIST + pickle.BINPUT + b"\x02" + pickle.MARK + listed + pickle.APPENDS
    items = text(b"batch_label") + text(b"training batch 1 of 5")
    items += text(b"labels") + numbers + text(b"data") + array
    return (
        pickle.PROTO + b"\x02" + pickle.EMPTY_DICT + pickle.BINPUT + b"\x01"
        + pickle.MARK + items + pickle.SETITEMS + pickle.STOP
    )  # fmt: skip


def new_pickle(batch: Batch) -> bytes:
    """The same batch as today's Python and NumPy pickle it."""
    images, labels = batch
    return pickle.dumps({"labels": labels.tolist(), "data": planes(images)}, protocol=4)


def binary(batch: Batch) -> bytes:
    images, labels = batch
    return np.concatenate([labels[:, None], planes(images)], axis=1).tobytes()


def official(layout: str, content: Mapping[str, Batch]) -> dict[str, bytes]:
    """File name to bytes, as one of the official archives unpacks."""
    if layout == "binary":
        return {f"{name}.bin": binary(batch) for name, batch in content.items()}
    write = new_pickle if layout == "new python" else old_pickle
    return {name: write(batch) for name, batch in content.items()}


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def write_archive(path: Path, files: Mapping[str, bytes], prefix: str = "cifar-10-batches-py/"):
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def load(path: Path) -> data.Dataset:
    return data.load(load_config("cifar10-dense", [f"dataset.path={path}"]))


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_equal(dataset: data.Dataset, content: Mapping[str, Batch]) -> None:
    train = [content[name] for name in TRAIN_FILES]
    assert np.array_equal(dataset.x_train, np.concatenate([images for images, _ in train]))
    assert np.array_equal(dataset.y_train, np.concatenate([labels for _, labels in train]))
    assert np.array_equal(dataset.x_test, content["test_batch"][0])
    assert np.array_equal(dataset.y_test, content["test_batch"][1])
    assert {array.dtype for array in vars(dataset).values()} == {np.dtype(np.uint8)}


@pytest.mark.parametrize("layout", ["python", "new python", "binary"])
def test_both_layouts_are_read_from_a_folder_its_parent_and_an_archive(
    tmp_path: Path, layout: str
) -> None:
    content = batches()
    files = official(layout, content)
    name = "cifar-10-batches-bin" if layout == "binary" else "cifar-10-batches-py"
    folder = write_folder(tmp_path / name, files)
    for path in (folder, tmp_path, write_archive(tmp_path / "any.name", files)):
        assert_equal(load(path), content)


def test_the_hand_made_pickle_is_one_that_python_reads_the_same() -> None:
    batch = batches()["data_batch_1"]
    told = pickle.loads(old_pickle(batch).replace(b"numpy.core", b"numpy._core"), encoding="bytes")
    assert np.array_equal(told[b"data"], planes(batch[0]))


def test_an_npz_as_keras_returns_the_arrays_is_read(tmp_path: Path) -> None:
    content = batches()
    train = [content[name] for name in TRAIN_FILES]
    np.savez(
        tmp_path / "cifar10.npz",
        x_train=np.concatenate([images for images, _ in train]),
        y_train=np.concatenate([labels for _, labels in train])[:, None],
        x_test=content["test_batch"][0],
        y_test=content["test_batch"][1][:, None],
    )
    assert_equal(load(tmp_path / "cifar10.npz"), content)


@pytest.mark.parametrize(
    "layout, name", [("python", "data_batch_3"), ("binary", "data_batch_3.bin")]
)
def test_a_missing_a_short_and_a_truncated_file_are_named(
    tmp_path: Path, layout: str, name: str
) -> None:
    files = official(layout, batches())
    shorter = official(layout, batches(ROWS - 1))
    missing = {key: value for key, value in files.items() if key != name}
    assert f"the file {name} is missing" in refusal(write_folder(tmp_path / "missing", missing))
    cut = write_folder(tmp_path / "cut", {**files, name: files[name][:-100]})
    assert f"{cut / name}: truncated" in refusal(cut)
    short = write_folder(tmp_path / "short", {**files, name: shorter[name]})
    assert f"{short / name}: holds 2 images, data_batch_1 3" in refusal(short)
    empty = write_folder(tmp_path / "empty", {**files, name: b""})
    assert str(empty / name) in refusal(empty)


@pytest.mark.parametrize("layout", ["python", "binary"])
def test_a_label_that_is_no_class_is_refused(tmp_path: Path, layout: str) -> None:
    content = batches()
    content["test_batch"][1][1] = 10
    assert "labels from" in refusal(write_folder(tmp_path, official(layout, content)))


class _Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        import os

        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("protocol", range(6))
def test_a_malicious_pickle_runs_nothing(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "ran"
    files = official("python", batches())
    files["data_batch_1"] = pickle.dumps({"data": _Evil(marker)}, protocol=protocol)
    line = refusal(write_folder(tmp_path / "evil", files))
    assert "data_batch_1" in line
    assert not marker.exists()
    pickle.loads(files["data_batch_1"])
    assert marker.exists(), "the pickle must be one that would have run"


@pytest.mark.parametrize(
    "name", ["os system", "builtins eval", "numpy load", "numpy.core.multiarray fromfile"]
)
def test_no_other_name_is_admitted(name: str) -> None:
    module, _, attribute = name.partition(" ")
    with pytest.raises(PickleError, match="no official file has"):
        read_pickle(b"\x80\x02c" + f"{module}\n{attribute}\n.".encode())


PICKLE = old_pickle(batches()["data_batch_1"])


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(PICKLE) - 1))
def test_a_pickle_cut_anywhere_is_refused(length: int) -> None:
    with pytest.raises(PickleError):
        value = read_pickle(PICKLE[:length])
        value[b"data"].array()


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            # Half of the flips hit what surrounds the pixels, where the structure is.
            st.integers(0, len(PICKLE) - 1) | st.integers(0, 400),
            st.integers(0, 255),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_damaged_pickle_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]]
) -> None:
    damaged = bytearray(PICKLE)
    for place, value in flips:
        damaged[place] = value
    files = {**official("python", batches()), "data_batch_1": bytes(damaged)}
    folder = write_folder(tmp_path_factory.mktemp("flips"), files)
    try:
        load(folder)
    except InputError as error:
        assert "\n" not in str(error)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_as_a_pickle(content: bytes) -> None:
    try:
        read_pickle(content)
    except PickleError:
        return
    list(pickletools.genops(content))


ARCHIVE_FILES = official("binary", batches(1))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_archive_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject
) -> None:
    """Both the compressed bytes and, in half of the cases, the tar inside them."""
    folder = tmp_path_factory.mktemp("archive")
    path = write_archive(folder / "a.tar.gz", ARCHIVE_FILES)
    inside = draw.draw(st.booleans())
    content = bytearray(gzip.decompress(path.read_bytes()) if inside else path.read_bytes())
    headers = st.integers(0, 511).map(lambda place: place % len(content))
    for _ in range(draw.draw(st.integers(0, 4))):
        place = draw.draw(st.integers(0, len(content) - 1) | headers)
        content[place] = draw.draw(st.integers(0, 255))
    kept = bytes(content[: draw.draw(st.just(len(content)) | st.integers(2, len(content)))])
    path.write_bytes(gzip.compress(kept, 1) if inside else b"\x1f\x8b" + kept[2:])
    try:
        load(path)
    except InputError as error:
        assert "\n" not in str(error)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_npz_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    images, labels = batches(1)["test_batch"]
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    content = bytearray(path.read_bytes())
    ends = st.integers(-400, 200).map(lambda place: place % len(content))
    for _ in range(draw.draw(st.integers(1, 3))):
        content[draw.draw(st.integers(0, len(content) - 1) | ends)] = draw.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    try:
        load(path)
    except InputError as error:
        assert "\n" not in str(error)


def test_an_archive_cannot_write_or_read_outside(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"x")
    files = official("python", batches())
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("../escaped", str(tmp_path / "absolute")):
            archive.addfile(_member(name, b"x"), io.BytesIO(b"x"))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            link = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
            link.type, link.linkname = kind, str(secret)
            archive.addfile(link)
        for name, content in files.items():
            if name != "data_batch_1":
                archive.addfile(_member(name, content), io.BytesIO(content))
    before = sorted(tmp_path.parent.rglob("*"))
    assert "the file data_batch_1 is missing" in refusal(path)
    assert sorted(tmp_path.parent.rglob("*")) == before


def test_an_archive_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tar.gz"
    header = tarfile.TarInfo("padding")
    header.size = 600 << 20
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header.tobuf())
        for _ in range(600):
            file.write(bytes(1 << 20))
    assert "unpacks to more than 512 MiB" in refusal(path)


def test_a_member_of_the_wrong_size_or_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.tar.gz"
    files = official("python", batches())
    with tarfile.open(path, "w:gz") as archive:
        for folder in ("a/", "b/"):
            content = files["data_batch_1"]
            member = _member(folder + "data_batch_1", content)
            archive.addfile(member, io.BytesIO(content))
    assert "holds data_batch_1 twice" in refusal(path)


def _member(name: str, content: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member
