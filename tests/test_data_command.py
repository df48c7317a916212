"""`mnistbench data`, the places data is found in, the download, and synthetic data."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from conftest import failure_line, rows, run, run_here
from test_cifar10_files import (
    TRAIN_FILES,
    Batch,
    batches,
    official,
    write_archive,
    write_folder,
)

from mnistbench import data
from mnistbench.config.datasets import CIFAR10, DATASETS, MNIST
from mnistbench.config.loading import load_config
from mnistbench.data import store
from mnistbench.data.arrays import digests
from mnistbench.data.synthetic import synthetic
from mnistbench.errors import InputError
from mnistbench.results.phases import PHASES

FEW = ("--set", "dataset.train_samples=320", "--set", "dataset.test_samples=64")
ONE_EPOCH = ("--set", "training.epochs=1", "--no-calibrate")

# Nothing listens there, so that a download is refused at once.
NO_NETWORK = dict.fromkeys(
    ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"), "http://127.0.0.1:9"
)


@pytest.fixture(scope="module")
def whole() -> data.Dataset:
    """The real CIFAR-10, where this machine has it."""
    source = data.find(CIFAR10)
    if source is None:
        pytest.skip("the whole of CIFAR-10 is not on this machine")
    return data.checked(source.read(), CIFAR10, source.name)


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    """An environment that finds no data but what is inside mnistbench."""
    places = {"MNISTBENCH_DATA": str(tmp_path / "data"), "KERAS_HOME": str(tmp_path / "keras")}
    return {**NO_NETWORK, **places}


def in_batches(dataset: data.Dataset) -> dict[str, Batch]:
    parts = zip(np.split(dataset.x_train, 5), np.split(dataset.y_train, 5), strict=True)
    return {
        **dict(zip(TRAIN_FILES, parts, strict=True)),
        "test_batch": (dataset.x_test, dataset.y_test),
    }


def png_size(file: Path) -> tuple[int, int]:
    content = file.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", content[16:24])


def test_list_says_where_each_set_is(nowhere: dict[str, str]) -> None:
    done = run_here("data", "list", env=nowhere)
    assert done.returncode == 0
    lines = {line.split()[1]: line for line in done.stdout.splitlines() if "│" in line}
    assert "inside mnistbench" in lines["mnist"]
    assert "741c988805d0" in lines["mnist"]
    assert "not here; mnistbench data fetch cifar10" in lines["cifar10"]


def test_offline_and_nowhere_is_one_line_that_names_the_ways_out(
    tmp_path: Path, nowhere: dict[str, str]
) -> None:
    output = tmp_path / "out"
    done = run_here("benchmark", "cifar10-dense", "-q", "--output", str(output), env=nowhere)
    assert done.returncode == 2
    line = failure_line(done)
    for way in ("mnistbench data import PATH", "mnistbench data fetch cifar10", "--synthetic"):
        assert way in line
    assert not output.exists()
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_show_of_synthetic_data_prints_figures_and_writes_the_grid(
    tmp_path: Path, name: str
) -> None:
    picture = tmp_path / "grid.png"
    done = run_here("data", "show", name, "--synthetic", "--output", str(picture))
    assert done.returncode == 0, done.stderr
    facts = DATASETS[name]
    assert str((facts.train_count, *([28, 28] if name == "mnist" else [32, 32, 3]))) in done.stdout
    assert "One-hot: [" in done.stdout
    width, height = png_size(picture)
    assert width == facts.grid * 192
    assert height == round((facts.grid * 1.7 + 0.6) * 120)


def test_show_draws_the_first_images_with_their_names_in_their_places(tmp_path: Path) -> None:
    from PIL import Image

    picture = tmp_path / "m.png"
    done = run_here("data", "show", "mnist", "--output", str(picture))
    assert "First label: 5\n" in done.stdout
    assert "One-hot: [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]" in done.stdout
    assert "5,923" in done.stdout, "class balance: zeros in the training set"
    pixels = np.asarray(Image.open(picture).convert("L"), float)
    dataset = data.load(load_config("mnist-dense"))
    darkness = [255 - cell for cell in _cells(pixels, 8)]
    ink = [image.mean() for image in dataset.x_train[:64]]
    told = [cell[30:].mean() for cell in darkness]
    assert np.corrcoef(ink, told)[0, 1] > 0.95, "each cell is as dark as its digit"
    assert all(cell.max() > 100 for cell in darkness)


def _cells(pixels: np.ndarray, grid: int) -> list[np.ndarray]:
    body = pixels[72:]
    height, width = body.shape[0] // grid, body.shape[1] // grid
    return [
        body[row * height : (row + 1) * height, column * width : (column + 1) * width]
        for row in range(grid)
        for column in range(grid)
    ]


def test_show_writes_nothing_unless_it_is_asked_to(tmp_path: Path) -> None:
    done = run("data", "show", "mnist", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Yann LeCun" in done.stdout
    assert "Picture: add --output FILE.png" in done.stdout
    assert not list(tmp_path.iterdir())


def test_show_of_images_of_ones_own_names_no_author_of_others(tmp_path: Path) -> None:
    images, labels = np.zeros((3, 28, 28), np.uint8), np.arange(3, dtype=np.uint8)
    own = tmp_path / "own.npz"
    np.savez(own, x_train=images, y_train=labels, x_test=images, y_test=labels)
    picture = tmp_path / "new" / "own.png"
    done = run("data", "show", "mnist", "--path", str(own), "--output", str(picture))
    assert done.returncode == 0, done.stderr
    assert "LeCun" not in done.stdout
    assert "not the published MNIST: who made it, under which licence, is not known" in done.stdout
    assert png_size(picture) == (8 * 192, 276)


def test_import_refuses_what_is_not_the_published_data(
    tmp_path: Path, nowhere: dict[str, str]
) -> None:
    folder = write_folder(tmp_path / "own", official("binary", batches()))
    done = run_here("data", "import", str(folder), env=nowhere)
    assert done.returncode == 2
    assert "not the published CIFAR-10" in failure_line(done)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["fetch", "show"])
def test_an_unknown_name_is_told_with_the_known_ones(command: str) -> None:
    done = run_here("data", command, "cifar")
    assert done.returncode == 2
    assert "known are mnist, cifar10" in failure_line(done)


def test_a_users_own_small_copy_trains_and_is_said_to_be_no_published_one(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "own.tar.gz", official("python", batches(20)))
    done = run_here(
        "benchmark", "cifar10-dense", *ONE_EPOCH, "--set", f"dataset.path={archive}",
        "--output", str(tmp_path / "out"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "is not the published CIFAR-10" in done.stdout
    folder = next((tmp_path / "out").iterdir())
    metrics = {row["metric"]: row["value"] for row in rows(folder / "metrics.csv")}
    assert metrics["parameters"] == "99034"
    assert metrics["train_samples"] == "100"


@pytest.mark.parametrize("name, parameters", [("cifar10-dense", 99_034), ("cifar10-cnn", 122_570)])
def test_the_two_networks_have_the_lessons_parameters(name: str, parameters: int) -> None:
    done = run_here("config", "validate", name)
    assert f"{parameters:,} parameters" in done.stdout


def test_synthetic_data_is_learnt_and_is_another_data_set_in_every_file(tmp_path: Path) -> None:
    done = run_here(
        "benchmark", "cifar10-dense", "mnist-dense-512", "--synthetic", *ONE_EPOCH,
        "--set", "dataset.train_samples=6000", "--set", "dataset.test_samples=1000",
        "--output", str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "synthetic; its accuracy is not that of CIFAR-10" in done.stdout
    for folder in tmp_path.iterdir():
        name = "cifar10" if "cifar10" in folder.name else "mnist"
        timings = rows(folder / "timings.csv")
        assert {row["dataset"] for row in timings} == {f"{name}-synthetic"}
        metrics = {row["metric"]: row["value"] for row in rows(folder / "metrics.csv")}
        assert float(metrics["test_accuracy"]) > 0.3, f"{name}: chance is 0.1"
        machine = {row["attribute"]: row["value"] for row in rows(folder / "machine.csv")}
        assert machine["dataset_source"] == "synthetic"
        assert machine["dataset_canonical"] == "false"
        assert machine["dataset_x_train_sha256"] != DATASETS[name].digests["x_train"]
        real = load_config(str(folder / "config.yaml"), ["dataset.source=auto"])
        assert timings[0]["config_digest"] != real.digest()


def test_synthetic_data_is_the_same_everywhere_and_differs_by_seed() -> None:
    first = synthetic(MNIST, 42)
    assert first["x_train"].shape == (60_000, 28, 28)
    assert first["y_test"].shape == (10_000,)
    assert set(np.unique(first["y_train"])) == set(range(10))
    assert digests(first)["x_train"] == (
        "207d74c570d92e0e37e33e4fde17198a506fd88bec66667ad70383aa26d8c3e3"
    )
    assert digests(synthetic(MNIST, 43)) != digests(first)


def test_synthetic_and_a_path_exclude_each_other(tmp_path: Path) -> None:
    done = run_here("benchmark", "--synthetic", "--set", f"dataset.path={tmp_path}")
    assert done.returncode == 2
    assert "dataset.path" in failure_line(done)


def stored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stored set of our own making, whose digests the catalog of this test expects."""
    monkeypatch.setenv("MNISTBENCH_DATA", str(folder))
    return folder / "cifar10"


