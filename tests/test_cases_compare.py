"""What `compare` makes of files that people and programs have had their hands on.

The real files lie beside the repository, in `../shared/cases`; where they do not, the same kinds
are made here.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from pathlib import Path

import pytest
from conftest import in_a_terminal
from hand_written_runs import NOISE, OTHER_NOISE, compare, times, verdicts, write, write_run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnistbench.results.cloudmesh_log import read_log

CASES = Path(__file__).parents[2] / "shared" / "cases"


def case(number: str) -> Path:
    folders = sorted(CASES.glob(f"{number}-*"))
    if not folders:
        pytest.skip("the files of ../shared/cases are not beside this checkout")
    return folders[0]


def flat(text: str) -> str:
    return " ".join(text.split())


def counts(*arguments: object) -> list[tuple[str, str]]:
    return [(row["n_base"], row["n_new"]) for row in verdicts(*arguments)[2]]


# --- the cases as they are


def test_case_03_a_log_of_two_machines():
    folder = case("03")
    _, output, _ = compare(folder / "log_base.log", folder / "log_two_machines.md")
    assert "696" not in output
    assert "holds 2 machines, desk, pi4" in flat(output)
    rows = verdicts(folder / "log_base.log", folder / "log_two_machines.md")[2]
    assert (rows[0]["unit"], rows[0]["n_new"]) == ("machine", "2")


def test_case_04_a_tag_with_commas():
    folder = case("04")
    base = folder / "log_tagcomma_base.log"
    assert "different machines" in compare(base, folder / "log_tagcomma2.log")[1]
    assert "different machines" not in compare(base, folder / "log_tagcomma.log")[1]


def test_case_06_decimal_commas():
    folder = case("06")
    code, output, error = compare(folder / "base.csv", folder / "partcomma.csv")
    assert (code, output) == (2, "")
    assert "partcomma.csv: row 31: seconds '1,493963623' has a decimal comma" in error


@pytest.mark.parametrize(("name", "value"), [("neg.csv", "-1.5"), ("nan.csv", "nan")])
def test_case_07_times_that_are_none(name, value):
    folder = case("07")
    _, output, _ = compare(folder / "base.csv", folder / name)
    expected = f"{name}: 1 time that is no number above 0 is left out, the first: "
    assert expected in flat(output)
    assert f"row 15: '{value}'" in flat(output)


def test_case_08_times_of_zero():
    folder = case("08")
    for base, new in (("log_base.log", "log_zero.log"), ("base.csv", "zero.csv")):
        code, output, _ = compare(folder / base, folder / new, "--force")
        assert code == 5
        assert "- train: a time of 0 s cannot be compared" in output
        assert "--force" not in output
        code, output, _ = compare(folder / new, folder / base)
        assert (code, "--force" in output) == (5, False)


def test_case_09_counted_once_and_told():
    folder = case("09")
    base = folder / "base.csv"
    for name, told in (("doubled.csv", 10), ("doubled_hdr.csv", 10), ("conflict.csv", 2)):
        assert counts(base, folder / name) == [("5", "5")] * 2
        _, output, _ = compare(base, folder / name)
        assert f"{name}: {told} rows that are there twice are counted once" in flat(output)
    assert counts(folder / "fa", folder / "fb") == [("6", "6")] * 2
    _, output, _ = compare(folder / "fa", folder / "fb")
    assert "1.07x faster to 1.38x slower" in output
    assert "24 rows that are there twice are counted once" in flat(output)


def test_case_10_figures_that_belong_together():
    folder = case("10")
    arguments = folder / "base.csv", folder / "one-core.csv", "--phase", "train"
    _, output, _ = compare(*arguments)
    base, new = map(float, re.findall(r"(\d\.\d{3}) s", output)[:2])
    assert "1.05x faster" in output
    assert base / new == pytest.approx(1.05, abs=0.005)
    [row] = verdicts(*arguments)[2]
    typical = float(row["new_typical_seconds"]) / float(row["base_typical_seconds"])
    assert typical == pytest.approx(float(row["ratio"]), rel=1e-12)


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize("width", [20, 40, 80, 120, 200])
def test_case_11_the_verdict_is_whole(width):
    folder = case("11")
    output = in_terminal(width, folder / "base.csv", folder / "new.csv")
    assert "..." not in output
    assert "…" not in output
    assert output.count("inconclusive") == 2
    if width >= 40:
        assert "mnist-dense" in output
        assert max(map(len, output.splitlines())) <= width


@pytest.mark.parametrize(
    "name", ["semi.csv", "semi_dot.csv", "sep.csv", "tab.csv", "tab16.txt", "upper.csv"]
)
def test_case_16_what_spreadsheets_write_is_read(name):
    folder = case("16")
    base = folder / "base.csv"
    [train, test] = verdicts(base, folder / name)[2]
    assert train["new_median_seconds"] == "1.65327498"
    assert (train["n_new"], test["n_new"]) == ("5", "5")
    assert "left out" not in compare(base, folder / name)[1]


def test_case_16_decimal_commas_beside_commas_are_refused():
    folder = case("16")
    code, _, error = compare(folder / "base.csv", folder / "commadec.csv")
    assert code == 2
    assert "commadec.csv: row 7: seconds '1,953071465' has a decimal comma" in error


def test_case_22_a_misspelt_phase():
    folder = case("22")
    code, _, error = compare(folder / "base.csv", folder / "new.csv", "--phase", "trian")
    assert code == 2
    assert "--phase: no 'trian'" in error
    assert "the files have import, data-load, preprocess, build, compile, train, test" in error
    assert "did you mean train?" in error


def in_terminal(width: int, *arguments: object) -> str:
    """Return what `compare` writes to a terminal of that width, without its colours."""
    told = in_a_terminal(width, "compare", *map(str, arguments))
    return re.sub(r"\x1b\[[0-9;]*m", "", told)


# --- other inputs of the same kinds


@pytest.fixture
def pair(tmp_path):
    """Two runs; the second one's rows as a list, and a function that writes them as a file."""
    base = write_run(tmp_path / "base", {"train": times(20.0)})
    new = write_run(tmp_path / "new", {"train": times(30.0, OTHER_NOISE)})
    table = list(csv.reader(io.StringIO((new / "timings.csv").read_text())))

    def file(rows=table, *, separator=",", encoding="utf-8", before="", name="new.csv"):
        text = io.StringIO(newline="")
        text.write(before)
        csv.writer(text, delimiter=separator, lineterminator="\r\n").writerows(rows)
        (tmp_path / name).write_bytes(text.getvalue().encode(encoding))
        return tmp_path / name

    return base, table, file


