"""What `mnistbench compare` reads: torn, joined and foreign files, and all cloudmesh dialects."""

from __future__ import annotations

import csv
import io

import pytest
from hand_written_runs import NOISE, OTHER_NOISE, compare, times, verdicts, write, write_run


def test_a_torn_last_line_is_left_out_and_told(tmp_path):
    base = write_run(tmp_path / "a", {"train": times(20.0)})
    new = write_run(tmp_path / "b", {"train": times(30.0)})
    text = (new / "timings.csv").read_text()
    write(new / "timings.csv", text[: text.rindex(",29.") + 3])
    for name in ("metrics.csv", "machine.csv"):
        write(new / name, (new / name).read_text()[:-3])
    code, output, error = compare(base, new)
    assert (code, error) == (3, "")
    assert "10, 9" in output
    assert "1 torn line is left out, the first: " in output
    assert f"{new / 'timings.csv'}, row 11: 'b'" in output.replace("\n", "")


def test_concatenated_files_are_read_as_one(tmp_path):
    base = write_run(tmp_path / "a", {"train": times(20.0)})
    again = write_run(tmp_path / "b", {"train": times(20.0, OTHER_NOISE)})
    new = write_run(tmp_path / "c", {"train": times(30.0)})
    joined = "".join((folder / "timings.csv").read_text() for folder in (base, again))
    write(tmp_path / "joined.csv", joined)
    code, _, rows = verdicts(tmp_path / "joined.csv", new)
    assert (code, rows[0]["n_base"], rows[0]["n_new"]) == (3, "20", "10")


def test_columns_in_another_order_are_read_by_name(tmp_path):
    base = write_run(tmp_path / "a", {"train": times(20.0)}, session="s")
    new = write_run(tmp_path / "b", {"train": times(30.0, OTHER_NOISE)}, session="s")
    rows = list(csv.DictReader(io.StringIO((new / "timings.csv").read_text())))
    text = io.StringIO()
    writer = csv.DictWriter(text, ["added", *reversed(rows[0])])
    writer.writeheader()
    writer.writerows({**row, "added": 'a "b", c'} for row in rows)
    write(new / "timings.csv", text.getvalue())
    code, found, _ = verdicts(base, new)
    assert (code, found) == (3, {"train": "slower"})


# Seed 002's own lines, as its notebook printed them: the header lacks a comma.
SEED_002 = """\
timer,time,starttag,node,user,system,mac_version,win_version
data-load,1.335,None,('8281485b0a16',),,Linux,,
compile,0.047,None,('8281485b0a16',),,Linux,,
train,20.58,None,('8281485b0a16',),,Linux,,
test,1.393,None,('8281485b0a16',),,Linux,,
"""


def seed_002_log(factor=1.0, noise=NOISE):
    """Return a log of ten such notebooks."""
    blocks = []
    for percent in noise:
        share = factor * (1 + percent / 100)
        block = SEED_002.replace("20.58", f"{20.58 * share:.3f}")
        blocks.append(block.replace("1.393", f"{1.393 * share:.3f}"))
    return "some output\n\n".join(f"{block}\n" for block in blocks)


def early_2021_log(factor=1.0, noise=NOISE):
    lines = ["# csv,timer,status,time,sum,start,tag,uname.node,user,uname.system,platform.version"]
    for percent in noise:
        seconds = f"{20.58 * factor * (1 + percent / 100):.3f}"
        lines.append(
            f"# csv,train,failed,{seconds},{seconds},2021-02-01 10:00:00,,nb,me,Linux,#1 SMP"
        )
    return "\n".join(lines)


def current_log(factor=1.0, noise=NOISE):
    lines = [
        "Epoch 1/1",
        "# csv,timer,status,time,sum,start,tag,msg,uname.node,user,uname.system,platform.version",
    ]
    for percent in noise:
        seconds = f"{20.58 * factor * (1 + percent / 100):.3f}"
        lines.append(
            f"# csv,train,ok,{seconds},{seconds},2022-02-01 10:00:00,,None,nb,me,Windows,"
            "10.0, build, 19041"
        )
    return "\n".join([*lines, "# cloudmesh status=running progress=40 pid=1 msg=x"])


@pytest.mark.parametrize("log", [seed_002_log, early_2021_log, current_log])
def test_every_dialect_of_cloudmesh(tmp_path, log):
    write(tmp_path / "base.log", log())
    write(tmp_path / "new.log", log(1.4, OTHER_NOISE))
    code, found, rows = verdicts(tmp_path / "base.log", tmp_path / "new.log")
    assert code == 3
    assert found["train"] == "slower"
    assert rows[0]["n_base"] == "10"
    assert float(rows[0]["base_median_seconds"]) == pytest.approx(20.58, rel=0.01)