def test_the_store_is_written_whole_and_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: data.Dataset
) -> None:
    target = stored(tmp_path, monkeypatch)
    assert data.keep(whole, CIFAR10, "test") == target
    assert list(tmp_path.iterdir()) == [target], "no temporary folder is left"
    found = data.find(CIFAR10)
    assert found is not None and found.kind == "store"
    assert digests(found.read()) == dict(CIFAR10.digests)

    (target / "y_test").write_bytes(b"\1" * 10_000)
    done = run_here("data", "verify", env={"MNISTBENCH_DATA": str(tmp_path)})
    assert done.returncode == 1
    assert "array y_test" in done.stdout and "DIFFERS" in done.stdout
    with pytest.raises(InputError, match="damaged"):
        config = load_config("cifar10-dense")
        data.identify(data.load(config), config)

    os.truncate(target / "x_test", 100)
    done = run_here("data", "verify", env={"MNISTBENCH_DATA": str(tmp_path)})
    assert done.returncode == 1
    assert f"{target / 'x_test'}: has 100 bytes" in done.stdout

    data.keep(whole, CIFAR10, "test")
    assert store.is_intact(target, CIFAR10.digests), "a damaged set is replaced"
    done = run_here("data", "verify", env={"MNISTBENCH_DATA": str(tmp_path)})
    assert done.returncode == 0
    assert done.stdout.count(" ok") == 8