def changed(table, row, **cells):
    """Return the table with cells of one row (from 1, the header) replaced."""
    copy = [list(each) for each in table]
    for name, value in cells.items():
        copy[row - 1][table[0].index(name)] = value
    return copy


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("line", ["", "sep={}\r\n", '"sep={}"\r\n'])
def test_every_spreadsheet_form_gives_the_same(pair, separator, encoding, line):
    base, table, file = pair
    expected = verdicts(base, file())[2][0]["ratio"]
    spread = file(separator=separator, encoding=encoding, before=line.format(separator))
    assert verdicts(base, spread)[2][0]["ratio"] == expected
    upper = [[name.upper() for name in table[0]], *table[1:]]
    spread = file(upper, separator=separator, encoding=encoding, before=line.format(separator))
    assert verdicts(base, spread)[2][0]["ratio"] == expected


def test_decimal_commas_are_read_where_all_are(pair):
    base, table, file = pair
    place = table[0].index("seconds")
    commas = [[c.replace(".", ",") if i == place else c for i, c in enumerate(r)] for r in table]
    expected = verdicts(base, file())[2][0]["ratio"]
    assert verdicts(base, file(commas, separator=";"))[2][0]["ratio"] == expected
    mixed = changed(commas, 4, seconds="30.5")
    code, _, error = compare(base, file(mixed, separator=";"))
    assert code == 2
    assert "new.csv: row 2: '29,88' has a decimal comma and '30.5' in row 4 a point" in error


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"seconds": "nan"}, "1 time that is no number above 0 is left out"),
        ({"seconds": "inf"}, "1 time that is no number above 0 is left out"),
        ({"seconds": "-0.5"}, "1 time that is no number above 0 is left out"),
        ({"seconds": ""}, "1 time that is no number above 0 is left out"),
        ({"seconds": "30 s"}, "1 time that is no number above 0 is left out"),
        ({"seconds": "0.0"}, "1 time of 0 s is left out"),
        ({"repeat": "²"}, "1 row without a usable number of its repeat is left out"),
        ({"repeat": str(2**63)}, "1 row without a usable number of its repeat is left out"),
        ({"repeat": "1.5"}, "1 row without a usable number of its repeat is left out"),
        ({"repeat": "-1"}, "1 row without a usable number of its repeat is left out"),
        ({"repeat": ""}, "1 row without a usable number of its repeat is left out"),
        ({"status": ""}, "1 row of an unknown status is left out"),
        ({"status": "okay"}, "1 row of an unknown status is left out"),
        ({"phase": ""}, "1 torn line is left out"),
    ],
)
def test_a_row_that_is_not_understood_is_counted_and_named(pair, cells, words):
    base, table, file = pair
    new = file(changed(table, 5, **cells))
    assert counts(base, new) == [("10", "9")]
    _, output, _ = compare(base, new)
    [value] = cells.values()
    named = "'new'" if "phase" in cells else repr(value)
    assert f"{words}, the first: {new}, row 5: {named}" in flat(output).replace("- ", "")


