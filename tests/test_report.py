"""`mnistbench report`: what it says of results, by the file that it wrote."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import HEAVY, run_here
from fake_sweeps import Fake, plan_of, quiet, terms
from hand_written_runs import MACHINE, NOISE, OTHER_NOISE, compare, times, write, write_run

from mnistbench.report.document.bars import Bar, _told_apart
from mnistbench.results.rows import RateRow, to_csv

REFERENCE = Path(__file__).parents[1] / "results" / "reference"
OTHER = {**MACHINE, "node": "bert", "cpu_model": "Other", "tensorflow_version": "2.20.0"}
HOSTILE = "<script>window.hurt=1</script>\"'&<img src=x onerror=window.hurt=1>"


class Page(HTMLParser):
    """What a reader of the page's source finds: its first line, texts, tables and charts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self._open: list[str] = []
        self._caption = ""
        self.heading = ""
        self.feed(text)
        found = re.search(r'id="charts">(.*?)</script>', text, re.DOTALL)
        assert found is not None
        self.charts = {chart["name"]: chart for chart in json.loads(found[1])}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)
        if tag == "caption":
            self._caption = ""
        elif tag == "tr":
            self.tables.setdefault(self._caption, []).append([])
        elif tag in ("th", "td"):
            self.tables[self._caption][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "caption" in self._open:
            self._caption += data
        elif "h1" in self._open:
            self.heading += data
        elif {"th", "td"} & {*self._open} and "unseen" not in self.last_class():
            self.tables[self._caption][-1][-1] += data

    def last_class(self) -> str:
        return self.tags[-1][1].get("class") or ""


def report(*arguments, output: Path):
    """Run the command in this process; return the page it wrote."""
    done = run_here("report", *map(str, arguments), "-o", str(output))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    page = Page(output.read_text(encoding="utf-8"))
    assert done.stdout.splitlines()[0] == page.heading
    return page


@pytest.fixture
def two_machines(tmp_path):
    """Two machines, of which the second takes twice as long to train, and as long to test."""
    anna = write_run(tmp_path / "anna-run", {"train": times(10), "test": times(1)})
    bert = write_run(
        tmp_path / "bert-run",
        {"train": times(20, OTHER_NOISE), "test": times(1.001, OTHER_NOISE)},
        machine=OTHER,
    )
    return anna, bert


def test_the_first_line_says_what_compare_says(two_machines, tmp_path):
    page = report(*two_machines, output=tmp_path / "report.html")
    assert page.heading.startswith("bert trains mnist-dense 2.00x slower than anna (1.9")
    _, output, _ = compare(*two_machines, "--format", "csv")
    judged = {row["phase"]: row for row in csv.DictReader(output.splitlines())}
    shown = {row[1]: row for row in page.tables["BASE anna, NEW bert"][1:]}
    assert {name: row[-1] for name, row in shown.items()} == {
        name: row["verdict"] for name, row in judged.items()
    }
    low, high = (f"{float(judged['train'][end]):.2f}x" for end in ("low", "high"))
    assert f"({low} to {high} slower)" in page.heading
    assert shown["train"][6] == f"{low} to {high} slower"


def test_nothing_else_differs(two_machines, tmp_path):
    page = report(*two_machines, output=tmp_path / "report.html")
    verdict = next(row[-1] for row in page.tables["BASE anna, NEW bert"] if row[1] == "test")
    assert page.heading.endswith(
        "; nothing else differs beyond 5 %." if verdict == "same" else f"; test: {verdict}."
    )


def test_what_differs_is_marked_and_first(two_machines, tmp_path):
    page = report(*two_machines, output=tmp_path / "report.html")
    rows = page.tables["Machines side by side"]
    assert rows[0] == ["Fact", "Of", "anna", "bert"]
    assert [row[0] for row in rows[1:3]] == ["cpu_model", "tensorflow_version"]
    assert rows[1][2:] == ["AMD EPYC", "Other"]
    marked = [a for tag, a in page.tags if tag == "td" and "differs" in (a.get("class") or "")]
    assert len(marked) == 4
    assert "2 of " in page.text


def test_one_file_of_several_machines_is_told_apart_by_machine(two_machines, tmp_path):
    merged = tmp_path / "merged.csv"
    first, second = (folder.joinpath("timings.csv").read_text() for folder in two_machines)
    write(merged, first + second)
    page = report(merged, output=tmp_path / "report.html")
    assert page.heading.startswith("bert trains mnist-dense 2.00x slower than anna (")


def test_a_folder_of_runs_is_told_apart_by_machine(two_machines, tmp_path):
    page = report(tmp_path, output=tmp_path / "report.html")
    assert page.heading.startswith("bert trains mnist-dense 2.00x slower than anna (")


def test_the_configs_of_one_session_are_set_against_each_other(tmp_path):
    for name, seconds, noise in (("mnist-dense", 10, NOISE), ("mnist-mlp", 30, OTHER_NOISE)):
        write_run(
            tmp_path / "runs" / name,
            {"train": times(seconds, noise)},
            session="s1",
            config=name,
        )
    page = report(tmp_path / "runs", output=tmp_path / "report.html")
    assert page.heading.startswith("mnist-mlp trains 3.00x slower than mnist-dense (")
    assert page.heading.endswith("; but it is not the same work.")


def test_the_same_is_told_as_same_and_the_unsure_as_that(tmp_path):
    base = write_run(tmp_path / "base", {"train": times(10)}, session="s")
    same = write_run(tmp_path / "same", {"train": times(10.01, OTHER_NOISE)}, session="s")
    once = write_run(tmp_path / "once", {"train": [13.0]})
    page = report(base, same, output=tmp_path / "report.html")
    assert page.heading.startswith("same trains mnist-dense as fast as base, within 5 % (")
    page = report(base, once, output=tmp_path / "report.html")
    assert page.heading.startswith(
        "Whether once trains mnist-dense faster or slower than base cannot be told"
    )
    assert "2 or more are needed" in page.heading


def test_several_are_counted(two_machines, tmp_path):
    third = write_run(
        tmp_path / "carl-run", {"train": times(5), "test": times(1)}, machine={"node": "carl"}
    )
    page = report(*two_machines, third, output=tmp_path / "report.html")
    assert page.heading == "Against anna on mnist-dense, of 2: 1 slower (bert), 1 faster (carl)."


def test_what_cannot_be_compared_is_told(tmp_path):
    base = write_run(tmp_path / "base", {"train": times(1)})
    other = write_run(tmp_path / "other", {"train": times(1)}, data_digest="d2")
    page = report(base, other, output=tmp_path / "report.html")
    assert page.heading.startswith("other and base cannot be compared on mnist-dense: not the same")


def test_one_run_alone(tmp_path):
    run = write_run(tmp_path / "run", {"train": times(10), "test": times(1)})
    page = report(run, output=tmp_path / "report.html")
    assert re.fullmatch(
        r"mnist-dense trains in (9\.\d+|10\.\d+) s on anna \(.* s to .* s, 10 repeats\)\.",
        page.heading,
    )
    assert "Verdicts" not in page.text


def test_phases_are_bars_and_repeats_are_dots(two_machines, tmp_path):
    page = report(*two_machines, output=tmp_path / "report.html")
    phases = page.charts["phases"]["data"]
    assert [trace["name"] for trace in phases] == ["train", "test"]
    assert phases[0]["y"] == ["anna", "bert"]
    assert phases[0]["x"][1] == pytest.approx(20, rel=0.01)
    assert phases[0]["error_x"]["array"][0] > 0
    repeats = page.charts["repeats"]["data"]
    assert sorted(repeats[0]["y"]) == pytest.approx(sorted(times(10)))
    shown = page.tables["Phases"]
    assert [row[:3] for row in shown[1:]] == [
        ["anna", "train", "10"], ["anna", "test", "10"], ["bert", "train", "10"],
        ["bert", "test", "10"],
    ]  # fmt: skip


def test_a_drift_is_shown_in_order(tmp_path):
    rising = [10 * 1.03**number for number in range(12)]
    drifts = {"drift_train_p_value": "0.0001", "drift_train_ratio": "1.33"}
    run = write_run(tmp_path / "run", {"train": rising}, machine=drifts)
    page = report(run, output=tmp_path / "report.html")
    assert page.charts["order"]["data"][0]["x"] == list(range(1, 13))
    assert page.charts["order"]["data"][0]["y"] == pytest.approx(rising)
    assert page.tables["Repeats in the order measured, where they drifted"][1][2] == "1.384"
    steady = write_run(tmp_path / "steady", {"train": times(10)})
    assert "order" not in report(steady, output=tmp_path / "report.html").charts


def test_curves_are_medians_over_the_repeats(tmp_path):
    metrics = {
        "epoch_1_train_accuracy": ([0.5, 0.7, 0.6], "1"),
        "epoch_2_train_accuracy": ([0.8, 0.8, 0.9], "1"),
        "epoch_1_train_loss": ([1.5, 1.4, 1.3], ""),
        "epoch_2_train_loss": ([0.9, 0.8, 1.0], ""),
    }
    run = write_run(tmp_path / "run", {"train": times(1)[:3]}, metrics=metrics)
    page = report(run, output=tmp_path / "report.html")
    (accuracy,) = page.charts["accuracy"]["data"]
    assert (accuracy["x"], accuracy["y"]) == ([1, 2], [0.6, 0.8])
    assert page.charts["loss"]["data"][0]["y"] == [1.4, 0.9]
    assert page.tables["Accuracy by epoch"][1][4:] == ["60.00 %", "50.00 %", "70.00 %"]


def test_the_roof_is_that_of_the_peak(tmp_path):
    metrics = {
        "train_flops_per_second": ([2e9] * 10, "FLOP/s"),
        "train_bytes_per_second": ([1e9] * 10, "bytes/s"),
    }
    run = write_run(
        tmp_path / "run", {"train": times(1)}, metrics=metrics, precision="float32"
    )  # fmt: skip
    rows = [
        RateRow("run", workload, 1, moment, 0.1, rate, unit)
        for moment in ("before", "after")
        for workload, rate, unit in (
            ("matmul-float32", 100e9, "FLOP/s"), ("memory-copy", 10e9, "bytes/s"),
        )
    ]  # fmt: skip
    write(run / "peak.csv", to_csv(rows, RateRow))
    page = report(run, output=tmp_path / "report.html")
    row = page.tables["Roofline"][1]
    assert row[1:] == ["2.00 GFLOP/s", "2", "100 GFLOP/s", "10.0 GB/s", "10.0%"]


def test_what_disturbed_is_told(tmp_path):
    metrics = {
        "contended": (["false"] * 9 + ["true"], ""),
        "other_cpu_share": ([0.01] * 9 + [0.35], "1"),
    }
    run = write_run(tmp_path / "run", {"train": times(1)}, metrics=metrics)
    page = report(run, output=tmp_path / "report.html")
    row = page.tables["Evidence of contention"][1]
    assert row[2:4] == ["1 of 10", "35.0%"]
    assert max(page.charts["contention"]["data"][0]["y"]) == 0.35


def test_text_of_results_stays_text(two_machines, tmp_path):
    _, bert = two_machines
    hostile = write_run(
        tmp_path / "hostile", {"train": times(30), HOSTILE: times(2)},
        machine={**OTHER, "node": HOSTILE, "cpu_model": HOSTILE}, tag=HOSTILE,
    )  # fmt: skip
    page = report(bert, hostile, output=tmp_path / "report.html")
    assert [tag for tag, _ in page.tags if tag in ("img", "iframe", "object")] == []
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    assert len(scripts) == 3
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert HOSTILE.replace("&", "&") in page.heading


def test_nothing_is_fetched(two_machines, tmp_path):
    page = report(*two_machines, output=tmp_path / "report.html")
    for tag, attributes in page.tags:
        assert "src" not in attributes, tag
        assert (attributes.get("href") or "#").startswith("#"), tag
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert len(page.text) < 3_000_000


def test_every_chart_has_its_table(two_machines, tmp_path):
    page = report(*two_machines, output=tmp_path / "report.html")
    figures = [a["data-chart"] for tag, a in page.tags if "data-chart" in a]
    assert sorted(figures) == sorted(page.charts)
    assert len(figures) == len([tag for tag, _ in page.tags if tag == "figure"]) >= 2


def test_markdown_has_every_table(two_machines):
    done = run_here("report", *map(str, two_machines), "--format", "markdown")
    assert done.returncode == 0
    assert done.stdout.startswith("# bert trains mnist-dense 2.00x slower than anna")
    assert "| cpu\\_model | hardware | **AMD EPYC** | **Other** |" in done.stdout
    assert "| anna | train | 10 |" in done.stdout


@pytest.mark.parametrize(("ending", "head"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_each_figure_is_a_file_by_its_name(two_machines, tmp_path, ending, head):
    arguments = [*map(str, two_machines), "--format", ending, "-o", str(tmp_path / "out")]
    done = run_here("report", *arguments)
    assert done.returncode == 0, done.stderr
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == [f"phases.{ending}", f"repeats.{ending}"]
    assert all(path.read_bytes().startswith(head) for path in (tmp_path / "out").iterdir())
    done = run_here("report", *arguments[:-1], str(tmp_path / "one"), "--figure", "phases")
    assert [path.name for path in (tmp_path / "one").iterdir()] == [f"phases.{ending}"]
    done = run_here("report", *arguments, "--figure", "phase")
    assert done.returncode == 2
    assert done.stderr == "mnistbench: --figure: no figure 'phase'; there are phases, repeats\n"


def test_a_sweep_of_two_settings(tmp_path):
    from mnistbench.session.sweep.sweep import start_sweep

    plan = plan_of("training.epochs=1,2,4", "training.batch_size=32,64", repeats=3)
    result = start_sweep(plan, tmp_path, terms(Fake()), quiet)
    page = report(result.folder, output=tmp_path / "report.html")
    assert page.heading.startswith("mnist-dense: 6 points x 3 repeats. Best test accuracy: ")
    assert {*page.charts} == {"sweep", "heat-accuracy", "heat-seconds"}
    heat = page.charts["heat-seconds"]["data"][0]
    assert (heat["x"], heat["y"]) == (["1", "2", "4"], ["32", "64"])
    assert heat["z"][0][2] == pytest.approx(1.0, rel=0.02)
    front = page.charts["sweep"]["data"][1]
    assert front["x"] == sorted(front["x"])
    assert front["y"] == sorted(front["y"])
    assert len(page.tables["Points"]) == 7
    assert page.tables["What each setting does, all else equal"][1][:3] == ["epochs", "1", "2"]


def test_a_sweep_of_three_settings_is_drawn_side_by_side(tmp_path):
    from mnistbench.session.sweep.sweep import start_sweep

    plan = plan_of("training.epochs=1,2", "training.batch_size=32,64", "training.seed=1,2")
    result = start_sweep(plan, tmp_path, terms(Fake()), quiet)
    page = report(result.folder, output=tmp_path / "report.html")
    assert len(page.charts["parallel"]["data"]) == 8
    names = ["epochs", "batch_size", "seed", "train seconds", "test accuracy"]
    assert page.charts["parallel"]["layout"]["xaxis"]["ticktext"] == names


def test_the_reference_runs(tmp_path):
    cloud, colab = REFERENCE / "two-core-cloud-vm", REFERENCE / "lesson-2019-colab"
    page = report(cloud, output=tmp_path / "report.html")
    assert page.heading.startswith("vm measured 7 configs; nothing here is set against another")
    page = report(colab, cloud, output=tmp_path / "report.html")
    assert "8281485b0a16" in page.heading
    assert "None of 3 facts differs. 35 are known of one side alone." in page.text
    lines = page.charts["accuracy-others"]["data"]
    assert len({line["line"]["color"] for line in lines}) == len(lines) == 6, "told apart"
    logs = sorted(cloud.glob("*/cloudmesh.log"))
    page = report(*logs, output=tmp_path / "report.html")
    assert "measured 7 configs" in page.heading


def test_many_machines_are_a_crowd(tmp_path):
    rows = [
        f"r{number},mnist-dense,{repeat},train,{1 + number / 100 + repeat / 1e4},ok,node{number:03}"
        for number in range(101)
        for repeat in (1, 2, 3)
    ]
    write(
        tmp_path / "all.csv", "\n".join(["run_id,config,repeat,phase,seconds,status,node", *rows])
    )
    page = report(tmp_path / "all.csv", output=tmp_path / "report.html")
    assert page.heading == (
        "101 machines train mnist-dense in 1.500 s in the middle; half of them between 1.250 s and "
        "1.750 s; the fastest, node000, in 1.000 s, the slowest, node100, in 2.000 s."
    )
    assert page.tables["Machines by their time"][1] == ["1", "node000", "1.000 s", "1.00"]
    assert page.charts["phases"]["data"][0]["y"][0] == "fastest: node000"
    assert "Verdicts" not in page.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere: no such file or folder"),
        (["{run}", "{run}"], "is part of {run} too; give it once"),
        (["{run}", "--figure", "phases"], "--figure: html has them all; give --format png or svg"),
        (["{run}", "-o", "{run}"], "is a folder"),
        (["{run}", "-o", "{run}/no/report.html"], "cannot be written"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, arguments, words):
    run = write_run(tmp_path / "run", {"train": times(1)})
    done = run_here("report", *(word.format(run=run) for word in arguments))
    assert done.returncode == 2
    assert words.format(run=run) in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_was_not_used_is_told(tmp_path):
    run = write_run(tmp_path / "run", {"train": times(1)})
    timings = run / "timings.csv"
    write(timings, timings.read_text() + "run,mnist-dense")
    page = report(run, output=tmp_path / "report.html")
    assert "1 torn line is left out" in page.text


def test_no_framework_and_no_pandas_is_imported(tmp_path):
    run = write_run(tmp_path / "run", {"train": times(1)})
    script = (
        "import sys; from mnistbench.cli.main import command\n"
        f"command.main(['report', {str(run)!r}, '-o', {str(tmp_path / 'r.html')!r}], "
        "standalone_mode=False)\n"
        f"print(sorted({HEAVY | {'matplotlib'}} & {{*sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_two_configs_with_names_alike_each_have_their_figure(tmp_path):
    for node, factor in (("anna", 1), ("bert", 2)):
        for config in ("a b", "a-b"):
            run = write_run(
                tmp_path / f"{node}-{config}", {"train": times(factor)}, machine={"node": node}
            )
            timings = run / "timings.csv"
            write(timings, timings.read_text().replace(",mnist-dense,", f",{config},"))
    page = report(tmp_path, output=tmp_path / "report.html")
    assert {"phases-a-b", "phases-a-b-2"} <= {*page.charts}


def test_a_folder_of_runs_and_sweeps_and_a_glob_of_sweeps(tmp_path):
    from mnistbench.session.sweep.sweep import start_sweep

    for _ in range(2):
        start_sweep(plan_of("training.epochs=1,2", repeats=4), tmp_path / "s", terms(Fake()), quiet)
    page = report(tmp_path / "s" / "*-sweep-*", output=tmp_path / "report.html")
    assert page.heading.startswith("2")
    assert len([name for name in page.charts if name.startswith("sweep-")]) == 2
    assert len([name for name in page.tables if name.startswith("BASE ")]) == 1
    write_run(tmp_path / "s" / "run", {"train": times(1)})
    page = report(tmp_path / "s", output=tmp_path / "report.html")
    assert "anna" in page.heading  # the run's machine, beside the one that swept
    assert "points x 4 repeats" in page.text


def test_no_two_bars_of_a_chart_have_one_label() -> None:
    """Digests that begin alike, or that nobody knows, made one label of several bars."""
    bars = [
        Bar(label, SimpleNamespace(digest=digest), 0)
        for label, digest in [
            ("a", "12345678x"), ("a", "12345678y"), ("a 12345678", ""), ("b", ""), ("b", ""),
            ("c", ""),
        ]
    ]  # fmt: skip
    labels = [bar.label for bar in _told_apart(bars)]
    assert labels == ["a 12345678", "a 12345678 (2)", "a 12345678 (3)", "b", "b (2)", "c"]
