"""`mnistbench merge`: many results in one place, of which `compare` says what it said of each."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import rows, run_here
from hand_written_runs import NOISE, OTHER_NOISE, compare, times, write, write_run
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistbench.results import merge as merging
from mnistbench.results.phases import PHASES
from mnistbench.results.rows import MachineRow, MetricRow, RateRow, TimingRow, to_csv

LEVELS = (0.0, 3.0, -2.0, 1.0)
RATES = {
    "matmul-float32": 2e11,
    "convolution-float32": 1.5e11,
    "memory-copy": 1e10,
    "dispatch": 5e4,
}


def merge(*arguments):
    """Run the command in this process; return its exit code, standard output and error."""
    done = run_here("merge", *map(str, arguments))
    return done.returncode, done.stdout, done.stderr


def merged(output, *given):
    code, text, error = merge(*given, "-o", output)
    assert (code, error) == (0, ""), error
    return text


def contents(folder):
    """Return every file below a folder with its bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def said(base, new, *options):
    """Return exit code and JSON of `compare`, without the names of its sides and their files."""
    code, text, error = compare(base, new, *options, "--format", "json")
    assert error == ""
    text = text.replace(f"{new}", "NEW").replace(f"{base}", "BASE")
    text = re.sub(r"the first: (BASE|NEW)[^,]*(, row \d+)?", r"the first: \1", text)
    return code, json.loads(text)


def add(folder, table, listed):
    file = folder / table
    write(file, file.read_bytes().decode() + to_csv(listed))


def calibrate(folder, slower=1.0):
    """Write a calibration, its workloads in the order they are measured in."""
    listed = [
        RateRow(folder.name, name, 1024, moment, 0.01, rate / slower * (1 + percent / 100), "1/s")
        for name, rate in RATES.items()
        for number, moment in enumerate(("before", "after"))
        for percent in NOISE[5 * number : 5 * number + 5]
    ]
    write(folder / "calibration.csv", to_csv(listed, RateRow))


def side(folder, factor, *, machines=3, cpu="AMD EPYC", noise=NOISE, sessions="s"):
    """Write runs of two configs on several machines, with all that `compare` looks at."""
    for number in range(machines):
        for config in ("mnist-dense", "mnist-mlp"):
            level = factor * (1 + LEVELS[number] / 100)
            run = write_run(
                folder / f"{folder.name}-{config}-{number}",
                {
                    "train": [*times(20.0 * level, noise), None],
                    "test": [*times(1.0 * level, noise), 1.1],
                    "build": [0.0, *times(0.1, noise)[1:], 0.1],
                },
                config=config,
                session=f"{sessions}{number}",
                accuracy=0.91 + number / 1000,
                metrics={"peak_rss_bytes": ([int(factor * t) for t in times(1e9, noise)], "bytes")},
                machine={
                    "node": f"node{number}", "cpu_model": cpu, "drift_train_p_value": "0.001",
                    "drift_train_ratio": f"1.{number + 1}", "tensorflow_version": f"2.2{number}",
                },
            )  # fmt: skip
            add(run, "metrics.csv", [MetricRow(run.name, 2, "contended", True, "")])
            add(run, "metrics.csv", [MetricRow(run.name, 2, "jit_compile", number == 1, "")])
            calibrate(run, factor)
    return folder


# --- what compare says


@pytest.mark.parametrize(
    "options",
    [
        ("--phase", "all"),
        ("--phase", "train", "--metric", "test_accuracy", "--metric", "peak_rss_bytes"),
        ("--without-contended", "--margin", "10%"),
        ("--force",),
    ],
)
@pytest.mark.parametrize(
    ("machines", "as_tables"), [(1, ()), (3, ()), (1, ("--parquet",)), (3, ("--parquet",))]
)
def test_compare_says_of_the_merged_what_it_says_of_the_parts(
    tmp_path, machines, as_tables, options
):
    base = side(tmp_path / "base", 1.0, machines=machines)
    new = side(tmp_path / "new", 1.2, machines=machines, noise=OTHER_NOISE)
    for folder in (base, new):
        merged(tmp_path / f"all-{folder.name}", folder, *as_tables)
    parts = said(base, new, *options)
    assert parts == said(tmp_path / "all-base", tmp_path / "all-new", *options)
    [comparison] = parts[1]["comparisons"]
    assert {config["config"] for config in comparison["configs"]} == {"mnist-dense", "mnist-mlp"}
    for config in comparison["configs"]:
        assert config["paired"] is True
        assert config["contended_repeats"] == {"base": machines, "new": machines}
        notes = " ".join(config["notes"])
        assert "did not finish" in notes
        assert "drifted" in notes
        assert config["new_test_accuracy"] is not None
        asked = [options[n + 1] for n, word in enumerate(options) if word == "--metric"]
        assert [metric["metric"] for metric in config["metrics"]] == asked


