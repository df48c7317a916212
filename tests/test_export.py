"""`mnistbench export`: each format is read by the program that it is for."""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import rows, run_here
from hand_written_runs import NOISE, times, write_run

COMMIT = "3b2575fc84ec0ec94227d6ae357b800498b0abbf"
FACTS = {
    "mnistbench_git_commit": COMMIT, "python_version": "3.11.7", "tensorflow_version": "2.21.0",
}  # fmt: skip


def export(*arguments):
    """Run the command in this process; return its exit code, standard output and error."""
    done = run_here("export", *map(str, arguments))
    return done.returncode, done.stdout, done.stderr


def exported(*arguments):
    code, output, error = export(*arguments)
    assert (code, error) == (0, ""), error
    return output


@pytest.fixture
def runs(tmp_path):
    """Two configs, of ten repeats each."""
    for config, seconds in (("mnist-dense", 20.0), ("mnist-mlp", 30.0)):
        write_run(
            tmp_path / "runs" / f"r-{config}",
            {"train": times(seconds), "test": times(1.0), "total": times(seconds + 1)},
            config=config,
            machine=FACTS,
            metrics={
                "cpu_user_seconds": ([40.0] * 10, "s"), "cpu_system_seconds": ([2.0] * 10, "s"),
                "train_samples": ([60000] * 10, "1"), "test_samples": ([10000] * 10, "1"),
            },
        )  # fmt: skip
    return tmp_path / "runs"


def tool(*command, cwd):
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_pytest_benchmark_compares_two_exports(tmp_path, runs):
    pytest.importorskip("pytest_benchmark", reason="needs the package pytest-benchmark")
    write_run(tmp_path / "new", {"train": times(25.0)}, machine=FACTS)
    for name in ("runs", "new"):
        exported("pytest-benchmark", tmp_path / name, "-o", tmp_path / f"{name}.json")
    said = tool(
        sys.executable, "-m", "pytest_benchmark", "compare", "runs.json", "new.json",
        "--columns=min,median,max,stddev,rounds", "--csv=table.csv", cwd=tmp_path,
    )  # fmt: skip
    assert "mnist-dense train" in said
    table = {row["name"]: row for row in rows(tmp_path / "table.csv")}
    assert {name.split("::")[-1] for name in table} >= {"train[mnist-dense]", "test[mnist-mlp]"}
    [dense] = [row for name, row in table.items() if name.endswith("train[mnist-mlp]")]
    assert float(dense["median"]) == statistics.median(times(30.0))
    assert float(dense["stddev"]) == pytest.approx(statistics.stdev(times(30.0)))
    assert dense["rounds"] == "10"


def test_github_action_benchmark_has_what_its_readme_asks_for(runs):
    # The action is no package that can be installed here: its documented fields are held.
    entries = json.loads(exported("github-action-benchmark", runs))
    by_name = {entry["name"]: entry for entry in entries}
    assert len(by_name) == len(entries) == 6
    dense = by_name["mnist-dense train"]
    assert set(dense) == {"name", "unit", "value", "range", "extra"}
    assert (dense["value"], dense["unit"]) == (statistics.median(times(20.0)), "s")
    assert dense["extra"] == "median of 10\nruns: r-mnist-dense"


def test_hyperfine_has_the_fields_of_its_results(runs):
    # hyperfine reads no JSON itself: the fields are those that it writes.
    results = json.loads(exported("hyperfine", runs))["results"]
    by_command = {result["command"]: result for result in results}
    train = by_command["mnist-mlp train"]
    assert set(train) == {
        "command", "mean", "stddev", "median", "user", "system", "min", "max", "times",
        "exit_codes", "parameters",
    }  # fmt: skip
    assert train["times"] == times(30.0)
    assert train["min"] == min(times(30.0))
    assert (train["user"], train["system"]) == (None, None)
    total = by_command["mnist-mlp total"]
    assert (total["user"], total["system"]) == (40.0, 2.0)
    assert total["parameters"]["config"] == "mnist-mlp"


def test_hyperfine_writes_the_same_fields_of_the_same_types(tmp_path, runs):
    if shutil.which("hyperfine") is None:
        pytest.skip("no hyperfine here: apt-get install hyperfine")
    tool(
        "hyperfine", "--runs=2", "--export-json=own.json", "-L", "n", "1", "true {n}", cwd=tmp_path
    )
    [own] = json.loads((tmp_path / "own.json").read_text())["results"]
    own.pop("memory_usage_byte", None)  # of later versions
    for ours in json.loads(exported("hyperfine", runs))["results"]:
        assert set(ours) == set(own)
        known = {name for name, value in ours.items() if value is not None}
        assert {name: type(ours[name]) for name in known} == {
            name: type(own[name]) for name in known
        }