def test_seed_002_as_it_stands(tmp_path):
    write(tmp_path / "seed.txt", SEED_002)
    write(tmp_path / "new.log", current_log())
    code, _, rows = verdicts(tmp_path / "seed.txt", tmp_path / "new.log")
    assert code == 4
    assert (rows[0]["phase"], rows[0]["base_median_seconds"]) == ("train", "20.58")
    assert verdicts(tmp_path / "seed.txt", tmp_path / "new.log", "--phase", "all")[1] == {
        "train": "inconclusive"
    }


def test_a_log_against_a_run_folder(tmp_path):
    write(tmp_path / "old.log", current_log())
    new = write_run(tmp_path / "new", {"train": times(10.0, OTHER_NOISE)}, machine={"node": "nb"})
    code, found, _ = verdicts(tmp_path / "old.log", new)
    assert (code, found) == (0, {"train": "faster"})
    _, output, _ = compare(tmp_path / "old.log", new)
    assert "old.log does not tell what data it was measured on" in " ".join(output.split())


def test_our_own_log_tells_config_and_data_in_full_precision(tmp_path):
    header = current_log().splitlines()[1] + ",run_id,config,config_digest,data_digest,seconds"
    for side, digest in (("base", "c1"), ("new", "c2")):
        noise = NOISE if side == "base" else OTHER_NOISE
        rows = [
            f"# csv,train,ok,0.001,0.001,2022,,None,nb,me,Linux,#1 SMP, x,{side},mnist-dense,"
            f"{digest},d1,{0.00101 * (1 + percent / 100)!r}"
            for percent in noise
        ]
        write(tmp_path / f"{side}.log", "\n".join([header, *rows]))
    _, output, _ = compare(tmp_path / "base.log", tmp_path / "new.log")
    assert "differs in config: config_digest c1 -> c2" in output
    assert "does not tell what data" not in output
    _, _, rows = verdicts(tmp_path / "base.log", tmp_path / "new.log")
    assert float(rows[0]["base_median_seconds"]) == pytest.approx(0.00101, rel=0.01)


def test_torn_log_lines_are_left_out_and_told(tmp_path):
    write(tmp_path / "base.log", current_log() + "\n# csv,train,ok,20.1")
    write(tmp_path / "new.log", current_log(1.0, OTHER_NOISE))
    _, output, _ = compare(tmp_path / "base.log", tmp_path / "new.log")
    assert "1 torn line is left out" in output
    assert "row 14: '# csv,train,ok,20.1'" in " ".join(output.split())


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("empty.csv", b"", "is empty"),
        ("notes.txt", b"hello\nworld\n", "is neither a timings CSV nor a cloudmesh log"),
        ("picture.csv", b"\x89PNG\xff\xfe\x00", "is not text"),
        ("short.csv", b"run_id,config,repeat,phase,status\n", "the column seconds is missing"),
        ("bare.csv", b"run_id,config,repeat,phase,seconds,status\n", "holds no time"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_the_file(tmp_path, name, content, problem):
    (tmp_path / name).write_bytes(content)
    base = write_run(tmp_path / "a", {"train": times(20.0)})
    code, output, error = compare(base, tmp_path / name)
    assert (code, output) == (2, "")
    assert error.count("\n") == 1
    assert name in error
    assert problem in error


def test_wrong_arguments_are_one_line(tmp_path):
    base = write_run(tmp_path / "a", {"train": times(20.0)})
    new = write_run(tmp_path / "b", {"train": times(20.0)})
    assert "no such file or folder" in compare(base, tmp_path / "missing*")[2]
    assert "is part of BASE too" in compare(base, base)[2]
    assert "the files have train; did you mean train?" in compare(base, new, "--phase", "trian")[2]
    assert "is not a share" in compare(base, new, "--margin", "5")[2]
    assert "is none of slower" in compare(base, new, "--fail-on", "sloower")[2]
    for wrong in (("--margin", "x"), ("--phase", "trian"), ("--fail-on", "x")):
        assert compare(base, new, *wrong)[0] == 2


def test_a_glob_with_brackets_is_printed_as_given(tmp_path):
    for name, noise in (("a1", NOISE), ("b1", OTHER_NOISE)):
        write_run(tmp_path / name, {"train": times(20.0, noise)})
    _, output, _ = compare(tmp_path / "a[0-9]", tmp_path / "b[0-9]")
    assert "a[0-9]" in output.replace("\n", "")
