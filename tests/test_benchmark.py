"""What `mnistbench benchmark` writes and prints: the files are read back as a user would."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
from pathlib import Path

import pytest
from conftest import FEW, Session, benchmark_here, rows, run_here

from mnistbench.config.datasets import MNIST
from mnistbench.config.loading import load_config
from mnistbench.session.records import derived_seed

TIMING_COLUMNS = (
    "run_id,config,config_digest,dataset,data_digest,model,backend,device,precision,epochs,"
    "batch_size,repeat,seed,phase,seconds,cpu_seconds,start_utc,status,tag,node,user"
)
PHASES = ["import", "data-load", "preprocess", "build", "compile", "train", "test", "total"]
CONFIGS = ("mnist-dense", "mnist-cnn", "mnist-dense-relu")


def test_it_succeeds_and_says_where_the_files_are(small_session: Session) -> None:
    assert small_session.done.returncode == 0
    for config in CONFIGS:
        assert f"Files: {small_session.folder(config)}" in small_session.done.stdout


def test_every_run_has_a_folder_of_its_own_with_all_files(small_session: Session) -> None:
    assert len(list(small_session.output.iterdir())) == len(CONFIGS)
    for config in CONFIGS:
        folder = small_session.folder(config)
        assert re.fullmatch(rf"\d{{8}}T\d{{6}}Z-{config}-.+-[0-9a-f]{{6}}", folder.name)
        assert {file.name for file in folder.iterdir()} == {
            "config.yaml", "timings.csv", "metrics.csv", "machine.csv", "calibration.csv",
        "cloudmesh.log", "log.txt",
        }  # fmt: skip


def test_timings_has_a_row_for_each_repeat_and_phase(small_session: Session) -> None:
    for config in CONFIGS:
        folder = small_session.folder(config)
        first_line = (folder / "timings.csv").read_bytes().split(b"\r\n")[0]
        assert first_line.decode() == TIMING_COLUMNS
        table = rows(folder / "timings.csv")
        assert [(row["repeat"], row["phase"]) for row in table] == [
            (repeat, phase) for repeat in "12" for phase in PHASES
        ]
        assert {row["run_id"] for row in table} == {folder.name}
        assert {row["tag"] for row in table} == {'a "tag", with\nall it takes'}


def test_times_are_full_precision_and_add_up(small_session: Session) -> None:
    for config in CONFIGS:
        for repeat in "12":
            table = rows(small_session.folder(config) / "timings.csv")
            seconds = {
                row["phase"]: float(row["seconds"])
                for row in table
                if row["repeat"] == repeat and row["seconds"]
            }
            parts = [seconds[phase] for phase in PHASES[1:-1]]
            assert all(part > 0 for part in parts)
            assert seconds["total"] == pytest.approx(sum(parts), rel=1e-9)
            assert seconds["train"] > seconds["compile"]
            assert any(len(row["seconds"].partition(".")[2]) > 4 for row in table)


def test_the_import_is_counted_once_and_unknown_is_empty(small_session: Session) -> None:
    for config in CONFIGS:
        table = rows(small_session.folder(config) / "timings.csv")
        imports = [row for row in table if row["phase"] == "import"]
        assert [row["status"] for row in imports] == ["ok", "inherited"]
        assert float(imports[0]["seconds"]) > 0.5
        assert imports[1]["seconds"] == imports[1]["cpu_seconds"] == ""
        assert {row["status"] for row in table if row["phase"] != "import"} == {"ok"}


def test_configs_are_interleaved_in_a_recorded_order(small_session: Session) -> None:
    order = {
        int(place): (config, repeat)
        for config in CONFIGS
        for repeat, place in enumerate(small_session.metric(config, "order"), start=1)
    }
    # The warm-up round took places 1 to 3; then each round holds every config once.
    assert sorted(order) == [4, 5, 6, 7, 8, 9]
    for repeat, places in ((1, (4, 5, 6)), (2, (7, 8, 9))):
        assert {order[place][0] for place in places} == set(CONFIGS)
        assert {order[place][1] for place in places} == {repeat}
    starts = {
        (config, int(row["repeat"])): row["start_utc"]
        for config in CONFIGS
        for row in rows(small_session.folder(config) / "timings.csv")
        if row["phase"] == "train"
    }
    by_time = sorted(starts, key=lambda turn: starts[turn])
    assert by_time == [order[place] for place in sorted(order)]


def test_seeds_are_derived_from_a_root_and_both_are_recorded(small_session: Session) -> None:
    seeds = [str(derived_seed(42, 1)), str(derived_seed(42, 2))]
    assert small_session.metric("mnist-dense", "seed") == seeds
    assert small_session.metric("mnist-dense", "seed_root") == ["42", "42"]
    table = rows(small_session.folder("mnist-dense") / "timings.csv")
    assert [row["seed"] for row in table if row["phase"] == "train"] == seeds


def test_metrics_beside_the_times(small_session: Session) -> None:
    units = {
        row["metric"]: row["unit"]
        for row in rows(small_session.folder("mnist-dense-relu") / "metrics.csv")
    }
    expected = {
        "test_loss": "", "test_accuracy": "1", "train_loss": "", "train_accuracy": "1",
        "validation_loss": "", "validation_accuracy": "1", "parameters": "1",
        "train_samples_per_second": "samples/s", "train_steps": "1", "steps_per_epoch": "1",
        "first_step_seconds": "s", "steady_step_seconds": "s", "epoch_1_seconds": "s",
        "epoch_2_seconds": "s", "cpu_user_seconds": "s", "cpu_system_seconds": "s",
        "peak_rss_bytes": "bytes", "jit_compile": "", "seed": "", "seed_root": "",
    }  # fmt: skip
    assert expected.items() <= units.items()
    [steps, _] = small_session.metric("mnist-dense-relu", "train_steps")
    assert int(steps) == 2 * 512 / 32


def test_the_first_step_holds_the_compilation(small_session: Session) -> None:
    for config in CONFIGS:
        first = map(float, small_session.metric(config, "first_step_seconds"))
        steady = map(float, small_session.metric(config, "steady_step_seconds"))
        epoch = map(float, small_session.metric(config, "epoch_1_seconds"))
        for first_step, steady_step, first_epoch in zip(first, steady, epoch, strict=True):
            assert 2 * steady_step < first_step < first_epoch


def test_memory_of_a_process_is_its_own(small_session: Session) -> None:
    for config in CONFIGS:
        for peak in map(int, small_session.metric(config, "peak_rss_bytes")):
            assert 200e6 < peak < 4e9


def test_a_repeat_costs_little_outside_its_phases(small_session: Session) -> None:
    # The claim is half a second, measured by benchmarks/overhead.py; here a gross error shows.
    for config in CONFIGS:
        for cost in map(float, small_session.metric(config, "outside_phases_seconds")):
            assert 0 < cost < 5


def test_the_config_is_resolved_and_runs_again(small_session: Session) -> None:
    for config in CONFIGS:
        file = small_session.folder(config) / "config.yaml"
        again = load_config(str(file))
        assert again.training.epochs == 2
        assert again.dataset.train_samples == 512
        digest = rows(file.with_name("timings.csv"))[0]["config_digest"]
        assert again.digest() == digest
        assert f"# config_digest: {digest}" in file.read_text()


def test_machine_facts(small_session: Session) -> None:
    table = rows(small_session.folder("mnist-dense") / "machine.csv")
    assert list(table[0]) == ["run_id", "attribute", "value"]
    facts = {row["attribute"]: row["value"] for row in table}
    assert len(facts) == len(table), "an attribute is there twice"
    for name, digest in MNIST.digests.items():
        assert facts[f"dataset_{name}_sha256"] == digest
    assert facts["dataset_source"] == "embedded"
    assert facts["dataset_canonical"] == "true"
    assert facts["cpu_count"] == str(os.cpu_count())
    for name in (
        "cpu_model", "cpu_threads", "memory_total_bytes", "python_version", "tensorflow_version",
        "keras_version", "numpy_version", "mnistbench_version", "tensorflow_intra_op_threads",
        "tensorflow_onednn", "session", "load_1min", "mem_total", "user",
    ):  # fmt: skip
        assert facts[name], name
    sessions = {
        row["value"]
        for config in CONFIGS
        for row in rows(small_session.folder(config) / "machine.csv")
        if row["attribute"] == "session"
    }
    assert len(sessions) == 1


def test_tables_of_many_runs_concatenate(small_session: Session) -> None:
    for name in ("timings.csv", "metrics.csv", "machine.csv"):
        texts = [(small_session.folder(config) / name).read_bytes().decode() for config in CONFIGS]
        header = texts[0].partition("\r\n")[0]
        joined = header + "\r\n" + "".join(text.partition("\r\n")[2] for text in texts)
        table = list(csv.DictReader(io.StringIO(joined, newline="")))
        assert len({row["run_id"] for row in table}) == len(CONFIGS)
        assert all(None not in row and None not in row.values() for row in table)


def test_cloudmesh_reads_its_log(small_session: Session) -> None:
    from cloudmesh.common.StopWatch import StopWatch

    log = small_session.folder("mnist-dense") / "cloudmesh.log"
    with contextlib.redirect_stdout(io.StringIO()):
        loaded = StopWatch.load(str(log))
    table = [dict(zip(loaded["headers"], line, strict=True)) for line in loaded["data"]]
    timings = [row for row in rows(log.with_name("timings.csv")) if row["seconds"] and row["phase"]]
    assert [line["timer"] for line in table] == [row["phase"] for row in timings]
    for line, row in zip(table, timings, strict=True):
        assert float(line["time"]) == pytest.approx(float(row["seconds"]), abs=0.0006)
        assert line["status"] == "ok"
        assert line["tag"] == "a tag with all it takes"
    header = next(line for line in log.read_text().splitlines() if line.startswith("# csv,"))
    assert header.startswith(
        "# csv,timer,status,time,sum,start,tag,msg,uname.node,user,uname.system,platform.version,"
        "run_id,"
    )
    assert re.search(r"^\| uname.node +\|", log.read_text(), re.MULTILINE)


def test_results_go_to_stdout_and_the_rest_to_stderr(small_session: Session) -> None:
    out, err = small_session.done.stdout, small_session.done.stderr
    assert "cpu_model" in out
    assert "Median" in out
    assert "Test accuracy:" in out
    # A machine that is busy while the tests run is warned of.
    lines = [line for line in err.strip().splitlines() if not line.startswith("warning: ")]
    assert len(lines) == 9
    assert lines[0].startswith("[1/9] ")
    assert "cuda" not in (out + err).lower()
    log = (small_session.folder("mnist-dense") / "log.txt").read_text()
    assert "repeat 2 ended: ok" in log
    assert all(line in log for line in err.splitlines() if line.startswith("warning: "))


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory, small_session: Session) -> Session:
    """Two of the small session's configs once more, spawned, and printed as JSON."""
    return benchmark_here(
        tmp_path_factory.mktemp("again"), "mnist-dense", "mnist-cnn", *FEW, "--format", "json",
        "--set", "training.epochs=2", "--start-method", "spawn", "-q", "--no-calibrate",
    )  # fmt: skip


