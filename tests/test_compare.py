"""`mnistbench compare` as a user runs it: verdicts, exit codes, what differs, every format."""

from __future__ import annotations

import json
import math
import random
import re
import subprocess
import sys

import pytest
import yaml
from conftest import HEAVY
from hand_written_runs import NOISE, OTHER_NOISE, compare, times, verdicts, write_run


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
    assert not re.search(r"-\d+(\.\d+)? ?%", output)


def test_comparing_never_imports_tensorflow(runs):
    base, new = runs(1.0)
    program = (
        "import sys; from mnistbench.cli import command; "
        f"command.main(['compare', {str(base)!r}, {str(new)!r}], standalone_mode=False); "
        f"heavy = {HEAVY | {'scipy.stats'}} & set(sys.modules); "
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
