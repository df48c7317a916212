"""`mnistbench compare` as a user runs it, on hand-written runs; TensorFlow is never needed."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest
import yaml

from mnistbench.cli import main
from mnistbench.config import load_config
from mnistbench.results import MachineRow, MetricRow, TimingRow, to_csv

# Noise in percent, one figure a repeat: 10 repeats of about 2 % spread with sum 0.
NOISE = (1.2, -0.7, 2.9, -2.4, 0.3, -1.8, 1.9, 0.4, -0.5, -1.3)
OTHER_NOISE = (-0.4, 1.6, 1.1, 0.2, -2.7, 0.9, -1.1, 2.2, -1.9, 0.1)

MACHINE = {
    "node": "anna", "cpu_model": "AMD EPYC", "cpu_threads": "2", "memory_total_bytes": "8000000000",
    "mnistbench_version": "0.1.0", "tensorflow_version": "2.21.0", "keras_version": "3.15.1",
    "tensorflow_onednn": "true", "load_1min": "0.5", "mem_free": "3 GiB", "dataset": "mnist",
    "cpu_frequency_current_hz": "2445426000.0", "started_utc": "2026-11-22T10:00:00Z",
}  # fmt: skip


def compare(*arguments):
    """Run the command in this process; return its exit code, standard output and error."""
    output, error = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["mnistbench", "compare", *map(str, arguments)]
    try:
        with redirect_stdout(output), redirect_stderr(error), pytest.raises(SystemExit) as end:
            main()
    finally:
        sys.argv = before
    return end.value.code, output.getvalue(), error.getvalue()


def verdicts(*arguments):
    """Return the verdict of each phase, from the CSV that the command prints."""
    code, output, error = compare(*arguments, "--format", "csv")
    assert not error, error
    rows = list(csv.DictReader(io.StringIO(output)))
    return code, {row["phase"]: row["verdict"] for row in rows}, rows


def times(seconds, noise=NOISE):
    return [seconds * (1 + percent / 100) for percent in noise]


def write_run(folder, phases, *, session="", accuracy=0.91, machine=(), settings=(), **columns):
    """Write a run folder with a list of seconds for each phase; None is a failed repeat."""
    folder.mkdir(parents=True)
    config = load_config(columns.pop("config", "mnist-dense"), list(settings))
    run_id = columns.get("run_id", folder.name)
    fields = {
        "run_id": run_id, "config": config.name, "config_digest": config.digest(),
        "dataset": "mnist", "data_digest": "d1", "model": "dense", "backend": "tensorflow",
        "device": "cpu", "precision": "float32", "epochs": config.training.epochs,
        "batch_size": config.training.batch_size, "seed": 1, "cpu_seconds": None, "tag": "",
        "user": "eve", "node": dict(machine).get("node", "anna"), **columns,
    }  # fmt: skip
    rows = [
        TimingRow(
            **fields, phase=phase, repeat=number, seconds=seconds,
            start_utc=f"2026-11-22T10:{number:02d}:00.000000Z",
            status="ok" if seconds is not None else "killed:SIGKILL",
        )
        for phase, listed in phases.items()
        for number, seconds in enumerate(listed, start=1)
    ]  # fmt: skip
    facts = {**MACHINE, "session": session, **dict(machine)}
    metrics = [
        MetricRow(run_id, number, "test_accuracy", accuracy, "1")
        for number in range(1, 1 + len(next(iter(phases.values()))))
    ]
    write(folder / "timings.csv", to_csv(rows, TimingRow))
    write(folder / "metrics.csv", to_csv(metrics, MetricRow))
    write(
        folder / "machine.csv",
        to_csv([MachineRow(run_id, name, value) for name, value in facts.items()], MachineRow),
    )
    write(folder / "config.yaml", config.to_yaml())
    return folder


def write(path, text):
    path.write_bytes(text.encode())


@pytest.fixture
def runs(tmp_path):
    """Write interleaved runs: BASE, and one for each factor on its times."""

    def make(*factors, noise=OTHER_NOISE, session="s1", **options):
        base = write_run(tmp_path / "base", {"train": times(20.0)}, session=session)
        return base, *(
            write_run(
                tmp_path / f"new{number}",
                {"train": times(20.0 * factor, noise)},
                session=session,
                **options,
            )
            for number, factor in enumerate(factors)
        )

    return make


@pytest.mark.parametrize(
    ("factor", "verdict", "exit_code"),
    [
        (1.33, "slower", 3),
        (0.75, "faster", 0),
        (1.00, "same", 0),
        (1.045, "inconclusive", 4),
    ],
)
def test_each_verdict_and_its_exit_code(runs, factor, verdict, exit_code):
    code, found, rows = verdicts(*runs(factor))
    assert (code, found) == (exit_code, {"train": verdict})
    assert rows[0]["paired"] == "true"
    assert rows[0]["n_base"] == rows[0]["n_new"] == "10"
    assert float(rows[0]["ratio"]) == pytest.approx(factor, rel=0.02)
    assert float(rows[0]["low"]) < float(rows[0]["ratio"]) < float(rows[0]["high"])


def test_different_data_is_apples_and_oranges(runs):
    base, new = runs(1.0, data_digest="d2")
    code, output, _ = compare(base, new)
    assert code == 5
    assert "apples and oranges: not the same data (data_digest)" in output
    assert "not comparable" in output
    assert "x slower" not in output
    code, found, _ = verdicts(base, new, "--force")
    assert (code, found) == (0, {"train": "same"})


def test_fewer_images_are_other_data(runs):
    code, output, _ = compare(*runs(0.5, settings=["dataset.train_samples=100"]))
    assert code == 5
    assert "differs in data: dataset.train_samples null -> 100" in output


def test_a_changed_setting_is_the_subject_of_the_comparison(runs):
    base, new = runs(0.5, settings=["training.batch_size=128", "name=big"], session="both")
    code, output, _ = compare(base, new)
    assert code == 0
    assert "differs in config: training.batch_size 4 -> 128" in output
    assert "description" not in output
    assert "2.00x faster" in output
    assert "paired: measured interleaved" in output


def test_what_differs_is_printed_field_by_field_and_readings_are_not(runs):
    machine = {
        "tensorflow_version": "2.22.0", "tensorflow_onednn": "false", "cpu_model": "Intel Xeon",
        "node": "berta", "load_1min": "7.5", "mem_free": "1 GiB", "env_OMP_NUM_THREADS": "1",
        "cpu_frequency_current_hz": "1.0", "mnistbench_git_commit": "abc",
    }  # fmt: skip
    _, output, _ = compare(*runs(1.0, machine=machine, session=""))
    assert "differs in numerics: tensorflow_version 2.21.0 -> 2.22.0" in output
    assert "differs in numerics: tensorflow_onednn true -> false" in output
    assert "differs in numerics: env_OMP_NUM_THREADS (not set) -> 1" in output
    assert "differs in hardware: cpu_model AMD EPYC -> Intel Xeon" in output
    assert "different hardware: the ratio is about the machines" in output
    for reading in ("load_1min", "mem_free", "frequency", "started_utc", "berta"):
        assert reading not in output


def test_identities_are_hashed_apart(runs):
    base, new = runs(1.0, machine={"cpu_model": "Intel Xeon", "load_1min": "9"})
    _, output, _ = compare(base, new, "--format", "json")
    digests = json.loads(output)["comparisons"][0]["configs"][0]["digests"]
    differing = {part for part in digests["base"] if digests["base"][part] != digests["new"][part]}
    assert differing == {"hardware"}
    assert set(digests["base"]) == {"config", "data", "code", "numerics", "system", "hardware"}


def test_runs_of_two_occasions_are_not_paired_and_it_says_so(runs, tmp_path):
    base, paired = runs(1.10)
    other = write_run(tmp_path / "later", {"train": times(22.0, OTHER_NOISE)}, session="s2")
    _, _, pairs = verdicts(base, paired)
    _, _, blocks = verdicts(base, other)
    assert (pairs[0]["paired"], blocks[0]["paired"]) == ("true", "false")
    assert log_width(blocks[0]) > 1.2 * log_width(pairs[0])
    _, output, _ = compare(base, other)
    assert "not paired: measured one after the other" in output
    assert "cannot be seen" in " ".join(output.split())


def log_width(row):
    return math.log(float(row["high"]) / float(row["low"]))


def test_unequal_counts(tmp_path):
    base = write_run(tmp_path / "a", {"train": times(20.0)}, session="s1")
    fewer = write_run(tmp_path / "b", {"train": times(30.0, OTHER_NOISE[:6])}, session="s1")
    apart = write_run(tmp_path / "c", {"train": times(30.0, OTHER_NOISE[:6])}, session="s2")
    code, found, rows = verdicts(base, fewer, apart)
    assert (code, found) == (3, {"train": "slower"})
    assert [(row["n_base"], row["n_new"]) for row in rows] == [("6", "6"), ("10", "6")]
    _, output, _ = compare(base, fewer)
    assert "up to 4 times have no partner and are left out" in output


def test_killed_repeats_are_left_out_and_told(tmp_path):
    seconds = times(20.0)
    base = write_run(tmp_path / "a", {"train": seconds}, session="s")
    new = write_run(tmp_path / "b", {"train": [None, None, *seconds[2:]]}, session="s")
    _, output, _ = compare(base, new)
    assert "2 repeats did not finish and are left out" in output
    _, _, rows = verdicts(base, new)
    assert rows[0]["n_base"] == "8"


def test_one_repeat_is_inconclusive(tmp_path):
    base = write_run(tmp_path / "a", {"train": [20.0]}, session="s")
    new = write_run(tmp_path / "b", {"train": [60.0]}, session="s")
    code, output, _ = compare(base, new)
    assert code == 4
    assert "3.00x slower" in output
    assert "1 pair: 2 or more are needed" in " ".join(output.replace("│", " ").split())


def test_a_loss_of_accuracy_is_never_called_faster(runs):
    base, new = runs(0.5, accuracy=0.89)
    code, _, rows = verdicts(base, new)
    assert code == 4
    assert rows[0]["verdict"] == "inconclusive"
    assert rows[0]["reason"] == "faster, but test accuracy fell from 91.00% to 89.00%"
    assert verdicts(base, new, "--accuracy-margin", "3%")[1] == {"train": "faster"}


def test_by_default_the_phases_that_take_the_time(tmp_path):
    phases = {"data-load": times(0.3), "train": times(20.0), "test": times(2.0)}
    changed = {name: times(seconds[0], OTHER_NOISE) for name, seconds in phases.items()}
    base = write_run(tmp_path / "a", phases, session="s")
    new = write_run(tmp_path / "b", changed, session="s")
    _, found, rows = verdicts(base, new)
    assert list(found) == ["train", "test"]
    assert [row["confidence"] for row in rows] == ["0.975"] * 2
    assert list(verdicts(base, new, "--phase", "data-load")[1]) == ["data-load"]
    assert list(verdicts(base, new, "--phase", "all")[1]) == ["data-load", "train", "test"]


def test_a_margin_of_your_own(runs):
    base, new = runs(1.08)
    assert verdicts(base, new)[1] == {"train": "slower"}
    assert verdicts(base, new, "--margin", "20%")[1] == {"train": "same"}


def test_fail_on_chooses_what_counts(tmp_path):
    base = write_run(tmp_path / "a", {"train": times(20.0), "test": times(2.0)}, session="s")
    new = write_run(
        tmp_path / "b",
        {"train": times(26.0, OTHER_NOISE), "test": times(2.08, OTHER_NOISE)},
        session="s",
    )
    vague = write_run(tmp_path / "c", {"train": [20.0], "test": [2.0]}, session="s")
    assert compare(base, new, vague)[0] == 3
    assert compare(base, new, vague, "--fail-on", "inconclusive")[0] == 4
    assert compare(base, new, vague, "--fail-on", "none")[0] == 0
    assert compare(base, vague, "--fail-on", "slower,not-comparable")[0] == 0


def test_configs_are_matched_by_name(tmp_path):
    for side, factor in (("old", 1.0), ("new", 1.5)):
        for config in ("mnist-dense", "mnist-cnn"):
            noise = NOISE if side == "old" else OTHER_NOISE
            write_run(
                tmp_path / side / f"{side}-{config}",
                {"train": times(20.0 * (factor if config == "mnist-cnn" else 1.0), noise)},
                config=config,
            )
    write_run(tmp_path / "new" / "extra", {"train": times(9.0)}, config="mnist-mlp")
    code, _, rows = verdicts(tmp_path / "old", tmp_path / "new")
    assert code == 3
    found = {row["config"]: row["verdict"] for row in rows}
    assert found["mnist-cnn"] == "slower"
    assert found["mnist-dense"] != "slower"
    _, output, _ = compare(tmp_path / "old", tmp_path / "new")
    assert "mnist-mlp: only in" in output


def test_many_machines_are_compared_each_with_itself(tmp_path):
    chance = random.Random(5)
    for machine in range(8):
        speed = 1 + machine / 3
        for side, factor in (("old", 1.0), ("new", 1.2)):
            noisy = [speed * factor * math.exp(chance.gauss(0, 0.02)) for _ in range(5)]
            write_run(
                tmp_path / side / f"{side}{machine}",
                {"train": noisy},
                machine={"node": f"node{machine}"},
            )
    code, _, rows = verdicts(tmp_path / "old" / "*" / "timings.csv", tmp_path / "new")
    assert code == 3
    assert (rows[0]["unit"], rows[0]["paired"], rows[0]["n_base"]) == ("machine", "true", "8")
    assert float(rows[0]["ratio"]) == pytest.approx(1.2, rel=0.02)


def test_markdown_pastes_as_a_table(runs):
    code, output, _ = compare(
        *runs(1.33, settings=["training.batch_size=8"]), "--format", "markdown"
    )
    assert code == 3
    table = [line for line in output.splitlines() if line.startswith("|")]
    assert len(table) == 3
    assert len({line.count("|") for line in table}) == 1
    assert set(table[1]) <= set("|-: ")
    assert "1.33x slower" in table[2]
    assert table[2].rstrip(" |").endswith("slower")
    assert r"- differs in config: training.batch\_size 4 -> 8" in output


def test_json_is_whole_and_strict(runs):
    _, output, _ = compare(*runs(0.8), "--format", "json")

    def no_constant(name):
        raise AssertionError(f"{name} is no JSON")

    told = json.loads(output, parse_constant=no_constant)
    phase = told["comparisons"][0]["configs"][0]["phases"][0]
    assert phase["verdict"] == "faster"
    assert phase["change"] == "1.25x faster"
    assert phase["low"] < phase["ratio"] < phase["high"] < 1


def test_the_table_speaks_of_times_slower_and_never_of_minus(runs):
    _, output, _ = compare(*runs(1.33))
    assert "1.33x slower" in output
    assert "Intervals: 95 %" in output
    assert "-2" not in output.replace("2026-11", "")


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
    assert "1 torn lines are left out" in output


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


def test_torn_log_lines_are_left_out_and_told(tmp_path):
    write(tmp_path / "base.log", current_log() + "\n# csv,train,ok,20.1")
    write(tmp_path / "new.log", current_log(1.0, OTHER_NOISE))
    _, output, _ = compare(tmp_path / "base.log", tmp_path / "new.log")
    assert "1 torn lines are left out" in output


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
    assert (
        "neither side" in compare(base, new, "--phase", "trian")[2]
        or "holds no time" in (compare(base, new, "--phase", "trian")[2])
    )
    assert "is not a share" in compare(base, new, "--margin", "5")[2]
    assert "is none of slower" in compare(base, new, "--fail-on", "sloower")[2]
    for wrong in (("--margin", "x"), ("--phase", "trian"), ("--fail-on", "x")):
        assert compare(base, new, *wrong)[0] == 2


def test_comparing_never_imports_tensorflow(runs):
    base, new = runs(1.0)
    program = (
        "import sys; from mnistbench.cli import command; "
        f"command.main(['compare', {str(base)!r}, {str(new)!r}], standalone_mode=False); "
        "heavy = {'tensorflow', 'keras', 'pandas', 'scipy.stats'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_yaml_of_a_run_is_what_differs(runs):
    base, new = runs(1.0, settings=["model.hidden_units=[32]"])
    assert yaml.safe_load((new / "config.yaml").read_text())["model"]["hidden_units"] == [32]
    _, output, _ = compare(base, new)
    assert "differs in config: model.hidden_units [64] -> [32]" in output
    assert "config_digest" not in output
