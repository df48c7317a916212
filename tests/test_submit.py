"""`mnistbench submit`, and the page of published results, by the files they leave."""

from __future__ import annotations

import importlib
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from conftest import failure_line, rows, run_here
from hand_written_runs import (
    ACCEPTED_MACHINE,
    ACCEPTED_SECONDS,
    compare,
    submitted_run,
    times,
    write,
    write_run,
)

from mnistbench.analysis.submission import examine
from mnistbench.results.phases import PHASES

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
FILES = ["config.yaml", "machine.csv", "metrics.csv", "timings.csv"]


def submit(*arguments):
    """Run the command in this process; return its exit code and standard output."""
    done = run_here("submit", *map(str, arguments))
    assert done.stderr == "", done.stderr
    return done.returncode, done.stdout


def refusal(*arguments):
    """Return the one line of what is no input at all."""
    done = run_here("submit", *map(str, arguments))
    assert done.returncode == 2
    return failure_line(done)


@pytest.fixture
def run(tmp_path):
    return submitted_run(tmp_path / "20261122T100000Z-mnist-dense-annas-laptop-abcdef")


@pytest.fixture
def output(tmp_path):
    return tmp_path / "published"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_accepted_run_is_published_as_it_is(run, output):
    code, said = submit(run, "-o", output)
    assert code == 0
    assert "accepted: mnist-dense, fit, 10 repeats, medians: train 19.98 s" in said
    published = output / "intel-core-i7-8-threads" / "2026-11-22" / run.name
    assert f"{published}: written: " in said
    assert contents(published) == contents(run)
    assert "make docs" in said
    assert "else: --anonymous" in said
    assert compare(run, published)[0] == 2, "one run is never set against itself"


def test_what_is_there_is_never_written_again(run, output):
    submit(run, "-o", output)
    published = next(output.glob("*/*/*"))
    before = {path: path.stat().st_mtime_ns for path in published.iterdir()}
    code, said = submit(run, "-o", output)
    assert (code, f"{published}: there already" in said) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in published.iterdir()} == before
    write(run / "log.txt", "another word\n")
    line = refusal(run, "-o", output)
    assert "is there already, with another log.txt; nothing is replaced" in line
    assert {path: path.stat().st_mtime_ns for path in published.iterdir()} == before


def test_another_machines_folder_is_left_alone(run, output, tmp_path):
    submit(run, "-o", output, "--name", "mine")
    other = submitted_run(
        tmp_path / "other", machine={"cpu_threads": "4", "cpu_affinity_threads": "4"}
    )
    line = refusal(other, "-o", output, "--name", "mine")
    assert "is of another machine: its cpu_affinity_threads is 8, that of other is 4" in line
    assert submit(other, "-o", output)[0] == 0
    assert sorted(path.name for path in output.iterdir()) == ["intel-core-i7-4-threads", "mine"]


def test_anonymous_leaves_no_name_and_no_path(run, output):
    write(run / "log.txt", "eve on annas-laptop in /home/eve\n")
    write(run / "cloudmesh.log", "eve on annas-laptop\n")
    code, said = submit(run, "-o", output, "--anonymous")
    assert code == 0
    assert "else: --anonymous" not in said
    published = next(output.glob("*/*/*"))
    assert re.fullmatch(r"20261122T100100Z-mnist-dense-anonymous-[0-9a-f]{6}", published.name)
    assert sorted(contents(published)) == FILES
    for name, content in contents(published).items():
        for word in ("eve", "annas", "laptop", "/home", "example.org", run.name):
            assert word not in content.decode(), (name, word)
    facts = {row["attribute"]: row["value"] for row in rows(published / "machine.csv")}
    assert facts["cpu_model"] == ACCEPTED_MACHINE["cpu_model"]
    assert (facts["env_OMP_NUM_THREADS"], facts["env_XLA_FLAGS"]) == ("8", "")
    assert {*facts} & {"node", "user", "python_executable"} == set()


