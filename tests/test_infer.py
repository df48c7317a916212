"""`mnistbench infer`: what it writes, that its answers are evaluate's, and what it refuses."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import failure_line, rows, run_here

from mnistbench.analysis.inference import summaries, usual_metrics
from mnistbench.errors import RunError
from mnistbench.measuring.answers import check_answers
from mnistbench.results.inference import (
    WAYS,
    InferenceRow,
    metric_names,
    percentile_seconds,
    queries_needed,
)
from mnistbench.results.metrics import known_kind

FEW = ("--set", "dataset.train_samples=512", "--set", "dataset.test_samples=300")
SHORT = ("--seconds", "0.1", "-q")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("trained")
    done = run_here("train", "mnist-dense", *FEW, "--set", "training.batch_size=64", "-q",
                    "--output", str(output))  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder,) = output.iterdir()
    return folder


@pytest.fixture(scope="module")
def applied(trained: Path) -> tuple[Path, str]:
    """The folder of a run of every way at two batch sizes, and what was printed."""
    done = run_here("infer", str(trained), "--batch-sizes", "1,64", "--repeats", "1", *SHORT)
    assert done.returncode == 0, done.stderr
    (folder,) = (trained / "inference").iterdir()
    return folder, done.stdout


def test_every_way_at_every_size_is_a_fresh_process_of_each_round(
    applied: tuple[Path, str],
) -> None:
    folder, printed = applied
    table = rows(folder / "inference.csv")
    assert {(row["execution"], row["batch_size"]) for row in table} == {
        (way, size) for way in WAYS for size in ("1", "64")
    }
    assert [row["repeat"] for row in table] == ["1", "2", "3", "4", "5", "6"]
    times = rows(folder / "timings.csv")
    phases = ["import", "data-load", "model-load", "preprocess", "warm-up", "infer", "total"]
    assert [row["phase"] for row in times if row["repeat"] == "1"] == phases
    for row in table:
        assert row["execution"] in printed
        assert int(row["queries"]) >= queries_needed(50)
        assert 0 < float(row["latency_seconds"]) < 10
        assert int(row["offline_images"]) == 300 // int(row["batch_size"]) * int(row["batch_size"])
        assert float(row["largest_difference"]) <= 1e-4
        if row["execution"] != "predict":  # which alone makes a pipeline, and releases it
            assert float(row["teardown_seconds"]) == 0
    assert "Answers are those of evaluate" in printed
    assert "not trained" not in printed.lower()
    facts = {row["attribute"]: row["value"] for row in rows(folder / "machine.csv")}
    assert facts["model"].endswith("model.keras")
    assert facts["model_trained"] == "true"


def test_the_processor_time_of_a_query_is_a_share_of_the_phase(applied: tuple[Path, str]) -> None:
    folder, _ = applied
    phases = {
        row["repeat"]: float(row["cpu_seconds"])
        for row in rows(folder / "timings.csv") if row["phase"] == "infer"
    }  # fmt: skip
    metrics = rows(folder / "metrics.csv")
    for row in rows(folder / "inference.csv"):
        name = f"{row['execution']}_batch_{row['batch_size']}_cpu_seconds"
        (value,) = (
            float(metric["value"]) for metric in metrics
            if (metric["repeat"], metric["metric"]) == (row["repeat"], name)
        )  # fmt: skip
        assert 0 < value * int(row["queries"]) < phases[row["repeat"]]


def test_metrics_are_those_of_the_table_and_all_known(applied: tuple[Path, str]) -> None:
    folder, _ = applied
    metrics = {(m["repeat"], m["metric"]): m for m in rows(folder / "metrics.csv")}
    for row in rows(folder / "inference.csv"):
        for column, name in metric_names(row["execution"], int(row["batch_size"])).items():
            found = metrics[row["repeat"], name]
            assert found["value"] == row[column]
            kind = known_kind(name)
            assert kind is not None
            assert kind.unit == found["unit"]
            assert kind.is_pace


def test_percentiles_that_the_queries_are_too_few_for_are_empty_and_named(
    applied: tuple[Path, str],
) -> None:
    folder, printed = applied
    for row in rows(folder / "inference.csv"):
        for percentile in (90, 99):
            is_told = row[f"latency_p{percentile}_seconds"] != ""
            assert is_told == (int(row["queries"]) >= queries_needed(percentile))
    # A tenth of a second holds 662 queries of no predict.
    assert "p99 takes 662 queries in one process; too few: " in printed


def test_a_report_shows_them(applied: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = applied
    page = tmp_path / "report.md"
    done = run_here("report", str(folder), "--format", "markdown", "-o", str(page))
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert re.search(r"# mnist-dense guesses 1 image in [0-9.]+ ms \((compiled|call)\); "
                     r"predict takes [0-9.]+ m?s, [0-9,.]+ times as long", text)  # fmt: skip
    assert text.count("| compiled |") == 3 * 2  # a table of all, and one to each chart


def test_as_many_queries_as_mlperf_asks_for() -> None:
    assert [queries_needed(percentile) for percentile in (50, 90, 99)] == [11, 64, 662]
    hundred = [float(n) for n in range(1, 101)]
    assert percentile_seconds(hundred, 90) == 90
    assert percentile_seconds(hundred[:63], 90) is None
    assert percentile_seconds(hundred, 99) is None


@pytest.mark.parametrize(("place", "value"), [((3, 5), 1.0), ((0, 0), 0.001), ((2, 1), np.nan)])
def test_a_wrong_answer_has_no_time(place: tuple[int, int], value: float) -> None:
    reference = np.full((8, 10), 0.1, np.float32)
    same = reference + np.float32(1e-6)
    assert check_answers("compiled", same, reference, 1e-4) == pytest.approx(1e-6, rel=0.1)
    wrong = reference.copy()
    wrong[place] += value
    with pytest.raises(RunError, match=f"compiled answers wrongly: .*image {place[0]}"):
        check_answers("compiled", wrong, reference, 1e-4)
    with pytest.raises(RunError, match="shape"):
        check_answers("compiled", reference[:4], reference, 1e-4)


WRONG_WAY = """
import sys
from pathlib import Path
from mnistbench.measuring.inside.framework import import_record
imported = import_record()
from mnistbench.config.loading import load_config
from mnistbench.errors import RunError
from mnistbench.measuring.inside import applying, infer
from mnistbench.measuring.jobs import InferJob