@pytest.mark.parametrize("text", ["", "{", "[]", '{"arrays": {}}', '{"arrays": 3}'])
def test_a_damaged_manifest_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    target = stored(tmp_path, monkeypatch)
    target.mkdir()
    (target / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json: damaged"):
        data.load(load_config("cifar10-dense"))


def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: data.Dataset
) -> None:
    (tmp_path / "file").write_text("")
    stored(tmp_path / "file", monkeypatch)
    with pytest.raises(Exception, match="choose another folder with MNISTBENCH_DATA=DIR"):
        data.keep(whole, CIFAR10, "test")


FAKE_NETWORK = """
import os, shutil, sys, urllib.request

def urlretrieve(url, target, report=None):
    archive = os.environ["FAKE_ARCHIVE"]
    assert url.endswith("/cifar-10-python.tar.gz"), url
    shutil.copyfile(archive, target)
    report(1, os.path.getsize(archive), os.path.getsize(archive))
    # The archive is packed anew, so that only its own digest differs from the official one.
    sys.modules["keras.src.utils.file_utils"].validate_file = lambda *a, **k: True

urllib.request.urlretrieve = urlretrieve
"""


def test_a_download_is_a_phase_of_its_own_and_then_never_again(
    tmp_path: Path, nowhere: dict[str, str], whole: data.Dataset
) -> None:
    """Only the network is replaced: Keras's loader unpacks and decodes what arrives."""
    archive = write_archive(tmp_path / "a.tar.gz", official("python", in_batches(whole)))
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(FAKE_NETWORK)
    path = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    online = {**nowhere, "PYTHONPATH": path, "FAKE_ARCHIVE": str(archive)}
    arguments = ("benchmark", "cifar10-dense", *FEW, *ONE_EPOCH, "--output")
    done = run(*arguments, str(tmp_path / "out"), "--repeats", "2", env=online)
    assert done.returncode == 0, done.stderr
    assert "Downloading CIFAR-10, 170 MB" in done.stderr
    assert "data-download" in done.stdout

    timings = rows(next((tmp_path / "out").iterdir()) / "timings.csv")
    first = [row for row in timings if row["repeat"] == "1"]
    assert [row["phase"] for row in first] == ["data-download", *PHASES]
    assert [row["phase"] for row in timings if row["repeat"] == "2"] == list(PHASES)
    seconds = {row["phase"]: float(row["seconds"] or 0) for row in first}
    parts = [seconds[phase] for phase in PHASES if phase not in ("import", "total")]
    assert seconds["data-download"] > 0
    assert seconds["total"] == pytest.approx(sum(parts))
    manifest = json.loads((tmp_path / "data" / "cifar10" / "manifest.json").read_text())
    assert manifest["arrays"]["x_train"]["sha256"] == CIFAR10.digests["x_train"]

    again = run_here(*arguments, str(tmp_path / "again"), env=nowhere)
    assert again.returncode == 0, again.stderr
    assert "data-download" not in again.stdout

    fresh = {**nowhere, "MNISTBENCH_DATA": str(tmp_path / "fresh")}
    cached = run_here("data", "fetch", "cifar10", env=fresh)
    assert "taken from Keras's cache" in cached.stdout, cached.stderr
    assert store.is_intact(tmp_path / "fresh" / "cifar10", CIFAR10.digests)


def test_imports_of_both_official_layouts_give_the_same_bytes(
    tmp_path: Path, nowhere: dict[str, str], whole: data.Dataset
) -> None:
    content = in_batches(whole)
    forms = [
        write_folder(tmp_path / "cifar-10-batches-py", official("python", content)),
        write_folder(tmp_path / "cifar-10-batches-bin", official("binary", content)),
    ]
    for path in forms:
        place = tmp_path / f"store-{path.name}"
        done = run_here("data", "import", str(path), env={**nowhere, "MNISTBENCH_DATA": str(place)})
        assert done.returncode == 0, done.stderr
        assert store.is_intact(place / "cifar10", CIFAR10.digests)