@pytest.mark.parametrize("config", ["mnist-dense", "mnist-cnn"])
def test_the_same_root_gives_the_same_numbers(
    config: str, small_session: Session, again: Session
) -> None:
    for name in ("test_loss", "test_accuracy", "train_loss", "train_accuracy"):
        assert again.metric(config, name)[0] == small_session.metric(config, name)[0]
    first, second = small_session.metric(config, "train_loss")
    assert first != second, "repeats of one root must differ"


def test_a_spawned_repeat_imports_for_itself(again: Session) -> None:
    for config in ("mnist-dense", "mnist-cnn"):
        [row] = [r for r in rows(again.folder(config) / "timings.csv") if r["phase"] == "import"]
        assert row["status"] == "ok"
        assert float(row["seconds"]) > 0.5


def test_json_on_stdout_agrees_with_the_files(again: Session) -> None:
    assert again.done.stderr == ""
    told = json.loads(again.done.stdout)
    for told_run in told["runs"]:
        folder = Path(told_run["folder"])
        train = next(r for r in rows(folder / "timings.csv") if r["phase"] == "train")
        [repeat] = told_run["repeats"]
        assert repeat["phases"]["train"]["seconds"] == float(train["seconds"])
        phases = {summary["phase"]: summary for summary in told_run["phases"]}
        assert phases["train"]["median_seconds"] == float(train["seconds"])
        assert phases["train"]["iqr_seconds"] is None
        contended = [
            int(row["repeat"])
            for row in rows(folder / "metrics.csv")
            if (row["metric"], row["value"]) == ("contended", "true")
        ]
        assert told_run["contended_repeats"] == contended
        calm = {summary["phase"]: summary for summary in told_run["phases_without_contended"]}
        assert calm["train"]["n"] == 1 - len(contended)
        assert told_run["drift"] is None
    log = (folder / "log.txt").read_text()
    assert [f"warning: {text}" in log for text in told["warnings"]] == [True] * len(
        told["warnings"]
    )