# Before Python 3.11 its csv writes no zero byte.
NOT_WRITTEN = '\r\n"' if sys.version_info >= (3, 11) else '\r\n"\0'


@given(st.text(st.characters(codec="utf-8", exclude_characters=NOT_WRITTEN), max_size=12))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20
)
def test_whatever_stands_for_a_time_nothing_vanishes(pair, text):
    base, table, file = pair
    code, output, error = compare(base, file(changed(table, 5, seconds=text)))
    if code == 2:
        assert "row 5" in error
    elif "left out" not in output:
        assert 0 < float(text) < float("inf")
        assert "10, 10" in output


def test_a_tag_that_is_not_quoted_moves_no_column(pair):
    base, table, file = pair
    shifted = [list(row) for row in table]
    shifted[4].insert(table[0].index("tag"), "b=4")
    new = file(shifted)
    assert counts(base, new) == [("10", "9")]
    assert "1 torn line is left out" in flat(compare(base, new)[1])


def test_decimal_commas_that_are_not_quoted_are_told(pair):
    base, table, file = pair
    split = [list(row) for row in table]
    place = table[0].index("seconds")
    split[4][place : place + 1] = ["30", "5"]
    new = file(split)
    assert counts(base, new) == [("10", "9")]
    assert "row 5" in flat(compare(base, new)[1])


def test_two_values_of_one_measurement_are_an_error(pair):
    base, table, file = pair
    table.append(changed(table, 5, seconds="31.25")[4])
    code, output, error = compare(base, file(table))
    assert (code, output) == (2, "")
    assert "new.csv: row 5: run 'new', repeat 4, phase train is there 2 times" in error
    assert "31.25 s" in error


def test_copies_of_a_whole_run_folder_count_once(tmp_path):
    import shutil

    base = write_run(tmp_path / "base", {"train": times(20.0)})
    new = write_run(
        tmp_path / "all" / "new", {"train": times(30.0)}, settings=["training.epochs=3"]
    )
    expected = verdicts(base, new)[2]
    shutil.copytree(new, tmp_path / "all" / "copy")
    shutil.move(new, tmp_path / "all" / "renamed")
    assert verdicts(base, tmp_path / "all")[2] == [{**expected[0], "new": str(tmp_path / "all")}]
    _, output, _ = compare(base, tmp_path / "all")
    assert "10 rows that are there twice are counted once" in flat(output)
    assert "differs in config: training.epochs 1 -> 3" in output