def test_asv_reads_its_results(tmp_path, runs):
    pytest.importorskip("asv", reason="needs the package asv")
    from asv.benchmarks import Benchmarks
    from asv.config import Config
    from asv.results import iter_results

    exported("asv", runs / "r-mnist-dense", "-o", tmp_path / "results")
    exported("asv", runs, "-o", tmp_path / "results")
    [result] = iter_results(str(tmp_path / "results"))
    assert result.commit_hash == COMMIT
    assert result.params["machine"] == "anna"
    conf = Config()
    conf.results_dir = str(tmp_path / "results")
    benchmarks = Benchmarks.load(conf)
    assert set(benchmarks) == {*result.get_result_keys(benchmarks)}
    assert len(benchmarks) == 6
    [median] = result.get_result_value("mnist-dense.train", [])
    assert median == statistics.median(times(20.0))
    [samples] = result.get_result_samples("mnist-dense.train", [])
    assert samples == times(20.0)
    [stats] = result.get_result_stats("mnist-dense.train", [])
    assert stats["repeat"] == 10


def test_asv_needs_a_commit(tmp_path):
    write_run(tmp_path / "a", {"train": times(20.0)})
    code, _, error = export("asv", tmp_path / "a", "-o", tmp_path / "results")
    assert (code, error) == (
        2,
        "mnistbench: run 'a': has no mnistbench_git_commit in its machine.csv, and asv knows "
        "results by their commit; leave it out\n",
    )
    assert not (tmp_path / "results").exists()


LINE = re.compile(r":::MLLOG (\{.*\})")


def test_mlperf_logs_tell_a_repeat_in_its_order(tmp_path, runs):
    exported("mlperf", runs, "-o", tmp_path / "logs")
    files = sorted(path.relative_to(tmp_path / "logs") for path in (tmp_path / "logs").rglob("*.*"))
    assert len(files) == 20
    text = (tmp_path / "logs" / "mnist-dense" / "result_1.txt").read_text()
    lines = [json.loads(LINE.fullmatch(line)[1]) for line in text.splitlines()]
    assert all(set(line) == {
        "namespace", "time_ms", "event_type", "key", "value", "metadata"
    } for line in lines)  # fmt: skip
    assert all({"file", "lineno"} <= set(line["metadata"]) for line in lines)
    moments = [line["time_ms"] for line in lines if line["event_type"] != "INTERVAL_END"]
    assert moments == sorted(moments)
    by_key = {line["key"]: line for line in lines}
    assert by_key["submission_benchmark"]["value"] == "mnist-dense"
    assert by_key["eval_accuracy"]["value"] == 0.91
    took = by_key["block_stop"]["time_ms"] - by_key["block_start"]["time_ms"]
    assert took == pytest.approx(1000 * times(20.0)[1], abs=1)
    assert by_key["run_stop"]["metadata"]["status"] == "success"


@pytest.mark.filterwarnings("ignore")  # of its own texts
def test_mlperf_logging_finds_nothing_wrong_but_keys_that_nobody_measured(
    tmp_path, runs, monkeypatch
):
    compliance = pytest.importorskip(
        "mlperf_logging.compliance_checker.mlp_compliance", reason="pip install mlperf-logging"
    )
    # The rules of all benchmarks: ours is none of MLPerf's, and has no rules of its own.
    follow = compliance.enqueue_config
    monkeypatch.setattr(
        compliance, "enqueue_config", lambda name: "common" in name and follow(name)
    )
    exported("mlperf", runs, "-o", tmp_path / "logs")
    for file in sorted((tmp_path / "logs" / "mnist-dense").glob("*.txt"))[:2]:
        checker = compliance.make_checker("training", "5.0.0", True, True)
        checker.check_file(str(file), "training_5.0.0/common.yaml")
        assert checker.not_overwritable == []
        wrong = {key for key, text in checker.overwritable.items() if "but found 0" not in text}
        assert wrong == {"submission_benchmark"}
        assert {*checker.overwritable} - wrong == {"cache_clear"}