def test_two_machines_are_normalised_as_their_parts_are(tmp_path):
    base = side(tmp_path / "base", 1.0)
    new = side(tmp_path / "new", 2.0, cpu="A CPU made up by a test", sessions="t")
    for folder in (base, new):
        merged(tmp_path / f"all-{folder.name}", *sorted(folder.iterdir(), reverse=True))
    parts = said(base, new)
    assert parts == said(tmp_path / "all-base", tmp_path / "all-new")
    for config in parts[1]["comparisons"][0]["configs"]:
        assert config["calibration"]["predicted_ratio"] == pytest.approx(2.0)
        assert config["phases"][0]["normalized_ratio"] == pytest.approx(1.0, rel=0.1)


def test_what_differs_is_told_from_the_configs(tmp_path):
    few = ["dataset.train_samples=1000"]
    base = write_run(tmp_path / "a" / "a1", {"train": times(20.0)})
    new = write_run(tmp_path / "b" / "b1", {"train": times(20.0, OTHER_NOISE)}, settings=few)
    merged(tmp_path / "all-a", base)
    merged(tmp_path / "all-b", new)
    parts = said(base, new)
    assert parts == said(tmp_path / "all-a", tmp_path / "all-b")
    [config] = parts[1]["comparisons"][0]["configs"]
    assert "dataset.train_samples" in [d["field"] for d in config["differences"]]
    assert contents(tmp_path / "all-b")["configs/b1.yaml"] == (new / "config.yaml").read_bytes()


def test_a_merged_folder_and_a_run_folder_are_one_side_together(tmp_path):
    base = side(tmp_path / "base", 1.0)
    new = side(tmp_path / "new", 1.2, cpu="A CPU made up by a test", sessions="t")
    few, rest = tmp_path / "mixed", sorted(base.iterdir())[2:]
    merged(few / "all", *sorted(base.iterdir())[:2])
    merged(few / "more", *rest[:2])
    for run in rest[2:]:
        shutil.copytree(run, few / run.name)
    assert said(base, new) == said(few, new)


def test_a_resumed_training_keeps_the_rows_of_both_processes(tmp_path):
    base = write_run(tmp_path / "a", {"train": [20.0], "test": [1.0]})
    new = write_run(tmp_path / "b", {"train": [30.0], "test": [1.1]})
    [first, *_] = rows(new / "timings.csv")
    text = (new / "timings.csv").read_text()
    again = {**first, "status": "resumed", "seconds": "12.5", "start_utc": "2026-11-22T12:00:00Z"}
    write(new / "timings.csv", text + ",".join(again.values()) + "\n")
    add(new, "machine.csv", [MachineRow("b", "load_1min", "0.9")])
    add(new, "metrics.csv", [MetricRow("b", 1, "test_accuracy", 0.92, "1")])
    merged(tmp_path / "all", new)
    trains = [row for row in rows(tmp_path / "all" / "timings.csv") if row["phase"] == "train"]
    assert sorted(row["status"] for row in trains) == ["ok", "resumed"]
    assert said(base, new, "--fail-on", "none") == said(base, tmp_path / "all", "--fail-on", "none")
    before = contents(tmp_path / "all")
    merged(tmp_path / "all", new, tmp_path / "all")
    assert contents(tmp_path / "all") == before


def test_rows_that_only_compare_leaves_out_are_kept(tmp_path):
    base = write_run(tmp_path / "a", {"train": times(20.0)})
    new = write_run(tmp_path / "b", {"train": [0.0, *times(20.0)[1:]]})
    text = (new / "timings.csv").read_text()
    odd = text.splitlines()[3].replace(",ok,", ",okay,").replace(",3,1,", ",99,1,")
    write(new / "timings.csv", text + odd + "\n")
    merged(tmp_path / "all", new)
    _, parts = said(base, new)
    _, whole = said(base, tmp_path / "all")
    for content in (parts, whole):
        notes = content["comparisons"][0]["configs"][0]["notes"]
        assert any("1 row of an unknown status is left out" in note for note in notes)
        assert any("1 time of 0 s is left out" in note for note in notes)
    assert len(rows(tmp_path / "all" / "timings.csv")) == 11


# --- once, and in any order

CELLS = st.tuples(
    st.sampled_from(["r1", "r2", "run, 3"]),
    st.integers(1, 3),
    st.sampled_from(["train", "test", "a phase"]),
)


@st.composite
def tables(draw):
    """Draw rows by their keys, and files that hold some of them each."""
    keys = draw(st.lists(CELLS, min_size=1, max_size=8, unique=True))
    made = {
        key: draw(st.sampled_from([("20.5", "ok", ""), ("", "failed", 'a "tag",\nof two lines')]))
        for key in keys
    }
    some = st.lists(st.sampled_from(keys), min_size=1, max_size=6)  # of none, merge says so
    files = draw(st.lists(some, min_size=1, max_size=4))
    return made, [*files, keys]


