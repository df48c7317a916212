"""Every command that the documents show is run, or at least parsed.

One folder holds what the pages speak of (`results/RUN`, `a.yaml`, `laptop.csv`, ...); the commands
are run in it as they stand, in the order of the pages, equal ones once. `benchmark` and `sweep` are
given a stand-in for the processes that train, as other files test those; `train` and `evaluate` are
real, on few images.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click import ClickException, Command, Context, Group, MissingParameter
from click.exceptions import NoArgsIsHelpError
from conftest import FEW, run_here
from doc_pages import ROOT, Shown, commands_of, shown_commands, spoken_of
from fake_sweeps import Fake
from hand_written_runs import MACHINE, OTHER_NOISE, times, write_run
from PIL import Image

import mnistbench
from mnistbench.cli import command
from mnistbench.measuring.jobs import RepeatResult
from mnistbench.results.rows import Metric
from mnistbench.session import benchmark
from mnistbench.session.crews import Crew
from mnistbench.session.sweep import here

PARSED_ONLY = {
    "--backend": "another framework, which need not be here: tests/test_backends.py",
    "dense-jax.yaml": "the same",
    "--launcher slurm": "tests/test_slurm.py",
    "--launcher dask": "tests/test_sweep_dask.py",
    "sweep collect": "a sweep that others measure: tests/test_sweep_elsewhere.py",
    "sweep stop": "a sweep that runs: tests/test_sweep_command.py",
    "--device gpu": "needs a GPU",
    "--duet": "needs two cores: tests/test_duet.py",
    "--one-core": "processes of its own: tests/test_duet.py",
    "--parallel": "needs two cores: tests/test_parallel.py",
    "--against": "imports a framework in another Python: tests/test_against.py, test_ci_files.py",
    "--roofline": "seconds of the machine's peak: tests/test_roofline.py",
    "mnistbench peak": "the same",
    "mnistbench explain": "many trainings: tests/test_explain.py",
    "mnistbench selfcheck --duet": "many pairs: tests/test_selfcheck.py",
    "mnistbench selfcheck": "the same",
    "mnistbench reproduce": "half an hour: tests/test_reproduce.py",
    "train --resume": "a training that was broken off: tests/test_train_interrupt.py",
    "--checkpoint-every": "another training: tests/test_train.py",
    "--mistakes": "five times the same: tests/test_evaluate.py",
    "submit results": "runs as they must be: tests/test_submit.py",
    "mnistbench infer": "seconds of queries each: tests/test_infer.py",
    "compare applied/": "the same",
    "mnistbench plot": "needs plotext: tests/test_plot.py",
    "--trials": "needs Optuna: tests/test_sweep_search.py",
    "data fetch cifar10": "a download: tests/test_data_command.py",
    "data import": "a file of 170 MB: tests/test_cifar10_files.py",
    "--data my-mnist.npz": "ten thousand images: tests/test_evaluate.py",
    "--split train": "sixty thousand images: tests/test_evaluate.py",
}
"""What is in a command that is parsed alone, and why, or which tests run it."""
UNLESS = {"mnistbench selfcheck": "--from", "mnistbench reproduce": "--from"}
"""What makes a command quick all the same."""

OF_OTHERS = {
    "cd",
    "dask",
    "git",
    "make",
    "optuna-dashboard",
    "pip",
    "pipx",
    "python",
    "sbatch",
    "uvx",
}
ENDS = {"compare": {0, 3, 4, 5}}
"""Exit codes of a command that did what it should; 0 alone for all others."""
OURS = [shown for shown in shown_commands() if shown.words[0] == "mnistbench"]


class Trained(Fake):
    """Says of a training all that is shown of it."""

    def run(self, task, argument, *more):
        result = super().run(task, argument, *more)
        if not isinstance(result, RepeatResult):
            return result
        figures = (
            Metric("parameters", argument.config.parameters, "1"),
            Metric("train_samples_per_second", 1000.0, "samples/s"),
            Metric("train_loss", 0.5, ""),
            Metric("epoch_1_train_loss", 0.5, ""),
            Metric("epoch_1_train_accuracy", 0.8, "1"),
            Metric("peak_rss_bytes", 10**9, "bytes"),
        )
        return replace(result, metrics=(*result.metrics, *figures))


def is_parsed_only(shown: Shown) -> bool:
    return any(
        part in shown.text and UNLESS.get(part, "\0") not in shown.text for part in PARSED_ONLY
    )


def parse(words: list[str]) -> None:
    """Let the command that these words call take the words that are left for it."""
    told: Command = command
    context: Context | None = None
    while isinstance(told, Group) and words and not words[0].startswith("-"):
        # With the program's settings, as called: Click keeps the help option it makes at first.
        context = Context(told, context, told.name, **told.context_settings)
        inner = told.get_command(context, words[0])
        assert inner is not None, f"no command {words[0]}"
        told, words = inner, words[1:]
    if words != ["--version"]:
        told.make_context(told.name, words, parent=context)


def test_pages_show_commands_of_known_programs():
    assert len(OURS) > 80
    for shown in shown_commands():
        assert shown.words[0] in {"mnistbench", *OF_OTHERS}, shown
        if shown.words[0] == "python" and shown.words[1] != "-m":
            assert (ROOT / shown.words[1]).is_file(), shown
        if shown.words[0] == "make":
            assert f"\n{shown.words[1]}:" in (ROOT / "Makefile").read_text(), shown


def test_nothing_is_excused_that_no_page_shows():
    for part in PARSED_ONLY:
        assert any(part in shown.text for shown in OURS), part


@pytest.mark.parametrize("words", sorted({shown.words for shown in OURS}), ids=" ".join)
def test_every_command_is_one_that_the_program_takes(words, monkeypatch):
    monkeypatch.chdir(ROOT)
    parse([*words[1:]])


def test_commands_in_the_text_are_ones_that_the_program_takes():
    for page, text in spoken_of():
        (words,) = commands_of(text)
        try:
            parse([*words[1:]])
        except (MissingParameter, NoArgsIsHelpError):
            pass  # the name of a command, without what it is of
        except ClickException as error:
            pytest.fail(f"{page}: {text}: {error.format_message()}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Iterator[Path]:
    """A folder with whatever the pages speak of; `benchmark` and `sweep` train nothing in it."""
    folder = tmp_path_factory.mktemp("docs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "crews_of", lambda runs, _: [Crew(Trained(), tuple(runs))])
        patch.setattr(here, "executor_of", lambda *_: Trained())
        _fill(folder)
        yield folder


def _fill(folder: Path) -> None:
    results = folder / "results"
    shutil.copytree(ROOT / "results" / "reference", results / "reference")
    _configs(folder)
    _hand_written(folder)
    _trained(folder)


def _configs(folder: Path) -> None:
    shown = run_here("config", "show", "mnist-dense-512").stdout
    text = "".join(line for line in shown.splitlines(True) if not line.startswith(("name:", "#")))
    for name in ("a", "b", "mine", "train"):
        (folder / f"{name}.yaml").write_text(text)
    points = "- {training.batch_size: 32, training.epochs: 1}\n- {}\n"
    (folder / "points.yaml").write_text(points)


def _hand_written(folder: Path) -> None:
    phases = {"train": times(10), "test": times(1)}
    others = {"train": times(10.1, OTHER_NOISE), "test": times(1)}
    bert = {**MACHINE, "node": "bert"}
    for path in ("results/RUN-A", "results/A", "a", "laptop", "duet/time-a-host"):
        write_run(folder / path, phases, session="s", run_id=f"{path}-1".replace("/", "-"))
    for path in ("results/RUN-B", "results/B", "b", "duet/time-b-host"):
        write_run(folder / path, others, session="s", run_id=f"{path}-2".replace("/", "-"))
    for path in ("results/NODE7", "node7", "runs"):
        write_run(folder / path, others, machine=bert, run_id=f"{path}-3".replace("/", "-"))
    shutil.copy(folder / "laptop" / "timings.csv", folder / "laptop.csv")
    for name in ("metrics.csv", "machine.csv"):
        (folder / "runs" / name).unlink()
    log = next((folder / "results" / "reference" / "two-core-cloud-vm").glob("*/cloudmesh.log"))
    shutil.copy(log, folder / "cloudmesh.log")


def _trained(folder: Path) -> None:
    done = run_here(
        "train", "mnist-dense-512", *FEW, "--output", str(folder / "trained"), "-q", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    (run,) = (folder / "trained").iterdir()
    run.rename(folder / "results" / "RUN")
    shutil.copy(folder / "results" / "RUN" / "model.keras", folder / "model.keras")
    with np.load(Path(mnistbench.__file__).parent / "data" / "mnist.npz") as arrays:
        Image.fromarray(arrays["x_test"][0]).save(folder / "my-seven.png")
    done = run_here(
        "sweep", "mnist-dense", "--grid", "training.batch_size=64,128", "--no-calibrate",
        "--output", str(folder / "swept"), "-q", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (sweep,) = (folder / "swept").iterdir()
    sweep.rename(folder / "results" / "SWEEP")


@pytest.fixture(scope="module")
def done() -> set[tuple[str, ...]]:
    """What was run before: equal commands of several pages run once."""
    return set()


def arguments(shown: Shown, folder: Path) -> tuple[str, ...]:
    """Return what to run for a command: itself, its globs as the shell has them, on few images."""
    words = [each for word in shown.words[1:] for each in _expanded(word, folder)]
    if words[0] == "train":
        return (*words, *FEW, "--set", "training.epochs=1")
    starts_a_run = words[0] == "benchmark" or (words[0] == "sweep" and "status" not in words)
    return (*words, "--no-calibrate") if starts_a_run else tuple(words)


def _expanded(word: str, folder: Path) -> list[str]:
    if "*" not in word:
        return [word]
    found = sorted(str(path.relative_to(folder)) for path in folder.glob(word))
    assert found, f"{word}: nothing is there of that name"
    return found


@pytest.mark.parametrize("page", sorted({shown.page for shown in OURS}))
def test_commands_do_what_the_page_says(page, folder, done):
    for shown in OURS:
        if shown.page != page or is_parsed_only(shown) or shown.words[1] == "--version":
            continue
        words = arguments(shown, folder)
        if words in done:
            continue
        done.add(words)
        ended = run_here(*words, cwd=folder, env={"COLUMNS": "120"})
        allowed = ENDS.get(words[0], {0})
        assert ended.returncode in allowed, f"{shown.text}\n{ended.stderr}"
