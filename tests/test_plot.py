"""`mnistbench plot`: one number in a terminal, in a pipe, and in a file."""

from __future__ import annotations

import re

import pytest
from conftest import failure_line, in_a_terminal, run_here
from hand_written_runs import MACHINE, OTHER_NOISE, times, write_run

BERT = {**MACHINE, "node": "bert"}
ESCAPE = "\x1b"


def plot(*arguments, columns="", **environment):
    return run_here("plot", *map(str, arguments), env={"COLUMNS": columns, **environment})


def drawing(output):
    """Return the lines of a drawing, without the numbers below it."""
    return [line for line in output.splitlines() if ", n = " not in line]


def dots(output):
    return sum(line.count("•") for line in drawing(output))


@pytest.fixture
def two_machines(tmp_path):
    memory = {"peak_rss_bytes": ([2.5e9 + n * 1e7 for n in range(10)], "bytes")}
    anna = write_run(tmp_path / "anna", {"train": times(10)}, metrics=memory)
    bert = write_run(
        tmp_path / "bert", {"train": times(20, OTHER_NOISE)}, machine=BERT, metrics=memory
    )
    return anna, bert


def test_every_repeat_is_a_dot_over_its_box(two_machines):
    done = plot("train", *two_machines, columns="90")
    assert (done.returncode, done.stderr) == (0, "")
    assert ESCAPE not in done.stdout
    lines = drawing(done.stdout)
    assert max(map(len, lines)) == 90
    assert "Every repeat, train" in lines[0]
    assert any("Seconds of train" in line for line in lines)
    assert [line[:5] for line in lines if line.startswith(("anna", "bert"))] == ["anna┤", "bert┤"]
    # Some of the ten may lie behind others; a median each, in a box each.
    assert 8 <= dots(done.stdout) <= 20
    assert sum(line.count("┃") for line in lines) == 2
    assert done.stdout.splitlines()[-2:] == [
        "anna: median 9.990 s, 9.760 s to 10.290 s, n = 10",
        "bert: median 20.030 s, 19.460 s to 20.440 s, n = 10",
    ]


def test_a_metric_has_its_unit(two_machines):
    done = plot("peak_rss_bytes", *two_machines, columns="80")
    assert "peak_rss_bytes (GB)" in done.stdout
    assert "anna: median 2.545 GB, 2.500 GB to 2.590 GB, n = 10" in done.stdout
    done = plot("test_accuracy", two_machines[0], columns="80")
    assert "91.00 %" in done.stdout


@pytest.mark.parametrize("columns", ["30", "44", "120"])
def test_it_fits(two_machines, columns):
    done = plot("train", *two_machines, columns=columns)
    assert done.returncode == 0
    assert max(map(len, drawing(done.stdout))) == int(columns)


def test_where_nothing_can_be_drawn_the_numbers_stand_alone(two_machines):
    done = plot("train", *two_machines, columns="20")
    assert (done.returncode, drawing(done.stdout)) == (0, [])
    assert len(done.stdout.splitlines()) == 2


def test_letters_that_the_output_lacks_are_others(two_machines, monkeypatch):
    import io
    import sys

    from mnistbench.cli import main

    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "argv", ["mnistbench", "plot", "train", *map(str, two_machines)])
    monkeypatch.setattr(sys, "stdout", output)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    output.flush()
    text = output.buffer.getvalue().decode()
    assert "\\u" not in text
    assert "o" in text.splitlines()[2]


def test_a_terminal_has_colours_and_a_width(two_machines):
    told = in_a_terminal(70, "plot", "train", *map(str, two_machines))
    assert ESCAPE in told
    lines = drawing(re.sub(r"\x1b\[[0-9;]*m", "", told))
    assert max(map(len, lines)) <= 70
    assert 8 <= dots("\n".join(lines)) <= 20


@pytest.mark.parametrize(
    ("ending", "head"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("PDF", b"%PDF")]
)
def test_it_is_a_file_as_its_name_ends(two_machines, tmp_path, ending, head):
    picture = tmp_path / f"out.{ending}"
    done = plot("train", *two_machines, "-o", picture)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{picture}\n", "")
    assert picture.read_bytes().startswith(head)


