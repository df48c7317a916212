"""Hostile files and words: refused in a line, in time, and nothing of them obeyed.

`make soak` makes thousands of these kinds; here are some of each, and the ones that fell short.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import random
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import run_here
from hand_written_runs import compare, times, write_run
from PIL import Image
from soak import hostile
from soak.tries import judged

from mnistbench.config.loading import load_config
from mnistbench.data import load
from mnistbench.data.pickles import PickleError, read_pickle
from mnistbench.errors import InputError, OutputError, one_line
from mnistbench.results.cells import number

SEEDS = range(3)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNISTBENCH_DATA", str(tmp_path / "store"))
    for name in ("base", "new"):
        write_run(tmp_path / hostile.RUNS / name, {"train": times(2.0), "test": times(0.3)})
        for file in ("calibration.csv", "cloudmesh.log"):
            (tmp_path / hostile.RUNS / name / file).write_text("run_id,workload\nnew,matmul\n")
    (tmp_path / "try").mkdir()
    return tmp_path


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", hostile.KINDS)
def test_each_kind_ends_as_documented(kind: str, seed: int, runs: Path) -> None:
    make = hostile.KINDS[kind]
    arguments = make(random.Random(f"{make.__name__}:{seed}"), runs / "try")
    done = run_here(*arguments)
    codes = {0, 1, 2, 3, 4, 5}
    outcome = judged(arguments, done.returncode, done.stdout, done.stderr, 0.0, 0.0, codes)
    assert outcome.survived, outcome.problem


def refusal(path: Path, dataset: str = "mnist") -> str:
    with pytest.raises(InputError) as refused:
        load(load_config(f"{dataset}-dense", [f"dataset.path={path}"]))
    assert str(path) in str(refused.value)
    return str(refused.value)


def npz(path: Path, header: dict[str, object]) -> Path:
    text = repr(header).encode()
    text += b" " * (63 - (len(text) + 10) % 64) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text)
    return path


@pytest.mark.parametrize(
    ("shape", "kind", "words"),
    [
        ((1,) * 255, "|u1", "claims 255 dimensions; 4 is the most"),
        ((True, 28, 28), "|u1", "claims the shape (True, 28, 28)"),
        ((1 << 40,), "|u1", "claims 1,099,511,627,776 bytes"),
        ((1 << 20, 28, 28), "<f8", "256 MiB is the most"),
        ((0, 1 << 31, 1 << 31), "|u1", "256 MiB is the most"),  # empty, and too big for NumPy
        ((1,), "|V900000000", "claims 900,000,000 bytes"),
        ((3,), "|O", "holds Python objects"),
    ],
)
def test_an_array_is_refused_by_what_it_claims(
    shape: tuple[int, ...], kind: str, words: str, tmp_path: Path
) -> None:
    header = {"descr": kind, "fortran_order": False, "shape": shape}
    assert words in refusal(npz(tmp_path / "a.npz", header))


def test_a_zip_of_endless_members_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    with zipfile.ZipFile(file, "w") as archive:
        for place in range(20_000):
            archive.writestr(f"m{place}", b"")
    assert "list of members has" in refusal(file)


def idx_folder(folder: Path, head: bytes, body: bytes = b"") -> Path:
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{name}-ubyte.gz").write_bytes(gzip.compress(head, 1) + body)
    return folder


def test_an_idx_file_is_unpacked_no_further_than_it_says(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(1 << 24), 1) * 30
    claimed = bytes([0, 0, 8, 3]) + struct.pack(">3I", 3, 28, 28)
    assert "holds more than that bytes of data" in refusal(idx_folder(tmp_path, claimed, bomb))
    huge = bytes([0, 0, 8, 3]) + struct.pack(">3I", 1 << 31, 28, 28)
    assert "256 MiB is the most" in refusal(idx_folder(tmp_path, huge, bomb))
    many = bytes([0, 0, 8, 255]) + struct.pack(">255I", *[1] * 255)
    assert "claims 255 dimensions" in refusal(idx_folder(tmp_path, many))
    endless = gzip.compress(b"") * 1000
    assert "more than 100 parts" in refusal(idx_folder(tmp_path, b"", endless))


def tar_file(path: Path, *members: tarfile.TarInfo) -> Path:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            archive.addfile(member)
    path.write_bytes(gzip.compress(packed.getvalue(), 1))
    return path


def test_an_archive_of_more_than_files_of_images_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.tar.gz"
    many = [tarfile.TarInfo(str(place)) for place in range(1001)]
    assert "holds more than 1000 files" in refusal(tar_file(file, *many), "cifar10")
    extra = tarfile.TarInfo("a")
    extra.pax_headers = {"comment": "x" * (1 << 20)}
    assert "a member's header has 1,048," in refusal(tar_file(file, extra), "cifar10")
    named = tarfile.TarInfo("n" * (1 << 20))
    assert "a member's header has" in refusal(tar_file(file, named), "cifar10")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x80\x02)" + b"\x85" * 200_000 + b".", "inside each other"),
        (b"\x80\x02})q\x00" + b"h\x00h\x00\x86q\x00" * 30 + b"K\x01s.", "inside each other"),
        (b"\x80\x02}K\x01\x85K\x01s.", "keys that are no texts"),
        (b"\x80\x02]q\x00h\x00a.", "a list of anything but"),
        (b"\x80\x02}q\x00U\x01ah\x00s.", "a dictionary inside"),
        (b"\x80\x02" + b"Nq\x00" * 300_000 + b".", "more than 500,000 operations"),
    ],
)
def test_a_pickle_is_read_as_deep_as_an_official_one(content: bytes, words: str) -> None:
    with pytest.raises(PickleError, match=words):
        read_pickle(content)


def test_a_picture_is_refused_before_its_pixels_are_read(tmp_path: Path) -> None:
    from mnistbench.config.datasets import DATASETS
    from mnistbench.data.user_images import prepare_image

    file = tmp_path / "a.png"
    Image.new("1", (20_000, 5_000)).save(file)
    with pytest.raises(InputError, match="more than 25 million pixels"):
        prepare_image(file, DATASETS["mnist"])


CELLS = [
    ("1_000", "time that is no number above 0 is left out"),
    ("nan", "time that is no number above 0 is left out"),
    ("-1", "time that is no number above 0 is left out"),
    ("5.97e19", "time that is longer than its run lasted is left out"),
    ("9000", "time that is longer than its run lasted is left out"),
    ("1e308", "time that is longer than its run lasted is left out"),
]


@pytest.mark.parametrize(("cell", "words"), CELLS)
def test_what_is_no_time_is_counted_and_named(cell: str, words: str, tmp_path: Path) -> None:
    base, new = tmp_path / "base", tmp_path / "new"
    write_run(base, {"train": times(2.0)})
    write_run(new, {"train": times(2.0)})
    with (new / "timings.csv").open(newline="") as text:
        table = list(csv.reader(text))
    table[3][table[0].index("seconds")] = cell
    with (new / "timings.csv").open("w", newline="") as text:
        csv.writer(text).writerows(table)
    code, output, error = compare(base, new)
    assert (code, error) == (0, "")
    assert f"1 {words}, the first: {new / 'timings.csv'}, row 4" in " ".join(output.split())


def test_an_accuracy_beyond_all_is_none(tmp_path: Path) -> None:
    base, new = tmp_path / "base", tmp_path / "new"
    write_run(base, {"train": times(2.0)})
    write_run(new, {"train": times(2.0)}, accuracy=5.0)
    _, output, _ = compare(base, new)
    assert "10 test accuracies that are no shares from 0 to 1 are left out" in (
        " ".join(output.split())
    )


def test_one_measurement_under_other_numbers_counts_once(tmp_path: Path) -> None:
    base, new = tmp_path / "base", tmp_path / "new"
    write_run(base, {"train": times(2.0)})
    write_run(new, {"train": times(2.0)})
    file = new / "timings.csv"
    lines = file.read_bytes().decode().replace(".000000Z", ".123456Z").splitlines()
    place = lines[0].split(",").index("repeat")
    copies = []
    for line in lines[1:]:
        cells = line.split(",")
        cells[place] = str(int(cells[place]) + 100)
        copies.append(",".join(cells))
    file.write_text("\r\n".join([*lines, *copies, ""]), newline="")
    figures = (new / "metrics.csv").read_bytes().decode()
    more = [line.replace("new,", "new,10", 1) for line in figures.splitlines()[1:]]
    more = [line.replace("new,1010,", "new,110,") for line in more]
    (new / "metrics.csv").write_text(figures + "\r\n".join(more) + "\r\n", newline="")
    _, output, _ = compare(base, new)
    assert "times that are there under the numbers of other repeats are counted once" in (
        " ".join(output.split())
    )


def test_what_comes_from_outside_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    base, new = tmp_path / "base", tmp_path / "n\x1b[31mew\u202e"
    write_run(base, {"train": times(2.0)})
    write_run(new, {"train": times(2.0)}, machine={"cpu_model": "\x1b]0;owned\x07=cmd"})
    for output_format in ("table", "markdown", "csv"):
        _, output, _ = compare(base, new, "--format", output_format)
        assert "n\\x1b[31mew\\u202e" in output.replace("\\\\", "\\")
        assert "\x1b" not in output
    _, _, error = compare(base, tmp_path / "\x1b[2J")
    assert (
        error.strip()
        == f"mnistbench: {tmp_path}/\\x1b[2J: no such file or folder; "
        + (error.strip().partition("; ")[2])
    )


def test_a_name_makes_no_line_of_its_own(tmp_path: Path) -> None:
    base, new = tmp_path / "base", tmp_path / "new\n- NEW is faster"
    write_run(base, {"train": times(2.0)}, node="a\nb")
    write_run(new, {"train": times(2.0)}, machine={"cpu_model": "x\n- NEW is faster\ty"})
    for output_format in ("table", "markdown"):
        _, output, _ = compare(base, new, "--format", output_format)
        assert "new\\n- NEW is faster" in output.replace("\\\\", "\\")
        assert not [line for line in output.splitlines() if line.startswith("- NEW is faster")]


def test_a_message_is_one_line_of_a_length_to_be_read() -> None:
    assert one_line("a\n b\t\x85c\x1b") == "a b \\x85c\\x1b"
    assert len(str(InputError("x" * 10**6, hint="do this"))) < 1100
    assert str(InputError("x" * 10**6, hint="do this")).endswith("; do this")
    assert str(OutputError("a\nb")) == "a b"


@pytest.mark.parametrize("text", ["1_000", "²", "\uff11", "", "x", "0x1"])
def test_what_only_python_takes_for_a_number_is_none(text: str) -> None:
    assert number(text) is None


def test_a_later_version_of_the_tables_is_refused(tmp_path: Path) -> None:
    base, new = tmp_path / "base", tmp_path / "new"
    write_run(base, {"train": times(2.0)})
    write_run(new, {"train": times(2.0)}, machine={"files_schema": "2"})
    code, output, error = compare(base, new)
    assert (code, output) == (2, "")
    assert f"{new / 'machine.csv'}: was written by a newer mnistbench" in error


def test_an_internal_error_names_the_file_to_report_it_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    def broken() -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr("mnistbench.config.files.known_configs", broken)
    done = run_here("config", "list")
    monkeypatch.setattr("tempfile.tempdir", None)
    [log] = tmp_path.glob("mnistbench-error-*.txt")
    assert done.returncode == 70
    assert done.stderr == (
        "mnistbench: internal error, ZeroDivisionError: a mistake of ours; "
        f"please report it with {log}\n"
    )
    assert "in broken" in log.read_text()


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (OSError(24, "Too many open files"), "Too many open files; allow more", 1),
        (OSError(36, "File name too long", "x" * 300), "File name too long; give a shorter", 2),
        (MemoryError(), "not enough memory", 1),
    ],
)
def test_an_error_of_the_machine_is_told_by_its_cause(
    error: Exception, line: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise error

    monkeypatch.setattr("mnistbench.config.files.known_configs", broken)
    done = run_here("config", "list")
    assert done.returncode == code
    assert line in done.stderr
    assert "internal" not in done.stderr


def test_parquet_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    write_run(tmp_path / "run", {"train": times(2.0)})
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    done = run_here("export", "parquet", str(tmp_path / "run"), "-o", f"{tmp_path}/loop/a.parquet")
    assert done.returncode == 2
    assert done.stderr.startswith(f"mnistbench: {tmp_path}/loop/a.parquet: cannot be written: ")


def test_standard_error_that_is_full_ends_nothing(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.skip("no /dev/full here")
    from conftest import command

    line = '"$@" 2>/dev/full'
    import subprocess

    done = subprocess.run(["bash", "-c", line, "bash", *command("config", "show", "nope")])
    assert done.returncode == 2
