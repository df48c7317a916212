"""The tables on disk: quoting, precision, and what a full disk or a crash leaves."""

from __future__ import annotations

import csv
import errno
import io
import math
import os
import re
import shutil
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import rows
from hypothesis import given
from hypothesis import strategies as st

from mnistbench.errors import InputError, OutputError
from mnistbench.results.cells import number, restored
from mnistbench.results.folder import RunFolder, new_run_id, output_error
from mnistbench.results.rows import (
    ClassRow,
    HistoryRow,
    MachineRow,
    MetricRow,
    RateRow,
    TimingRow,
    cell,
    to_csv,
)
from mnistbench.results.tables import MACHINE, METRICS, read_table

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)


@given(st.lists(st.tuples(TEXT, TEXT)))
def test_any_text_comes_back_from_a_table(cells: list[tuple[str, str]]) -> None:
    text = to_csv([MachineRow("r", name, value) for name, value in cells], MachineRow)
    back = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [(restored(row["attribute"]), restored(row["value"])) for row in back] == cells
    # A spreadsheet is given no formula, but the numbers that a text may hold.
    shown = [row[name] for row in back for name in ("attribute", "value")]
    assert not [cell for cell in shown if cell[:1] in FORMULAS and number(cell) is None]


FORMULAS = (*"=+-@\t\r\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_to_the_last_bit(value: float) -> None:
    [row] = csv.reader(io.StringIO(to_csv([MetricRow("r", 1, "m", value, "s")]), newline=""))
    assert math.copysign(1, float(row[3])) == math.copysign(1, value)
    assert float(row[3]) == value


def test_unknown_is_empty_and_zero_is_zero() -> None:
    lines = to_csv(
        [MachineRow("r", "a", None), MachineRow("r", "b", 0), MachineRow("r", "c", False)]
    )
    assert lines == "r,a,\r\nr,b,0\r\nr,c,false\r\n"


def test_a_fact_that_is_no_number_or_text_is_written_as_text() -> None:
    facts = (None, True, 0, 2.5, "a", Path("b"))
    assert [cell(fact) for fact in facts] == [None, True, 0, 2.5, "a", "b"]


@pytest.mark.parametrize(
    ("node", "host"),
    [
        ("anna.example.org", "anna"),
        ("n 7/x_y", "n-7-x_y"),
        ("-a-", "a"),
        ("", "host"),
        ("é", "host"),
    ],
)
def test_a_run_is_named_by_time_config_and_host(node: str, host: str) -> None:
    name = new_run_id("mnist-cnn", node)
    assert re.fullmatch(rf"\d{{8}}T\d{{6}}Z-mnist-cnn-{host}-[0-9a-f]{{6}}", name)
    assert new_run_id("mnist-cnn", node) != name


def test_a_run_folder_is_made_once_only(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, "one", "name: x\n")
    with pytest.raises(OutputError, match="File exists"):
        RunFolder.create(tmp_path, "one", "name: y\n")
    # The second attempt must not have harmed the first one's files.
    assert (tmp_path / "one" / "config.yaml").read_text() == "name: x\n"


def test_removing_a_run_that_never_began_leaves_nothing_it_made(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "deep" / "er", "one", "")
    folder.remove()
    assert not list(tmp_path.iterdir())
    other = RunFolder.create(tmp_path / "deep", "two", "")
    RunFolder.create(tmp_path / "deep", "three", "").remove()
    assert other.path.is_dir()


def test_rows_that_do_not_fit_on_the_disk_are_not_half_there(tmp_path: Path) -> None:
    # A limit on the file's size stands for a full disk: the write breaks off in the middle.
    script = textwrap.dedent(
        """
        import resource, signal, sys
        from pathlib import Path
        from mnistbench.errors import InputError, OutputError
        from mnistbench.results.tables import METRICS
        from mnistbench.results.rows import MetricRow
        from mnistbench.results.folder import RunFolder, new_run_id, output_error
        folder = RunFolder.create(Path(sys.argv[1]), "run", "")
        row = MetricRow("run", 1, "m", 0.5, "s")
        folder.append(METRICS, [row] * 10)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = (folder.path / METRICS).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, size + 100))
        try:
            folder.append(METRICS, [row] * 100)
        except OutputError as error:
            print(error)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "metrics.csv: cannot be written: File too large" in done.stdout
    assert len(rows(tmp_path / "run" / METRICS)) == 10


@pytest.mark.parametrize("writes", [0, 1, 3])
def test_a_run_whose_files_do_not_fit_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    flushed: list[int] = []
    flush = os.fsync

    def fills_up(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            flushed.append(descriptor)
            if len(flushed) > writes:
                raise OSError(errno.ENOSPC, "No space left on device")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fills_up)
    with pytest.raises(OutputError, match="cannot be written: No space left on device; choose"):
        RunFolder.create(tmp_path / "results", "run", "name: x\n")
    assert not list(tmp_path.iterdir())
    if not writes:
        with pytest.raises(OutputError, match="No space left on device"):
            RunFolder.make(tmp_path / "results", "run")
        assert not list(tmp_path.iterdir())


def test_what_was_written_is_flushed_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.make(tmp_path, "run")
    flushed: list[int] = []
    is_folder: list[bool] = []

    def flush(descriptor: int) -> None:
        flushed.append(descriptor)
        is_folder.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))

    monkeypatch.setattr(os, "fsync", flush)
    folder.write_table(MACHINE, [])
    assert is_folder == [False, True], "the name of the file too"
    folder.append(MACHINE, [MachineRow("run", "a", 1)])
    assert is_folder == [False, True, False]
    for descriptor in flushed:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


def test_the_log_has_a_line_with_its_time_for_each_message(tmp_path: Path) -> None:
    folder = RunFolder.make(tmp_path, "run")
    folder.log("one\n")
    folder.log("two \udcff")
    first, second = (folder.path / "log.txt").read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 one", first)
    assert second.endswith(" two \\udcff")
    shutil.rmtree(folder.path)
    with pytest.raises(OutputError, match=r"log\.txt: cannot be written: No such file"):
        folder.log("three")
    folder.remove()  # gone already: nothing to remove, and no error


def test_an_error_without_a_number_is_told_in_its_own_words() -> None:
    assert str(output_error(Path("a"), OSError("no medium"))).startswith(
        "a: cannot be written: no medium; choose another folder"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
@pytest.mark.parametrize("options", ["size=64k", "size=4m,ro"])
def test_a_full_or_read_only_disk_is_refused_at_once(tmp_path: Path, options: str) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(tmp_path)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        with pytest.raises(OutputError, match="choose another folder with --output DIR"):
            RunFolder.create(tmp_path / "results", "run", "")
        assert not list(tmp_path.iterdir())
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "run", "")
    folder.remove()
    with pytest.raises(OutputError):
        folder.append(MACHINE, [MachineRow("run", "a", 1)])


def test_a_write_that_fails_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.make(tmp_path, "run")
    folder.write("history.csv", "old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    # A full disk cannot be had without root's rights: the call that would meet it is made to fail.
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        folder.write("history.csv", "new")
    assert (folder.path / "history.csv").read_text() == "old"
    assert [entry.name for entry in folder.path.iterdir()] == ["history.csv"]


def test_a_folder_that_was_there_is_never_removed(tmp_path: Path) -> None:
    there = tmp_path / "run"
    there.mkdir()
    (there / "checkpoint").write_text("of days")
    RunFolder(there).remove()
    assert (there / "checkpoint").read_text() == "of days"


ROWS = {
    "timings.csv": TimingRow(
        "r", "c", "d", "mnist", "e", "dense", "jax", "cpu", "", 1, 4, 2, 7, "train", None, 0.1,
        "2026-11-22T10:00:00Z", "killed:SIGKILL", 'a "tag",\nof two lines', "node", "",
    ),
    "history.csv": HistoryRow(1, 0.5, 0.25, None, None, 0.001, 1.5, None),
    "calibration.csv": RateRow("r", "copy", 8, "before", 0.1, 2.5, "bytes/s"),
    "classes.csv": ClassRow("7", None, 0.5, None, 0),
}  # fmt: skip


@pytest.mark.parametrize("table", ROWS)
def test_a_table_is_read_as_it_was_written(table: str, tmp_path: Path) -> None:
    folder = RunFolder.make(tmp_path, "run")
    row = ROWS[table]
    assert read_table(folder.path, table, type(row)) == []
    folder.write_table(table, [row])
    folder.append(table, [row])
    assert read_table(folder.path, table, type(row)) == [row, row]


def test_a_damaged_table_names_its_line(tmp_path: Path) -> None:
    folder = RunFolder.make(tmp_path, "run")
    folder.write_table("history.csv", [HistoryRow(1, 0.5, 0.25, None, None, 0.001, 1.5, None)])
    with (folder.path / "history.csv").open("a") as text:
        text.write("2,0.4,nine\r\n")
    with pytest.raises(InputError, match=r"history\.csv: is damaged: line 3 "):
        read_table(folder.path, "history.csv", HistoryRow)


@pytest.mark.parametrize("line", ["run,1,loss", "run,1,loss,0.5,1,more"])
def test_a_row_of_another_width_is_damage(line: str, tmp_path: Path) -> None:
    """A cell that is missing would else be read as the text "None", and one too many be dropped."""
    folder = RunFolder.make(tmp_path, "run")
    folder.write_table(METRICS, [MetricRow("run", 1, "m", 0.5, "s")])
    with (folder.path / METRICS).open("a") as text:
        text.write(line + "\r\n")
    with pytest.raises(InputError, match=r"metrics\.csv: is damaged: line 3 "):
        read_table(folder.path, METRICS, MetricRow)


def test_a_table_that_cannot_be_read_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / METRICS).mkdir()
    with pytest.raises(InputError, match=r"metrics\.csv: cannot be read: Is a directory"):
        read_table(tmp_path, METRICS, MetricRow)
