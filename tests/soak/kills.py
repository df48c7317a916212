"""Ends at any moment: real processes of the real command, and what they leave."""

from __future__ import annotations

import csv
import functools
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import psutil
from commands import MEASURING, QUICK, Writer, environment, is_hidden, left_in, unlike, words_of
from tries import Outcome, judged

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
EXIT_CODES = {0, 1, 2, 130, 143, 129, *(-number for number in SIGNALS)}
"""A signal before Python runs a line of ours ends it as the system does; and Python itself ends so,
after our last line, where an interrupt met an extension of its own: a shell says 130 of both."""
_LONGEST_IMPORT_SECONDS = 60.0
_PACKAGE = str(Path(__file__).parents[2] / "mnistbench")


def killed_measuring(seed: int, folder: Path) -> Outcome:
    """End a command that measures: it, or first a process below it."""
    draw = random.Random(f"kill:{seed}")
    return _killed(draw.choice(MEASURING), draw, folder)


def killed_writing(seed: int, folder: Path) -> Outcome:
    """End a command that only reads and writes; then call it again."""
    draw = random.Random(f"kill-writing:{seed}")
    return _killed(draw.choice(QUICK), draw, folder)


def _killed(writer: Writer, draw: random.Random, folder: Path) -> Outcome:
    out, scratch = folder / "out", folder / "scratch"
    for each in (out, scratch):
        each.mkdir()
    whole = None if writer.measures else unbroken(writer)
    if whole is not None and draw.random() < 0.3:  # over what an earlier call wrote
        call(writer, out, scratch)
    number = draw.choice(SIGNALS)
    process = subprocess.Popen(
        writer.words(out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(out, scratch), start_new_session=True,
    )  # fmt: skip
    _wait_for_the_moment(writer, draw, process, out)
    children = below(process.pid)
    if children and draw.random() < 0.25:
        draw.choice(children).send_signal(signal.SIGKILL)
        time.sleep(draw.uniform(0, 2))
        children = [*children, *below(process.pid)]
    if process.poll() is None:
        process.send_signal(number)
    began = time.monotonic()
    try:
        output, error = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        output, error = process.communicate()
    seconds = time.monotonic() - began
    words = [*writer.program, *writer.arguments]
    outcome = judged(
        words, process.returncode, output, _without_pythons(error), seconds, 0.0, EXIT_CODES
    )
    _count_orphans(outcome, children)
    if whole is None:
        count_rows(outcome, out)
        subprocess.run(  # any next call that has temporary files of its own
            words_of(["merge", *_some_run(), "-o", str(folder / "next.csv")]),
            check=False, capture_output=True, env=environment(out, scratch),
        )  # fmt: skip
    else:
        outcome.lost += len([*unlike(left_in(out), whole)])
        _call_again(outcome, writer, out, scratch, whole)
    outcome.left_over += len([*scratch.iterdir()])
    outcome.sum_up("lost", "doubled", "halves", "orphans", "left_over")
    return outcome


def _without_pythons(error: str) -> str:
    """Return what was said, without the traceback of a Python that was interrupted before us."""
    of_python = error.startswith("Traceback") and error.endswith("KeyboardInterrupt\n")
    return "" if of_python and _PACKAGE not in error else error


def _wait_for_the_moment(
    writer: Writer, draw: random.Random, process: subprocess.Popen[str], out: Path
) -> None:
    """Sleep until a moment drawn: of the whole, or after a repeat has begun."""
    if not writer.measures:
        time.sleep(draw.uniform(0.05, 2.5))
        return
    if draw.random() < 0.5:
        time.sleep(draw.uniform(0.05, 10))
        return
    wanted = f"repeat {draw.randint(1, 3)} begins"
    deadline = time.monotonic() + _LONGEST_IMPORT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if any(wanted in log.read_text(errors="replace") for log in out.rglob("log.txt")):
            break
        time.sleep(0.05)
    time.sleep(draw.uniform(0, 1.5))


def _some_run() -> list[str]:
    return [str(Path("runs", "base").absolute())]


@functools.cache
def unbroken(writer: Writer) -> dict[str, int]:
    """Return what the command leaves where nothing ends it."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        out, scratch = Path(folder, "out"), Path(folder, "scratch")
        for each in (out, scratch):
            each.mkdir()
        done = call(writer, out, scratch)
        assert done.returncode == 0, done.stderr
        return left_in(out)


def call(
    writer: Writer, out: Path, scratch: Path, variables: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        writer.words(out), capture_output=True, text=True, check=False, timeout=120,
        env={**environment(out, scratch), **variables},
    )  # fmt: skip


def _call_again(
    outcome: Outcome, writer: Writer, out: Path, scratch: Path, whole: dict[str, int]
) -> None:
    """Call the command once more: it must find its way, and leave what it always leaves."""
    again = call(writer, out, scratch)
    found = left_in(out)
    if again.returncode != 0:
        outcome.wrong_codes += 1
        outcome.problem += f"; again: code {again.returncode}: {again.stderr[-300:]!r}"
    outcome.left_over += sum(is_hidden(name) for name in found)
    outcome.lost += len(whole.keys() - found.keys())


def below(process_id: int) -> list[psutil.Process]:
    """Return the processes that a process has begun, and those that they have."""
    try:
        return psutil.Process(process_id).children(recursive=True)
    except psutil.Error:
        return []


def _count_orphans(outcome: Outcome, children: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(children, timeout=3)
    outcome.orphans += sum(map(_lives, alive))


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def count_rows(outcome: Outcome, out: Path) -> None:
    """Count torn, doubled and half repeats in all tables of timings."""
    for timings in out.rglob("timings.csv"):
        text = timings.read_text()
        rows = list(csv.reader(text.splitlines()))
        keys = [
            (row[0], row[rows[0].index("repeat")], row[rows[0].index("phase")]) for row in rows[1:]
        ]
        outcome.doubled += len(keys) - len(set(keys))
        outcome.lost += int(not text.endswith("\n")) + sum(len(row) != len(rows[0]) for row in rows)
        known = set[str]()
        metrics = timings.with_name("metrics.csv")
        if metrics.is_file():  # a kill may come before its header, and then there is no row
            known = {row["repeat"] for row in csv.DictReader(metrics.read_text().splitlines())}
        outcome.halves += len({key[1] for key in keys} - known)