def test_anonymous_runs_say_the_same_as_before(run, output):
    submit(run, "-o", output, "--anonymous")
    published = next(output.glob("*/*/*"))
    before, after = examine(run), examine(published)
    assert after.refused == ()
    assert (after.seconds("train"), after.accuracies) == (
        before.seconds("train"),
        before.accuracies,
    )
    assert after.config.digest() == before.config.digest()
    assert (published / "config.yaml").read_text() == (run / "config.yaml").read_text()
    code, said = submit(run, "-o", output, "--anonymous")
    assert (code, "there already" in said) == (0, True)
    assert "is the same run by another name: it is there already" in refusal(run, "-o", output)
    assert len([*output.glob("*/*/*")]) == 1


def test_check_writes_nothing(run, output):
    code, said = submit(run, "-o", output, "--check")
    assert (code, "would be written" in said, output.exists()) == (0, True, False)


def torn(run):
    file = run / "timings.csv"
    file.write_bytes(file.read_bytes() + b"20261122T100000Z,mnist-d")


def of_another_config(run):
    file = run / "config.yaml"
    write(file, file.read_text().replace("batch_size: 4", "batch_size: 5"))


def trained(run):
    write(run / "history.csv", "epoch\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"settings": ("training.batch_size=128",)}, "training.batch_size is 128, shipped is 4"),
        ({"settings": ("dataset.train_samples=512",)}, "train_samples is 512, shipped is null"),
        ({"settings": ("dataset.source=synthetic",)}, "source is synthetic, shipped is auto"),
        ({"settings": ("name=mine",)}, "its config is mine, which is none of those that ship"),
        ({"repeats": 4}, "4 finished repeats are too few: measure with --repeats 5 or more"),
        ({"machine": {"dataset_canonical": "false"}}, "its images are not the published ones"),
        ({"machine": {"dataset_canonical": ""}}, "images are the published ones is not known"),
        ({"machine": {"design": "duet"}}, "was measured as duet"),
        ({"machine": {"design": "parallel:2"}}, "was measured as parallel:2"),
        ({"contended": 6}, "something else disturbed 6 of its 10 repeats: measure again"),
        ({"accuracy": 0.5}, "its test accuracy, 0.5000, is not that of this network: 0.895"),
        ({"phases": [p for p in PHASES if p != "compile"]}, "repeat 1 has no time of compile"),
        ({"config_digest": "0" * 64}, "its times are of another config than its config.yaml"),
        ({"damage": of_another_config}, "its times are of another config than its config.yaml"),
        ({"damage": torn}, "1 torn line is left out"),
        ({"damage": trained}, "is a training's: only what benchmark measured is compared"),
    ],
)
def test_what_is_not_comparable_is_refused(tmp_path, output, options, said):
    good = submitted_run(tmp_path / "good")
    damage = options.get("damage", lambda run: None)
    bad = submitted_run(tmp_path / "bad", **{k: v for k, v in options.items() if k != "damage"})
    damage(bad)
    code, lines = submit(good, bad, "-o", output)
    assert code == 5
    assert f"{good}: accepted" in lines
    assert f"{bad}: refused" in lines
    assert [line for line in lines.splitlines() if "  refused: " in line and said in line], lines
    assert not output.exists(), "one that is refused keeps all back"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"contended": 5}, "something else disturbed 5 of 10 repeats"),
        ({"machine": {"repeats_planned": "20"}}, "ended before its 20 planned repeats"),
        ({"machine": {"target_ci": "0.03", "repeats_planned": ""}}, "repeated until its interval"),
        ({"machine": {"mnistbench_git_commit": "abc-dirty"}}, "with changes of its own"),
        ({"settings": ("training.seed=7",)}, "its seed is 7, shipped is 42"),
        ({"settings": ("training.execution=fused",)}, "OMP_NUM_THREADS=8 was set"),
        ({"settings": ("backend=jax",), "backend": "jax"}, "OMP_NUM_THREADS=8 was set"),
        (
            {"machine": {"drift_train_p_value": "0.001", "drift_train_ratio": "1.2"}},
            "it drifted: the last training took 1.20 times as long as the first",
        ),
    ],
)
def test_what_a_reader_must_know_is_remarked(tmp_path, output, options, said):
    code, lines = submit(submitted_run(tmp_path / "run", **options), "-o", output)
    assert code == 0, lines
    assert f"  remark: {said}" in lines or f"{said}\n" in lines