def test_one_value_and_equal_ones(tmp_path):
    one = write_run(tmp_path / "one", {"train": [12.5]})
    done = plot("train", one, columns="60")
    assert done.returncode == 0
    assert dots(done.stdout) == 1
    assert done.stdout.splitlines()[-1] == "mnist-dense: 12.500 s, n = 1"
    same = write_run(tmp_path / "same", {"train": [3.0] * 5})
    done = plot("train", same, columns="60")
    assert dots(done.stdout) == 1
    assert done.stdout.splitlines()[-1] == "mnist-dense: median 3.000 s, 3.000 s to 3.000 s, n = 5"


def test_machines_of_one_result_are_apart_and_a_crowd_is_one_box(tmp_path):
    for number in range(13):
        node = {**MACHINE, "node": f"node{number:02d}"}
        write_run(tmp_path / "a" / f"r{number}", {"train": [10.0 + number] * 3}, machine=node)
        write_run(
            tmp_path / "b" / f"s{number}", {"train": [20.0 + number] * 3},
            machine={"node": f"node{number % 2}"},
        )  # fmt: skip
    done = plot("train", tmp_path / "a", columns="80")
    assert "Median train of each machine" in done.stdout
    assert done.stdout.splitlines()[-1] == (
        "mnist-dense, 13 machines: median 16.000 s, 10.000 s to 22.000 s, n = 13"
    )
    done = plot("train", tmp_path / "a", tmp_path / "b", columns="80")
    assert [line.partition(":")[0] for line in done.stdout.splitlines()[-3:]] == [
        "a, 13 machines", "b, node0", "b, node1",
    ]  # fmt: skip


def test_settings_of_one_config_are_apart(tmp_path):
    for number, size in enumerate((4, 32)):
        settings = [f"training.batch_size={size}"]
        write_run(tmp_path / "r" / str(size), {"train": times(10 + number)}, settings=settings)
    done = plot("train", tmp_path / "r", columns="80")
    *_, first, second = done.stdout.splitlines()
    assert re.match(r"mnist-dense [0-9a-f]{8}: median ", first)
    assert re.match(r"mnist-dense [0-9a-f]{8}: median ", second)
    assert first != second


def test_a_name_that_is_no_text_obeys_nothing(tmp_path):
    node = f"{ESCAPE}[31mred\nend"
    run = write_run(tmp_path / "run", {"train": times(1)}, machine={"node": node})
    other = write_run(tmp_path / "other", {"train": times(1)}, machine=BERT)
    done = plot("train", run, other, columns="80")
    assert done.returncode == 0
    assert ESCAPE not in done.stdout
    assert "\\x1b[31mred\\nend: median" in done.stdout


def test_what_was_not_used_is_told(tmp_path):
    run = write_run(tmp_path / "run", {"train": times(1)})
    table = run / "timings.csv"
    table.write_text(table.read_text().replace("1.012", "1,012"))
    done = plot("train", run, columns="80")
    assert done.returncode == 0
    assert done.stderr.startswith("mnistbench: ")
    assert "n = 9" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian", "{run}"], "METRIC: no metric or phase 'trian'; did you mean train?"),
        (["peak_rss_byte", "{run}"], "did you mean peak_rss_bytes?"),
        (["train_seconds", "{run}"], "did you mean train?"),
        (["build", "{run}"], "{run}: no finished repeat has a value of build; there are"),
        (["peak_rss_bytes", "{run}"], "{run}: no finished repeat has a value of peak_rss_bytes"),
        (["xla", "{run}"], "{run}: xla is no number: 'yes'"),
        (["train", "{empty}"], "holds no time of a finished repeat"),
        (["train", "nowhere"], "nowhere: no such file or folder"),
        (["train", "{run}", "-o", "x.gif"], "-o x.gif: the name ends in none of .png, .svg, .pdf"),
        (["train", "{run}", "-o", "{run}/no/x/timings.csv/a.png"], "cannot be written"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, arguments, words):
    run = write_run(tmp_path / "run", {"train": times(1)}, metrics={"xla": (["yes"] * 10, "")})
    empty = write_run(tmp_path / "empty", {"train": [None]})
    (run / "no" / "x").mkdir(parents=True)
    (run / "no" / "x" / "timings.csv").write_text("a file, not a folder")
    names = {"run": run, "empty": empty}
    done = plot(*(word.format(**names) for word in arguments))
    assert done.returncode == 2
    assert words.format(**names) in failure_line(done)