def table_of(made, keys):
    listed = [
        TimingRow(
            run_id, "c", "", "mnist", "d1", "dense", "", "cpu", "", 1, 4, repeat, 7, phase,
            made[run_id, repeat, phase][0] or None, None, "", made[run_id, repeat, phase][1],
            made[run_id, repeat, phase][2], "anna", "é",
        )
        for run_id, repeat, phase in keys
    ]  # fmt: skip
    return to_csv(listed, TimingRow)


@pytest.mark.long
@settings(max_examples=10, deadline=None)
@given(tables(), st.randoms(use_true_random=False))
def test_any_order_and_any_nesting_give_the_same_bytes(drawn, chance):
    made, files = drawn
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = []
        for number, keys in enumerate(files):
            parts.append(folder / f"{number}.csv")
            write(parts[-1], table_of(made, keys))
        first, nested, last = folder / "first", folder / "nested", folder / "last.csv"
        merging.merge([str(part) for part in parts], first)
        shuffled = parts[:]
        chance.shuffle(shuffled)
        merging.merge([str(part) for part in shuffled[: len(shuffled) // 2 + 1]], nested)
        merging.merge([str(part) for part in (nested, *shuffled, first)], nested)
        merging.merge([str(part) for part in shuffled], last)
        assert contents(first) == contents(nested)
        assert last.read_bytes() == (first / "timings.csv").read_bytes()
        merging.merge([str(part) for part in shuffled[1:]], nested, as_parquet=True)
        merging.merge([str(part) for part in (*shuffled, nested)], nested)
        assert contents(first) == contents(nested)
        table = rows(first / "timings.csv")
        assert {(r["run_id"], int(r["repeat"]), r["phase"]) for r in table} == {*made}
        assert len(table) == len(made)
        for row in table:
            cells = row["seconds"], row["status"], row["tag"]
            assert cells == made[row["run_id"], int(row["repeat"]), row["phase"]]


def test_run_folders_in_any_order_give_the_same_bytes(tmp_path):
    parts = sorted(side(tmp_path / "parts", 1.0).iterdir())
    merged(tmp_path / "all", *parts)
    once = contents(tmp_path / "all")
    assert set(once) == {
        "timings.csv", "metrics.csv", "machine.csv", "calibration.csv",
        *(f"configs/{part.name}.yaml" for part in parts),
    }  # fmt: skip
    for seed in range(3):
        random.Random(seed).shuffle(parts)
        merged(tmp_path / str(seed), *parts[:3])
        merged(tmp_path / str(seed), *parts[2:], tmp_path / str(seed))
        assert contents(tmp_path / str(seed)) == once
    output = merged(tmp_path / "all", tmp_path / "all", *parts)
    assert contents(tmp_path / "all") == once
    assert f"timings.csv: {6 * 33} rows that are there twice are kept once, the first: " in output
    assert f"calibration.csv: {6 * 40} rows that are there twice are kept once" in output
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_equal_rows_are_counted_and_the_first_named(tmp_path):
    a = write_run(tmp_path / "a", {"train": times(20.0)})
    shutil.copytree(a, tmp_path / "copy")
    output = merged(tmp_path / "all", a, tmp_path / "copy")
    where = tmp_path / "copy" / "timings.csv"
    assert (
        "timings.csv: 10 rows that are there twice are kept once, the first: "
        f"{where}, row 2: run 'a', repeat 1, phase train\n" in output
    )
    assert output.startswith(f"{tmp_path / 'all'}: 1 run of 1 machine: timings.csv 10 rows, ")
    assert len(rows(tmp_path / "all" / "timings.csv")) == 10


def test_a_file_given_twice_is_read_once(tmp_path):
    a = write_run(tmp_path / "a", {"train": times(20.0)})
    output = merged(tmp_path / "all", a, a / "timings.csv", tmp_path / "a")
    assert f"2 files are given twice and read once: {a / 'timings.csv'}" in output
    assert "there twice are" not in output


def test_equal_samples_of_one_calibration_are_all_kept(tmp_path):
    a = write_run(tmp_path / "a", {"train": times(20.0)})
    same = [RateRow("a", "dispatch", 1, "before", 0.5, 2.0, "calls/s")] * 3
    write(a / "calibration.csv", to_csv(same, RateRow))
    write_run(tmp_path / "b", {"train": times(20.0)})
    before = write_run(tmp_path / "while-it-ran" / "a", {"train": times(20.0)})
    write(before / "calibration.csv", to_csv(same[:2], RateRow))
    merged(tmp_path / "all", before, a, tmp_path / "b")
    assert [row["rate"] for row in rows(tmp_path / "all" / "calibration.csv")] == ["2.0"] * 3


def test_columns_are_united_and_the_unknown_agrees_with_everything(tmp_path):
    a = write_run(tmp_path / "a", {"train": [20.0, 21.0]})
    table = rows(a / "timings.csv")
    text = io.StringIO()
    writer = csv.DictWriter(text, ["my note", *[n for n in table[0] if n != "cpu_seconds"]])
    writer.writeheader()
    writer.writerows(
        {n: c for n, c in {**row, "my note": "x", "seconds": row["seconds"] + "0"}.items()
         if n != "cpu_seconds"}
        for row in table[:1]
    )  # fmt: skip
    write(tmp_path / "noted.csv", text.getvalue())
    merged(tmp_path / "all", a, tmp_path / "noted.csv")
    kept = rows(tmp_path / "all" / "timings.csv")
    assert [(row["my note"], float(row["seconds"])) for row in kept] == [("x", 20.0), ("", 21.0)]
    before = contents(tmp_path / "all")
    merged(tmp_path / "all", tmp_path / "noted.csv", tmp_path / "all", a)
    assert contents(tmp_path / "all") == before


# --- what does not agree


def conflict(*given):
    code, output, error = merge(*given)
    assert (code, output) == (2, "")
    assert error.count("\n") == 1
    return error.strip()


def two_copies(tmp_path, table, old, new):
    """Write a run and its copy, in which one text of a table is another."""
    a = write_run(tmp_path / "a", {"train": [20.5, 21.5], "test": [1.0, 1.1]})
    calibrate(a)
    copy = tmp_path / "copy"
    shutil.copytree(a, copy)
    text = (a / table).read_bytes().decode()
    assert text.count(old) == 1
    write(copy / table, text.replace(old, new))
    return a, copy


@pytest.mark.parametrize(
    ("table", "old", "new", "line"),
    [
        (
            "timings.csv", ",train,21.5,", ",train,21.6,",
            "{a}/timings.csv: row 3: run 'a', repeat 2, phase train has the seconds '21.5', and "
            "'21.6' in {copy}/timings.csv, row 3; keep the right one",
        ),
        (
            "timings.csv", "1.1,,2026-11-22T10:02:00.000000Z,ok,,",
            "1.1,,2026-11-22T10:02:00.000000Z,ok,mine,",
            None,
        ),
        (
            "timings.csv", "1.1,,2026-11-22T10:02:00.000000Z,ok,",
            "1.1,,2026-11-22T10:02:00.000000Z,failed,",
            "{a}/timings.csv: row 5: run 'a', repeat 2, phase test has the status 'ok', and "
            "'failed' in {copy}/timings.csv, row 5; keep the right one",
        ),
        (
            "metrics.csv", "a,2,test_accuracy,0.91,1", "a,2,test_accuracy,0.92,1",
            "{a}/metrics.csv: row 3: run 'a', repeat 2, metric test_accuracy has the value '0.91', "
            "and '0.92' in {copy}/metrics.csv, row 3; keep the right one",
        ),
        (
            "machine.csv", "a,cpu_model,AMD EPYC", "a,cpu_model,Intel",
            "{a}/machine.csv: row 3: run 'a', attribute cpu_model has the value 'AMD EPYC', and "
            "'Intel' in {copy}/machine.csv, row 3; keep the right one",
        ),
        (
            "calibration.csv", "before,0.01,202400000000.0", "before,0.01,202400000001.0",
            "{a}/calibration.csv: the samples of run 'a' are others in {copy}/calibration.csv; "
            "keep the right ones",
        ),
        (
            "config.yaml", "batch_size: 4", "batch_size: 8",
            "{a}/config.yaml: the config of run 'a' is another in {copy}/config.yaml; keep the "
            "right one",
        ),
    ],
)  # fmt: skip
def test_two_values_of_one_row_are_refused_by_name(tmp_path, table, old, new, line):
    a, copy = two_copies(tmp_path, table, old, new)
    if line is None:  # only one of them knows it
        merged(tmp_path / "all", a, copy)
        assert [r["tag"] for r in rows(tmp_path / "all" / "timings.csv")] == ["", "", "", "mine"]
        return
    expected = f"mnistbench: {line.format(a=a, copy=copy)}"
    assert conflict(a, copy, "-o", tmp_path / "all") == expected
    assert conflict(copy, a, "-o", tmp_path / "all") == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "copy"]


def test_a_conflict_leaves_what_was_merged_before(tmp_path):
    a, copy = two_copies(tmp_path, "timings.csv", ",train,21.5,", ",train,21.6,")
    merged(tmp_path / "all", a)
    before = contents(tmp_path / "all")
    conflict(tmp_path / "all", copy, "-o", tmp_path / "all")
    assert contents(tmp_path / "all") == before
    merged(tmp_path / "one.csv", a)
    conflict(a, copy, "-o", tmp_path / "one.csv")
    assert (tmp_path / "one.csv").read_bytes() == before["timings.csv"]


# --- what is damaged


def test_torn_lines_are_counted_and_named(tmp_path):
    a = write_run(tmp_path / "a", {"train": times(20.0)})
    calibrate(a)
    for name in ("timings.csv", "metrics.csv", "machine.csv", "calibration.csv"):
        text = (a / name).read_text()
        write(a / name, text[: text.rstrip().rindex(",") - 40 if name == "timings.csv" else -4])
    write(a / "metrics.csv", (a / "metrics.csv").read_text().rpartition(",")[0])
    write(a / "machine.csv", (a / "machine.csv").read_text().rpartition(",")[0])
    write(a / "calibration.csv", (a / "calibration.csv").read_text().rpartition(",")[0])
    output = merged(tmp_path / "all", a)
    for name in ("timings.csv", "metrics.csv", "machine.csv", "calibration.csv"):
        assert f"{name}: 1 torn line is left out, the first: {a / name}, row " in output, name
    assert len(rows(tmp_path / "all" / "timings.csv")) == 9
    assert len(rows(tmp_path / "all" / "metrics.csv")) == 9
    base = write_run(tmp_path / "b", {"train": times(20.0, OTHER_NOISE)})
    (_, parts), (_, whole) = said(base, a), said(base, tmp_path / "all")
    for content in (parts, whole):  # the parts tell of the torn line once more
        content["comparisons"][0]["configs"][0].pop("notes")
    assert parts == whole


def test_what_a_spreadsheet_wrote_is_read_as_compare_reads_it(tmp_path):
    a = write_run(tmp_path / "a", {"train": times(20.0)}, cpu_seconds=1.5)
    table = rows(a / "timings.csv")
    text = ";".join(name.upper() for name in table[0]) + "\n"
    text += "".join(";".join(row.values()).replace(".", ",") + "\n" for row in table[:5])
    (tmp_path / "sheet.csv").write_bytes(b"\xff\xfe" + text.encode("utf-16-le"))
    # The times with a comma are those with a point; the dates were changed and are no times.
    plain = text.replace("00,000000Z", "00.000000Z")
    (tmp_path / "sheet.csv").write_bytes(b"\xff\xfe" + plain.encode("utf-16-le"))
    output = merged(tmp_path / "all", a, tmp_path / "sheet.csv")
    assert "timings.csv: 5 rows that are there twice are kept once" in output
    merged(tmp_path / "a.csv", a)
    assert (tmp_path / "all" / "timings.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()


def test_headers_that_come_again_are_no_rows(tmp_path):
    a = write_run(tmp_path / "a", {"train": times(20.0)})
    b = write_run(tmp_path / "b", {"train": times(30.0)})
    merged(tmp_path / "all", a, b)
    joined = tmp_path / "joined"
    shutil.copytree(tmp_path / "all" / "configs", joined / "configs")
    for name in ("timings.csv", "metrics.csv", "machine.csv"):
        write(joined / name, "".join((part / name).read_text() for part in (b, a)))
    merged(tmp_path / "again", joined)
    assert contents(tmp_path / "again") == contents(tmp_path / "all")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("cloudmesh.log", "# csv,timer,status,time\n# csv,train,ok,1.5\n",
         "is a cloudmesh log, whose lines do not say which run and repeat they are of; leave it "
         "out: mnistbench compare reads it as it is"),
        ("x.csv", "", "is empty"),
        ("x.csv", "run_id,config,repeat,phase,status\n", "the column seconds is missing"),
        ("x.csv", "run_id,config,repeat,phase,seconds,status\n", "holds no row"),
        ("x.csv", "run_id,config,repeat,phase,seconds,status\nr,c,1,train,\"1,5\",ok\n",
         "row 2: seconds '1,5' has a decimal comma, and commas separate the columns; write the "
         "times with a point, or separate the columns by ;"),
        ("x.csv", "run_id,config,repeat,phase,seconds,status\nr,c,1,train,1.5,ok\n"
         "run_id,repeat,config,phase,status,seconds\nr,1,c,test,ok,1.5\n",
         "row 3: a second header, of other columns, begins a second table; give the tables as "
         "two files"),
        ("x.parquet", "PAR1abc", "cannot be read as Parquet: "),
    ],
)  # fmt: skip
def test_what_cannot_be_merged_is_one_line(tmp_path, name, content, problem):
    a = write_run(tmp_path / "a", {"train": times(20.0)})
    write(tmp_path / name, content)
    given = [tmp_path / name] if problem == "holds no row" else [a, tmp_path / name]
    line = conflict(*given, "-o", tmp_path / "new" / "all")
    assert line.startswith(f"mnistbench: {tmp_path / name}: ")
    assert problem in line
    assert not (tmp_path / "new").exists()


# --- what is written


def test_sweeps_and_folders_of_runs_are_read(tmp_path):
    sweep = tmp_path / "results" / "a-sweep"
    for number in range(3):
        write_run(sweep / f"point{number}", {"train": times(20.0 + number)})
    write(sweep / "sweep.yaml", "points: 3\n")
    write(sweep / "points.csv", "point,state\n")
    shutil.copytree(sweep / "point0", sweep / ".partial-all")  # a merge was killed here
    write(sweep / ".partial-all" / "timings.csv", "run_id,repeat")
    write_run(tmp_path / "results" / "alone", {"train": times(20.0)})
    write_run(tmp_path / "results" / "no-sweep" / "old", {"train": times(20.0)})
    output = merged(tmp_path / "one", sweep)
    assert ": 3 runs of " in output
    assert "not merged, as their rows name no run: points.csv (1)" in output
    assert "4 runs" in merged(tmp_path / "all", tmp_path / "results")
    new = write_run(tmp_path / "new", {"train": times(20.0, OTHER_NOISE)})
    assert said(tmp_path / "results", new) == said(tmp_path / "all", new)


def test_a_file_holds_the_timings_alone_and_says_so(tmp_path):
    a = write_run(tmp_path / "a", {"train": times(20.0)})
    write(a / "history.csv", "epoch,loss\n1,0.5\n")
    output = merged(tmp_path / "new" / "all.csv", a)
    assert (
        "all.csv holds the timings alone; for metrics.csv, machine.csv, history.csv give a folder"
    ) in output
    assert len(rows(tmp_path / "new" / "all.csv")) == 10
    assert "not merged, as their rows name no run: history.csv (1)" in merged(tmp_path / "all", a)


def test_parquet_holds_what_csv_holds(tmp_path):
    import duckdb

    parts = side(tmp_path / "parts", 1.0)
    merged(tmp_path / "all", parts)
    code, _, error = merge(parts, "-o", tmp_path / "columns", "--parquet")
    assert (code, error) == (0, "")
    merged(tmp_path / "timings.parquet", parts)
    assert {path.name for path in (tmp_path / "columns").iterdir()} == {
        "timings.parquet", "metrics.parquet", "machine.parquet", "calibration.parquet", "configs",
    }  # fmt: skip
    columns = contents(tmp_path / "columns")
    assert (tmp_path / "timings.parquet").read_bytes() == columns["timings.parquet"]
    for name in ("timings", "metrics", "machine", "calibration"):
        table = duckdb.sql(f"FROM read_parquet('{tmp_path}/columns/{name}.parquet')")
        text = [
            {n: "" if c is None else str(c) for n, c in zip(table.columns, row, strict=True)}
            for row in table.fetchall()
        ]
        assert text == rows(tmp_path / "all" / f"{name}.csv")
    kinds = duckdb.sql(f"DESCRIBE FROM read_parquet('{tmp_path}/timings.parquet')").fetchall()
    types = {name: kind for name, kind, *_ in kinds}
    assert (types["seconds"], types["repeat"], types["phase"]) == ("DOUBLE", "BIGINT", "VARCHAR")
    merge(parts, "-o", tmp_path / "columns", "--parquet")
    assert contents(tmp_path / "columns") == columns
    merged(tmp_path / "back", tmp_path / "columns")
    merged(tmp_path / "both", parts, tmp_path / "columns", tmp_path / "timings.parquet")
    assert contents(tmp_path / "back") == contents(tmp_path / "both") == contents(tmp_path / "all")


def test_compare_reads_a_parquet_file_of_timings(tmp_path):
    base, new = (
        write_run(tmp_path / name, {"train": times(seconds)}).parent / name / "timings.csv"
        for name, seconds in (("a", 20.0), ("b", 30.0))
    )
    for run in (base, new):
        merged(tmp_path / f"{run.parent.name}.csv", run)
        merged(tmp_path / f"{run.parent.name}.parquet", run)
    code, content = said(tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert code == 3
    assert (code, content) == said(tmp_path / "a.csv", tmp_path / "b.csv")


def test_a_row_of_parquet_is_named_by_its_number(tmp_path):
    a, copy = two_copies(tmp_path, "timings.csv", ",train,21.5,", ",train,21.6,")
    merged(tmp_path / "a.parquet", a)
    assert conflict(copy, tmp_path / "a.parquet", "-o", tmp_path / "all") == (
        f"mnistbench: {tmp_path}/a.parquet: row 3: run 'a', repeat 2, phase train has the seconds "
        f"'21.5', and '21.6' in {copy}/timings.csv, row 3; keep the right one"
    )


def test_parquet_of_something_else_is_refused(tmp_path):
    import duckdb

    a = write_run(tmp_path / "a", {"train": times(20.0)})
    duckdb.sql("SELECT 1 AS x").write_parquet(str(tmp_path / "x.parquet"))
    expected = (
        f"mnistbench: {tmp_path / 'x.parquet'}: is neither a timings CSV nor a cloudmesh log; "
    )
    assert conflict(a, tmp_path / "x.parquet", "-o", tmp_path / "all").startswith(expected)
    code, _, error = compare(a, tmp_path / "x.parquet")
    assert (code, error.startswith(expected)) == (2, True)


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    import duckdb

    a = write_run(tmp_path / "a", {"train": times(20.0)})

    def full(*arguments):
        raise duckdb.IOException("IO Error: no space left\nand more")

    monkeypatch.setattr(merging, "_note", full)
    code, text, error = merge(a, "-o", tmp_path / "all")
    expected = f"mnistbench: {tmp_path / 'all'}: cannot be written: IO Error: no space left\n"
    assert (code, text, error) == (2, "", expected)
    assert not (tmp_path / "all").exists()


@pytest.mark.parametrize(
    ("output", "options", "problem"),
    [
        ("a", (), "is no merged folder: it holds config.yaml; give a new one"),
        ("others", (), "is no merged folder: it holds notes.txt; give a new one"),
        ("tables", (), "is no merged folder: it holds timings.csv; give a new one"),
        ("a/timings.csv", (), "lies in the folder of a run; give another one"),
        ("others/notes.txt", (), "is a file; give a folder, or for the timings alone a name that"),
        ("folder.csv", (), "is a folder; give a file another name"),
        ("x.csv", ("--parquet",), "--parquet is for a folder, and "),
    ],
)
def test_nothing_that_merge_has_not_written_is_replaced(tmp_path, output, options, problem):
    a = write_run(tmp_path / "a", {"train": times(20.0)})
    for name in ("others", "tables", "folder.csv"):
        (tmp_path / name).mkdir()
    write(tmp_path / "others" / "notes.txt", "mine")
    shutil.copy(a / "timings.csv", tmp_path / "tables")
    before = contents(tmp_path)
    assert problem in conflict(a, "-o", tmp_path / output, *options)
    assert contents(tmp_path) == before


def test_an_empty_folder_and_a_merged_one_are_written_to(tmp_path):
    a = write_run(tmp_path / "a", {"train": times(20.0)})
    b = write_run(tmp_path / "b", {"train": times(20.0)})
    (tmp_path / "all").mkdir()
    merged(tmp_path / "all", a)
    merged(tmp_path / "all", b)
    assert {row["run_id"] for row in rows(tmp_path / "all" / "timings.csv")} == {"b"}
    assert [path.name for path in (tmp_path / "all" / "configs").iterdir()] == ["b.yaml"]


@pytest.mark.parametrize("output", ["new/all", "new/all.csv", "new/all.parquet", "there"])
def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch, output):
    a = write_run(tmp_path / "a", {"train": times(20.0)})
    merged(tmp_path / "there", a)
    before = contents(tmp_path)
    monkeypatch.setattr(
        merging, "_note", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    code, text, error = merge(a, "-o", tmp_path / output)
    assert (code, text, error.strip()) == (130, "", "mnistbench: interrupted")
    assert contents(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "there"]


def test_an_id_that_is_no_name_of_a_file_keeps_its_config(tmp_path):
    a = write_run(tmp_path / "folder", {"train": times(20.0)}, run_id="lab/1: ä")
    merged(tmp_path / "all", a)
    [config] = (tmp_path / "all" / "configs").iterdir()
    assert config.read_bytes() == (a / "config.yaml").read_bytes()
    merged(tmp_path / "again", tmp_path / "all")
    assert contents(tmp_path / "again") == contents(tmp_path / "all")
    new = write_run(tmp_path / "new", {"train": times(20.0, OTHER_NOISE)})
    assert said(a, new) == said(tmp_path / "all", new)


def test_no_framework_is_imported(tmp_path):
    write_run(tmp_path / "a", {"train": times(20.0)})
    script = (
        "import sys\n"
        "from mnistbench.cli import main\n"
        "sys.argv = ['mnistbench', 'merge', 'a', '-o', 'all']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print([n for n in ('tensorflow', 'keras', 'jax', 'scipy') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.splitlines()[-1] == "[]"


ODD_CELLS = (
    "=cmd|' /C calc'!A0",
    "'=1+1",
    "a,b",
    'say "yes"',
    "two\nlines",
    "-1.5",
    "\x1f\x02",
    "'",
)


def test_a_cell_that_a_spreadsheet_would_run_stays_defused(tmp_path):
    """And whatever else a tag may hold comes out of CSV and Parquet as it went in."""
    for number, tag in enumerate(ODD_CELLS):
        write_run(tmp_path / f"run-{number}", {"train": times(1.0, NOISE)}, tag=tag)
    given = [tmp_path / f"run-{number}" for number in range(len(ODD_CELLS))]
    merged(tmp_path / "csv", *given)
    merged(tmp_path / "parquet", *given, "--parquet")
    merged(tmp_path / "back", tmp_path / "parquet")
    assert contents(tmp_path / "back") == contents(tmp_path / "csv")
    written = {row["tag"] for row in rows(tmp_path / "csv" / "timings.csv")}
    assert "'=cmd|' /C calc'!A0" in written
    assert not any(cell.startswith("=") for cell in written)
    import duckdb

    with duckdb.connect() as database:
        found = database.execute(f"SELECT DISTINCT tag FROM '{tmp_path}/parquet/timings.parquet'")
        assert {tag for (tag,) in found.fetchall()} == set(ODD_CELLS)


def test_a_line_that_ends_before_its_repeat_stays_a_line(tmp_path):
    """With the column last, such a line is not torn: it says no number."""
    folder = write_run(tmp_path / "run", {"train": times(1.0, NOISE)})
    (folder / "metrics.csv").unlink()
    listed = rows(folder / "timings.csv")
    names = [name for name in listed[0] if name != "repeat"] + ["repeat"]
    lines = [",".join(row[name] for name in names) for row in listed]
    lines[0] = lines[0].rpartition(",")[0]
    (tmp_path / "last.csv").write_text("\n".join([",".join(names), *lines]) + "\n")
    merged(tmp_path / "merged.csv", tmp_path / "last.csv")
    written = rows(tmp_path / "merged.csv")
    assert len(written) == len(listed)
    assert {row["run_id"] for row in written} == {"run"}
    assert sum(row["repeat"] == "" for row in written) == 1


@pytest.mark.parametrize("name", ["x[1]", "x?", "x*", "epochs=77", "it's", os.fsdecode(b"x\xff")])
def test_a_folder_may_be_called_anything(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To DuckDB some names are patterns, columns, or no text."""
    odd, beside = tmp_path / name, tmp_path / "x1"
    try:
        odd.mkdir()
    except OSError as why:
        pytest.skip(f"this system has no such name: {why}")
    for place, seconds in ((odd, 3.0), (beside, 5.0)):
        write_run(place / f"run-{seconds:.0f}", {"train": times(seconds)})
        merged(place / "all.parquet", place / f"run-{seconds:.0f}")
        merged(place / "all.csv", place / f"run-{seconds:.0f}")
    for file in (odd / "all.parquet", odd / "all.csv"):
        merged(tmp_path / "again.csv", file)
        assert {row["run_id"] for row in rows(tmp_path / "again.csv")} == {"run-3"}
        assert {row["epochs"] for row in rows(tmp_path / "again.csv")} != {"77"}
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    merged(tmp_path / "both.parquet", odd / "run-3", beside / "run-5")
    assert compare(odd / "run-3", beside / "all.parquet")[0] == 3


@pytest.mark.parametrize(
    "name", ["_shared", "_number", "_problem", "_more", "_run", "_attempt", "rowid", "problem"]
)
def test_a_column_that_others_add_may_be_called_anything(name: str, tmp_path: Path) -> None:
    """Merging has columns of its own, and DuckDB has some."""
    run = write_run(tmp_path / "run", {"train": times(3.0)})
    lines = (run / "timings.csv").read_text().splitlines()
    added = [f"{lines[0]},{name}", *(f"{line},=v{place}" for place, line in enumerate(lines[1:]))]
    write(tmp_path / "odd.csv", "\n".join(added) + "\n")
    merged(tmp_path / "all.csv", tmp_path / "odd.csv")
    assert [row[name] for row in rows(tmp_path / "all.csv")] == [
        f"'=v{place}" for place in range(len(lines) - 1)
    ]
    assert compare(tmp_path / "odd.csv", write_run(tmp_path / "new", {"train": times(6.0)}))[0] == 3


def test_columns_may_be_called_as_the_phases_are(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"train": times(3.0)})
    header, *lines = (run / "timings.csv").read_text().splitlines()
    wide = [",".join([header, *PHASES]), *(line + "," * len(PHASES) for line in lines)]
    write(tmp_path / "odd.csv", "\n".join(wide) + "\n")
    merged(tmp_path / "all.csv", tmp_path / "odd.csv")
    assert len(rows(tmp_path / "all.csv")) == len(lines)
    assert compare(tmp_path / "odd.csv", write_run(tmp_path / "new", {"train": times(6.0)}))[0] == 3