@pytest.mark.parametrize("name", ["metrics.csv", "machine.csv"])
def test_doubled_neighbours_count_once_and_may_not_differ(tmp_path, name):
    base = write_run(tmp_path / "base", {"train": times(20.0)})
    new = write_run(tmp_path / "new", {"train": times(20.0, OTHER_NOISE)})
    expected = compare(base, new)
    text = (new / name).read_text()
    write(new / name, text + text)
    assert compare(base, new) == expected
    differing = text.replace("0.91", "0.61").replace("AMD EPYC", "Intel Xeon")
    write(new / name, text + differing)
    code, _, error = compare(base, new)
    assert code == 2
    assert f"{name}: run 'new' has two values of" in error


def test_the_lines_that_an_open_quotation_mark_swallows_are_counted(pair):
    base, _, file = pair
    new = file()
    text = new.read_text().splitlines()
    text[7] = text[7].replace(",train,", ',"train,')
    write(new, "\n".join(text))
    assert counts(base, new) == [("10", "6")]
    assert f"4 torn lines are left out, the first: {new}, row 8:" in flat(compare(base, new)[1])


def test_a_second_header_of_other_columns_is_refused(pair):
    base, table, file = pair
    turned = [row[::-1] for row in table]
    code, _, error = compare(base, file([*table, *turned]))
    assert code == 2
    assert "row 12: a second header, of other columns" in error
    assert counts(base, file([*table, table[0]])) == [("10", "10")]


def test_a_file_of_nothing_usable_says_why(pair):
    base, table, file = pair
    place = table[0].index("seconds")
    table[1:] = [[*row[:place], "n/a", *row[place + 1 :]] for row in table[1:]]
    code, _, error = compare(base, file(table))
    assert code == 2
    assert "holds no time of a finished repeat; 10 times that are no numbers above 0" in error
    assert "new.csv, row 2: 'n/a'" in error


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"PK\x03\x04\x14\x00", "is a spreadsheet or another archive"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "pointer of Git LFS"),
        (b"\n<!DOCTYPE html><html>", "is a web page"),
    ],
)
def test_what_is_no_table_is_named_for_what_it_is(tmp_path, content, problem):
    base = write_run(tmp_path / "base", {"train": times(20.0)})
    (tmp_path / "new.csv").write_bytes(content)
    code, _, error = compare(base, tmp_path / "new.csv")
    assert (code, problem in error) == (2, True)


def test_a_row_in_another_encoding_is_named(pair):
    base, table, file = pair
    new = file(changed(table, 5, node="Müller"), encoding="latin-1")
    code, _, error = compare(base, new)
    assert code == 2
    assert "new.csv: row 5: the byte 0xfc is no UTF-8 text; save the file as UTF-8" in error


# --- logs

HEADER = "# csv,timer,status,time,sum,start,tag,msg,uname.node,user,uname.system,platform.version"


def line(seconds, *, node="nb", user="me", tag="", system="Linux", version="#1 SMP", start=0):
    begun = f"2022-02-01 10:00:{start:02d}"
    return f"# csv,train,ok,{seconds},{seconds},{begun},{tag},None,{node},{user},{system},{version}"


def log_of(seconds, **fields):
    return "\n".join(
        [HEADER, *(line(f"{s:.3f}", start=i, **fields) for i, s in enumerate(seconds))]
    )


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("{'a': 1, 'b': 2}", "#1 SMP"),
        ("a,b,c", "10.0, build, 19041"),
        ("", "('10', '10.0.19043', 'SP0', 'Multiprocessor Free')"),
        ("{'system': 'Linux', 'x': 1}", "('10', '10.0.19043')"),
    ],
)
def test_the_machine_is_found_between_commas(tag, version):
    [time] = read_log(f"{HEADER}\n{line(20.5, tag=tag, version=version, system='Windows')}").times
    fields = time.fields
    assert (fields["uname.node"], fields["user"], fields["uname.system"]) == ("nb", "me", "Windows")
    assert fields["platform.version"] == version
    assert time.seconds == 20.5