def test_failed_repeats_and_unknown_evidence_are_remarked(tmp_path, output):
    measured = {phase: [*times(ACCEPTED_SECONDS.get(phase, 0.3))[:9], None] for phase in PHASES}
    run = write_run(tmp_path / "run", measured, machine=ACCEPTED_MACHINE)
    code, said = submit(run, "-o", output)
    assert code == 0, said
    assert "  remark: 1 repeat did not finish" in said
    assert "  remark: whether something else disturbed it is not known" in said


@pytest.mark.parametrize(
    ("name", "said"),
    [("machine.csv", "lacks machine.csv"), ("config.yaml", "lacks config.yaml")],
)
def test_a_part_of_a_run_is_no_run(run, output, name, said):
    (run / name).unlink()
    assert said in refusal(run, "-o", output)


def test_what_is_no_run_folder_is_wrong_input(run, output, tmp_path):
    run_here("merge", str(run), "-o", str(tmp_path / "all"))
    assert "is a merged folder" in refusal(tmp_path / "all", "-o", output)
    write(tmp_path / "all.csv", (run / "timings.csv").read_text())
    assert "is no folder of a run" in refusal(tmp_path / "all.csv", "-o", output)
    assert "no such file or folder" in refusal(tmp_path / "nowhere", "-o", output)
    odd = submitted_run(tmp_path / "odd", run_id="../../../elsewhere")
    assert "is no id of a run of ours" in refusal(odd, "-o", output)
    assert "is no name of a machine" in refusal(run, "-o", output, "--name", "../up")
    unknown = submitted_run(tmp_path / "unknown", machine={"cpu_model": ""})
    assert "name the machine: --name NAME" in refusal(unknown, "-o", output)
    assert not output.exists()


@pytest.fixture(scope="module")
def page():
    """The script that writes the page of published results."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs")
        yield importlib.import_module("standings_page")


def test_the_committed_page_is_that_of_the_files(page: ModuleType) -> None:
    published = page.rows_of(RESULTS)
    assert (RESULTS / "README.md").read_text() == page.page(published), "run: make docs"
    for theme in page.THEMES:
        committed = (RESULTS / page.CHART.format(theme)).read_text()
        # Another Matplotlib may draw another line; what is said stays.
        assert words(committed) == words(page.chart(published, theme)), "run: make docs"


def words(svg):
    return sorted(re.findall(r"<text [^>]*>([^<]*)</text>", svg))


def test_every_published_run_would_be_accepted() -> None:
    files = sorted((RESULTS / "machines").glob("*/*/*/timings.csv"))
    found = {str(file.parent): examine(file.parent).refused for file in files}
    assert {folder: lines for folder, lines in found.items() if lines} == {}


def test_the_page_has_a_row_for_each_machine_and_execution(page, run, tmp_path):
    results = tmp_path / "results"
    for name in ("lesson-2019-colab", "two-core-cloud-vm-peers"):
        shutil.copytree(RESULTS / "reference" / name, results / "reference" / name)
    one = next((RESULTS / "reference").glob("two-core-cloud-vm/*-mnist-dense-vm-*"))
    shutil.copytree(one, results / "reference" / "two-core-cloud-vm" / one.name)
    fused = submitted_run(
        tmp_path / "fused", settings=("training.execution=fused",), repeats=5, contended=2
    )
    submit(run, fused, "-o", results / "machines")
    published = page.rows_of(results)
    text = page.page(published)
    table = [line.split(" | ") for line in text.splitlines() if line.startswith("| [")]
    lesson, new = table[0], table[-2:]
    assert "Google Colab" in lesson[0]
    assert (lesson[1], lesson[4]) == ("2019-09-27", "*20.58 (1)*")
    assert [row[2] for row in new] == ["`fit`", "`fused`"]
    assert [row[4] for row in new] == ["19.98 (10)", "20.06 (5)"]
    assert {cell for row in new for cell in row[5:-1]} == {""}, "what nobody measured is empty"
    assert all("intel-core-i7-8-threads" in row[0] for row in new)
    assert "something else disturbed 2 of 5 repeats" in text
    assert "2019-09-27" in page.chart(published, "dark")