def test_csv_on_stdout_is_the_file(tmp_path: Path) -> None:
    session = benchmark_here(
        tmp_path, "mnist-dense-relu", *FEW, "--format", "csv",
        "--set", "training.epochs=1", "--set", "training.loss=sparse_categorical_crossentropy",
        "--set", "dataset.normalization=standardize", "--set", "training.validation=0.25",
        "--no-calibrate",
    )  # fmt: skip
    file = session.folder("mnist-dense-relu") / "timings.csv"
    assert session.done.stdout == file.read_text(encoding="utf-8")
    assert session.metric("mnist-dense-relu", "train_samples") == ["384"]
    assert session.metric("mnist-dense-relu", "steps_per_epoch") == ["12"]


def test_a_users_own_copy_is_used_and_said(tmp_path: Path) -> None:
    import numpy as np

    random = np.random.default_rng(0)
    np.savez(
        tmp_path / "own.npz",
        x_train=random.integers(0, 256, (64, 28, 28), np.uint8),
        y_train=np.arange(64) % 10,
        x_test=random.integers(0, 256, (32, 28, 28), np.uint8),
        y_test=np.arange(32) % 10,
    )
    (tmp_path / "own.yaml").write_text("dataset: {path: own.npz}\nmodel: {family: dense}\n")
    session = benchmark_here(tmp_path / "results", str(tmp_path / "own.yaml"), "--no-calibrate")
    assert session.done.returncode == 0, session.done.stderr
    assert "own.npz is not the published MNIST" in session.done.stdout
    facts = {r["attribute"]: r["value"] for r in rows(session.folder("own") / "machine.csv")}
    assert facts["dataset_canonical"] == "false"
    assert facts["dataset_x_train_sha256"] != MNIST.digests["x_train"]


def test_machine_info_alone(tmp_path: Path) -> None:
    done = run_here("machine-info", "--format", "csv", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    table = {r["attribute"]: r["value"] for r in csv.DictReader(io.StringIO(done.stdout))}
    assert table["tensorflow_version"]
    assert table["cpu_threads"] == str(os.cpu_count())
    assert not list(tmp_path.iterdir())


def test_metrics_are_documented(small_session: Session) -> None:
    results = (Path(__file__).parents[1] / "docs" / "results.md").read_text()
    for config in ("mnist-dense", "mnist-dense-relu"):
        for row in rows(small_session.folder(config) / "metrics.csv"):
            name = row["metric"].replace("_1_", "_N_").replace("_2_", "_N_")
            assert f"`{name}`" in results, name