def test_columns_that_are_not_sure_are_told(tmp_path):
    write(tmp_path / "base.log", log_of(times(20.0)))
    write(
        tmp_path / "new.log",
        log_of(times(20.0, OTHER_NOISE), tag="a,b,c,d,Linux,e,f", node="other"),
    )
    _, output, _ = compare(tmp_path / "base.log", tmp_path / "new.log")
    assert "10 lines with commas in their tags tell a time, but not surely" in flat(output)
    assert "different machines" not in output


def test_a_log_of_two_machines_is_of_two_machines(tmp_path):
    both = log_of(times(20.0)) + "\n" + log_of(times(40.0), node="other").partition("\n")[2]
    write(tmp_path / "base.log", log_of(times(20.0, OTHER_NOISE), node="third"))
    write(tmp_path / "new.log", both)
    rows = verdicts(tmp_path / "base.log", tmp_path / "new.log")[2]
    assert (rows[0]["unit"], rows[0]["n_base"], rows[0]["n_new"]) == ("machine", "1", "2")


def test_a_log_printed_twice_counts_once(tmp_path):
    write(tmp_path / "base.log", log_of(times(20.0)))
    new = log_of(times(30.0, OTHER_NOISE))
    for doubled in (f"{new}\n{new}", f"{new}\n" + new.partition("\n")[2]):
        write(tmp_path / "new.log", doubled)
        assert counts(tmp_path / "base.log", tmp_path / "new.log") == [("10", "10")]
        _, output, _ = compare(tmp_path / "base.log", tmp_path / "new.log")
        assert "10 rows that are there twice are counted once" in flat(output)


def test_a_log_in_utf_16_is_read(tmp_path):
    write(tmp_path / "base.log", log_of(times(20.0)))
    (tmp_path / "new.log").write_bytes(log_of(times(30.0, OTHER_NOISE)).encode("utf-16"))
    assert verdicts(tmp_path / "base.log", tmp_path / "new.log")[1] == {"train": "slower"}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        ("nan", "1 time that is no number above 0 is left out"),
        ("-3", "1 time that is no number above 0 is left out"),
        ("0.0", "1 time of 0 s is left out"),
        ("None", "1 timer that was never stopped is left out"),
        ("1 s", "1 torn line is left out"),
    ],
)
def test_odd_times_in_a_log_are_told(tmp_path, seconds, words):
    write(tmp_path / "base.log", log_of(times(20.0)))
    odd = line(seconds, start=59)
    write(tmp_path / "new.log", f"{log_of(times(30.0, OTHER_NOISE))}\n{odd}")
    _, output, _ = compare(tmp_path / "base.log", tmp_path / "new.log")
    assert words in flat(output)
    assert "row 12" in flat(output)
    assert "10, 10" in output


@pytest.mark.parametrize("repeat", ["²", str(2**63), "1.5", "x"])
def test_repeat_numbers_in_our_own_log(repeat):
    log = read_log(f"{HEADER},run_id,repeat,seconds\n{line(20.5)},r,{repeat},20.5")
    assert (log.times, [odd.value for odd in log.odd]) == ((), [repeat])


# --- options


@pytest.mark.parametrize(
    ("option", "value", "advice"),
    [
        ("--confidence", "95", "give 95% or 0.95"),
        ("--confidence", "99", "give 99% or 0.99"),
        ("--confidence", "0,9", "give 90% or 0.9"),
        ("--confidence", "much", "give 95% or 0.95"),
        ("--margin", "5", "give 5% or 0.05"),
        ("--margin", "abc", "give 5% or 0.05"),
        ("--accuracy-margin", "-1", "give 5% or 0.05"),
    ],
)
def test_what_is_no_share_is_met_with_one_that_works(tmp_path, option, value, advice):
    base = write_run(tmp_path / "a", {"train": times(20.0)})
    new = write_run(tmp_path / "b", {"train": times(20.0, NOISE[::-1])})
    code, _, error = compare(base, new, option, value)
    assert code == 2
    assert advice in error
    assert compare(base, new, option, advice.split()[1], "--fail-on", "none")[0] == 0