config = load_config("mnist-dense", ["dataset.test_samples=64", "dataset.train_samples=64"])

class OneReversed(applying.Compiled):
    def one(self, images):
        return super().one(images[::-1])

class OfflineReversed(applying.Compiled):
    def offline(self, images):
        return super().offline(images[::-1])

for way in (OneReversed, OfflineReversed):
    applying.WAYS["compiled"] = way
    job = InferJob(config, "cpu", 1, None, 1, 1, "compiled", 8, 0.05)
    try:
        infer.run_inference(job, imported, lambda message: None)
    except RunError as error:
        print(error)
"""


def test_a_way_that_answers_wrongly_is_found_out() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WRONG_WAY],
        capture_output=True, text=True, env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )  # fmt: skip
    assert done.stdout.count("compiled at batch size 8 answers wrongly") == 2, done.stderr


def test_a_config_is_not_trained_and_two_of_a_call_are_compared_in_pairs(tmp_path: Path) -> None:
    done = run_here(
        "infer", "mnist-dense", "mnist-dense-relu", "--executions", "compiled",
        "--batch-sizes", "8", "--repeats", "2", *FEW, *SHORT, "--format", "json",
        "--output", str(tmp_path), "--tag", "pair",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [run["trained"] for run in told["runs"]] == [False, False]
    assert [len(run["processes"]) for run in told["runs"]] == [2, 2]
    folders = [run["folder"] for run in told["runs"]]
    names = usual_metrics(folders)
    assert names == ("compiled_batch_8_latency_seconds", "compiled_batch_8_samples_per_second")
    compared = run_here("compare", *folders, "--format", "json", "--fail-on", "none")
    assert compared.returncode == 0, compared.stderr
    (config,) = json.loads(compared.stdout)["comparisons"][0]["configs"]
    assert {metric["metric"] for metric in config["metrics"]} == set(names)
    assert not config["phases"]
    for metric in config["metrics"]:
        assert metric["n_base"] == metric["n_new"] == 2
    assert "paired: measured interleaved" in json.dumps(config)


def test_one_program_is_faster_than_predict_by_far(applied: tuple[Path, str]) -> None:
    folder, _ = applied
    seconds = {
        row["execution"]: float(row["latency_seconds"])
        for row in rows(folder / "inference.csv")
        if row["batch_size"] == "1"
    }
    assert seconds["predict"] > 10 * seconds["compiled"]


def test_the_order_of_the_ways_is_drawn_and_ratios_are_of_one_round() -> None:
    def row(number: int, way: str, seconds: float) -> InferenceRow:
        return InferenceRow(
            1, number, way, 1, 0.1, 20, seconds, seconds, None, None, 8, 1, 9.0, 8, 0
        )

    measured = [row(n, "predict", 0.01 * n) for n in (1, 2, 3)]
    measured += [row(n, "compiled", 0.001 * n) for n in (3, 2, 1)]
    predict, compiled = summaries(measured)
    assert (predict.n, predict.latency_seconds, predict.times_faster) == (3, 0.02, None)
    assert compiled.times_faster == pytest.approx(10)
    assert compiled.latency_p90_seconds == pytest.approx(0.002)
    assert compiled.latency_p99_seconds is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("mnist-dense", "--batch-sizes", "10001"), "a batch of 10,001 is more than the 10,000"),
        (("mnist-dense", "--batch-sizes", "0"), "'0' is not a whole number from 1"),
        (("mnist-dense", "--batch-sizes", "8,8"), "8 is there twice"),
        (("mnist-dense", "--seconds", "0"), "'0' is not a time above 0"),
        (("mnist-dense", "--seconds", "-1"), "'-1' is not a time above 0"),
        (("mnist-dense", "--executions", "turbo"), "'turbo' is none of predict, call, compiled"),
        (("mnist-dense", "--config", "mnist-cnn"), "mnist-dense is a config"),
        (("no-such-config",), "no config named 'no-such-config'"),
        (("nowhere.keras",), "no such file or folder"),
        ((".",), "holds no model.keras"),
    ],
)
def test_refused_in_one_line(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = run_here("infer", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in failure_line(done)
    assert not [*tmp_path.iterdir()]


def test_the_network_of_a_model_cannot_be_set(trained: Path) -> None:
    done = run_here("infer", str(trained), "--set", "model.hidden_units=[3]")
    assert done.returncode == 2
    assert "the network is that of" in failure_line(done)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_framework_applies_what_was_trained(
    backend: str, trained: Path, tmp_path: Path
) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = run_here(
        "infer", str(trained), "--backend", backend, "--batch-sizes", "8", "--repeats", "1",
        "--executions", "call,compiled", *SHORT, "--output", str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    assert {row["backend"] for row in rows(folder / "timings.csv")} == {backend}
    assert len(rows(folder / "inference.csv")) == 2


def test_rounds_are_in_orders_of_their_own() -> None:
    from mnistbench.config.loading import load_config
    from mnistbench.session.infer import InferencePlan, Subject, _Rounds

    subjects = (Subject(load_config("mnist-dense"), None), Subject(load_config("mnist-mlp"), None))
    plan = InferencePlan(subjects, tuple(WAYS), (1, 8), 1.0, 3)
    rounds = _Rounds(plan)
    turns = []
    while (turn := rounds.next_turn()) is not None:
        turns.append(turn)
    assert len(turns) == rounds.expected_turns == 36
    assert [turn.order for turn in turns] == [*range(1, 37)]
    # Both subjects have a way one after the other, and all ways of a round before the next.
    assert all(one.repeat == other.repeat for one, other in list(pairwise(turns))[::2])
    orders = [[rounds.cell(6 * n + place)[1] for place in range(1, 7)] for n in range(3)]
    assert all(sorted(order) == sorted(plan.cells) for order in orders)
    assert orders[0] != orders[1]
    assert [rounds.cell(repeat)[0] for repeat in (1, 6, 7, 18)] == [1, 1, 2, 3]