def test_otava_finds_a_change(tmp_path):
    # It pins a NumPy older than TensorFlow's, so that it is no development dependency.
    pytest.importorskip("otava", reason="needs the package apache-otava")
    for day in range(1, 21):
        seconds = (20.0 if day < 11 else 30.0) * (1 + NOISE[day % 10] / 1000)
        run = write_run(tmp_path / "runs" / f"run{day:02d}", {"train": [seconds] * 3})
        text = (run / "timings.csv").read_text()
        (run / "timings.csv").write_text(text.replace("2026-11-22T", f"2026-11-{day:02d}T"))
    exported("otava", tmp_path / "runs", "-o", tmp_path / "otava")
    [file] = (tmp_path / "otava").glob("*.csv")
    table = rows(file)
    assert [row["run_id"] for row in table] == [f"run{day:02d}" for day in range(1, 21)]
    import yaml
    from otava.importer import CsvImporter
    from otava.test_config import create_test_config

    [(name, test)] = yaml.safe_load((tmp_path / "otava" / "otava.yaml").read_text())[
        "tests"
    ].items()
    assert name == "mnist-dense"
    series = CsvImporter().fetch_data(create_test_config(name, test))
    assert len(series.data["train"]) == 20
    [change] = series.analyze().change_points["train"]
    assert change.index == 10


@pytest.mark.filterwarnings("ignore")  # of the packages that MLflow is made of
def test_mlflow_has_each_run_once(tmp_path, runs):
    pytest.importorskip("mlflow", reason="needs the package mlflow")
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    for _ in range(2):
        exported("mlflow", runs, "--mlflow", uri)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("mnist-mlp")
    [run] = client.search_runs([experiment.experiment_id])
    assert run.data.tags["mnistbench.run_id"] == "r-mnist-mlp"
    assert run.data.params["training.batch_size"] == "32"
    history = client.get_metric_history(run.info.run_id, "train_seconds")
    assert [metric.value for metric in sorted(history, key=lambda m: m.step)] == times(30.0)


def test_parquet_is_what_merge_writes(tmp_path, runs):
    exported("parquet", runs, "-o", tmp_path / "a.parquet")
    assert run_here("merge", str(runs), "-o", str(tmp_path / "b.parquet")).returncode == 0
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_label_tells_what_its_namesakes_differ_in(tmp_path):
    few = ["training.batch_size=8"]
    for name, node, settings in (("a", "anna", ()), ("b", "bert", ()), ("c", "bert", few)):
        write_run(
            tmp_path / name, {"train": times(20.0)}, machine={"node": node}, settings=settings
        )
    names = [e["name"] for e in json.loads(exported("github-action-benchmark", tmp_path))]
    assert len({*names}) == 3
    assert all(re.fullmatch(r"mnist-dense (anna|bert) [0-9a-f]{8} train", name) for name in names)


def test_repeats_of_two_runs_are_one_series(tmp_path):
    for name in "ab":
        write_run(tmp_path / name, {"train": times(20.0)})
    [result] = json.loads(exported("hyperfine", tmp_path))["results"]
    assert result["times"] == times(20.0) * 2


def test_what_did_not_finish_is_counted(tmp_path):
    write_run(tmp_path / "a", {"train": [20.0, None, 0.0]})
    code, output, error = export("hyperfine", tmp_path / "a")
    assert code == 0
    assert json.loads(output)["results"][0]["times"] == [20.0]
    assert error == (
        "mnistbench: 2 rows that tell no time of a finished phase are left out, the first: "
        "run 'a', repeat 2, phase train: killed:SIGKILL\n"
    )
    write_run(tmp_path / "b", {"train": [None]})
    code, output, error = export("hyperfine", tmp_path / "b")
    assert (code, output, error.count("\n")) == (2, "", 1)
    assert f"{tmp_path / 'b'}: holds no time of a finished repeat; 1 row that tells" in error


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("asv", "r"), "asv is not text to print; say where with -o"),
        (("hyperfine", "r", "--mlflow", "x"), "--mlflow goes with mlflow, not with hyperfine"),
        (("mlflow", "r", "-o", "x"), "-o is a file or a folder; MLflow is given by --mlflow URI"),
        (("csv", "r"), "'csv' is not one of 'asv', 'github-action-benchmark'"),
        (("hyperfine", "nowhere"), "nowhere: no such file or folder"),
    ],
)
def test_wrong_input_is_one_line(arguments, problem):
    code, output, error = export(*arguments)
    assert (code, output, error.count("\n")) == (2, "", 1)
    assert problem in error


@pytest.mark.parametrize("output_format", ["otava", "mlperf"])
def test_a_folder_that_is_there_is_left_alone(tmp_path, runs, output_format):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine").touch()
    code, _, error = export(output_format, runs, "-o", tmp_path / "there")
    assert (code, error) == (
        2,
        f"mnistbench: {tmp_path / 'there'}: is there already; give a new folder: -o DIR\n",
    )
    assert [path.name for path in Path(tmp_path / "there").iterdir()] == ["mine"]


def test_a_missing_extra_is_told_with_the_command_that_installs_it(runs, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    code, _, error = export("mlflow", runs)
    assert (code, error) == (
        2, "mnistbench: mlflow: is not installed; pip install 'mnistbench[mlflow]'\n"
    )  # fmt: skip
