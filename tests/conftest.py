"""Runs of the real command, shared by the tests that only read what they left behind.

With `-n auto` workers share the cores. One core to each was slower: TensorFlow's threads that tune
a pipeline then sleep on after its end (see `measuring.inside.backends.teardown`).
"""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import duckdb
import pytest
from hypothesis import settings

from mnistbench.cli import main

settings.register_profile("no deadlines", deadline=None)  # speed is for benchmarks
settings.load_profile("no deadlines")

# A shell's background job ignores Ctrl-C, and what it starts inherits that: the tests must not.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):  # nor a closed terminal, as below nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

HEAVY = {"tensorflow", "keras", "torch", "jax"}
"""What no command imports that trains nothing."""
# Older ones, the last for Python 3.10, import it for any value of a query.
if int(duckdb.__version__.split(".")[0]) >= 2:
    HEAVY.add("pandas")

MOST_WORKERS = 4
"""Each may hold a framework's memory three times over."""

LONGEST_FIRST = (
    "test_slurm", "test_sweep_dask", "test_sweep_command", "test_sweep", "test_parallel",
    "test_ends", "test_notebook", "test_learning", "test_fused", "test_data_command",
    "test_benchmark", "test_failures", "test_backends", "test_devices", "test_train_interrupt",
    "test_selfcheck", "test_packaging", "test_infer", "test_sweep_search", "test_report_page",
    "test_ci_files", "test_doc_commands", "test_foreign_code", "test_contention",
    "test_evaluate", "test_target_ci", "test_explain", "test_roofline",
)  # fmt: skip
"""Begun first, so that no worker is left alone with one of them at the end."""


def pytest_xdist_auto_num_workers() -> int:
    return min(MOST_WORKERS, len(_cores()))


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--no-framework"):  # what a skipped test had begun is left open
        config.addinivalue_line("filterwarnings", "ignore::pytest.PytestUnraisableExceptionWarning")


def _cores() -> list[int]:
    known = hasattr(os, "sched_getaffinity")
    return sorted(os.sched_getaffinity(0)) if known else list(range(os.cpu_count() or 1))


MEASURING = ("benchmark", "evaluate", "explain", "machine-info", "peak", "reproduce",
             "selfcheck", "sweep", "train")  # fmt: skip
"""Commands that start a framework."""

IMPORTING = ("test_cases_models", "test_duet", "test_flops", "test_foreign_code", "test_peers",
             "test_slurm", "test_sweep_dask")  # fmt: skip
"""Tests of which most start a framework by scripts and programs of their own."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-framework", action="store_true", help="skip what starts TensorFlow, JAX or PyTorch"
    )


@pytest.fixture(autouse=True, scope="session")
def _no_framework(request: pytest.FixtureRequest) -> Iterator[None]:
    """With --no-framework, a test ends as skipped at the moment a framework would be started."""
    if not request.config.getoption("--no-framework"):
        yield
        return

    def skip(*arguments: object, **options: object) -> NoReturn:
        pytest.skip("starts a framework")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mnistbench.measuring.interpreters.start", skip)
        patch.setattr("mnistbench.measuring.fork_servers.start", skip)
        patch.setattr(sys.modules[__name__], "_starts_a_framework", skip)
        yield


def _starts_a_framework() -> None:
    """Of a command in a process of its own."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--no-framework"):
        kept = [item for item in items if item.path.stem not in IMPORTING]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


FEW = ("--set", "dataset.train_samples=512", "--set", "dataset.test_samples=256")
"""Makes a run quick where learning is not the point."""

LEARNT_WHOLE = {
    # name: parameters, accuracy after one epoch as measured with bare scripts in the seeds' words
    "mnist-dense": (50_890, 0.910),
    "mnist-dense-512": (407_050, 0.918),
    "mnist-dense-relu": (25_818, 0.893),
}
LEARNT_IN_PART = {
    # the same, with the first 12,000 images: the whole of MNIST would take these a minute and more
    "mnist-cnn": (112_074, 0.937),
    "mnist-mlp": (669_706, 0.935),
}
MNIST_CONFIGS = LEARNT_WHOLE | LEARNT_IN_PART


def command(*arguments: str) -> list[str]:
    if arguments and arguments[0] in MEASURING and "--help" not in arguments:
        _starts_a_framework()
    return [sys.executable, "-m", "mnistbench", *arguments]


def run(
    *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, as a shell does.

    For signals, streams, start-up, what is imported first, and surroundings that must be foreign.
    """
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        timeout=280,
    )


def run_here(
    *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the same command in the test's own process: no start of Python, one fork server for all.

    What is measured is still measured in a fresh process each, and the files are the same.
    """
    # As standard streams of a process are: bytes below, and an error's text always fits.
    output, error = (
        io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=errors)
        for errors in ("strict", "backslashreplace")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["mnistbench", *arguments])
        patch.setattr(sys, "stdout", output)
        patch.setattr(sys, "stderr", error)
        for name, value in (env or {}).items():
            patch.setenv(name, value)
        if cwd is not None:
            patch.chdir(cwd)
        with pytest.raises(SystemExit) as end:
            main()
    code = end.value.code
    assert isinstance(code, int)
    return subprocess.CompletedProcess(list(arguments), code, _text(output), _text(error))


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode().replace("\r\n", "\n")


def in_a_terminal(width: int, *arguments: str) -> str:
    """Return what the command writes to a terminal of so many columns, colours and all."""
    import fcntl
    import pty
    import struct
    import termios

    pid, terminal = pty.fork()
    if pid == 0:
        # Its own environment: readline sets COLUMNS behind Python's back, and a dumb terminal
        # has 80 columns, whatever it says.
        environment = {n: v for n, v in os.environ.items() if n != "COLUMNS"} | {"TERM": "xterm"}
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        os.execve(sys.executable, command(*arguments), environment)
    content = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        content += piece
    os.waitpid(pid, 0)
    return content.decode().replace("\r", "")


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


@dataclass(frozen=True)
class Session:
    """What one call of `mnistbench benchmark` left behind."""

    done: subprocess.CompletedProcess[str]
    output: Path

    def folder(self, config: str) -> Path:
        return next(
            folder
            for folder in sorted(self.output.iterdir())
            if rows(folder / "timings.csv")[0]["config"] == config
        )

    def metric(self, config: str, name: str) -> list[str]:
        table = rows(self.folder(config) / "metrics.csv")
        return [row["value"] for row in table if row["metric"] == name]


def benchmark(output: Path, *arguments: str) -> Session:
    """Run the command in a process of its own."""
    return Session(run("benchmark", *arguments, "--output", str(output)), output)


def benchmark_here(output: Path, *arguments: str) -> Session:
    """Run the same in the test's own process."""
    return Session(run_here("benchmark", *arguments, "--output", str(output)), output)


def failure_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line a failed command must print; nothing else may be said."""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert done.stdout == ""
    return lines[0]


@pytest.fixture(scope="session")
def small_session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Three configs, two repeats and a warm-up each, of few images."""
    arguments: Sequence[str] = ("mnist-dense", "mnist-cnn", "mnist-dense-relu")
    return benchmark_here(
        tmp_path_factory.mktemp("small"), *arguments, *FEW, "--repeats", "2", "--warmup", "1",
        "--set", "training.epochs=2", "--tag", 'a "tag", with\nall it takes',
    )  # fmt: skip
