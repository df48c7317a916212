"""Measuring processes: what comes back when a task returns, raises, or dies."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistbench.errors import InputError
from mnistbench.measuring.executor import TaskFailure
from mnistbench.measuring.startup import measuring_environment
from mnistbench.measuring.workers import Workers


def returning(argument: object, tell: Callable[[object], None]) -> object:
    tell("half way")
    os.write(1, b"to standard output\n")
    os.write(2, b"native words\n")
    return (argument, os.getpid())


def raising(argument: object, tell: Callable[[object], None]) -> object:
    raise ZeroDivisionError("first line\nsecond line")


def refusing(argument: object, tell: Callable[[object], None]) -> object:
    raise InputError("is wrong", source="file", field="field")


def dying(argument: int, tell: Callable[[object], None]) -> object:
    os.kill(os.getpid(), argument)
    return None


def leaving(argument: int, tell: Callable[[object], None]) -> object:
    os._exit(argument)


@pytest.fixture(params=["fork", "spawn"])
def workers(request: pytest.FixtureRequest) -> Workers:
    return Workers(measuring_environment("auto"), request.param)


def test_a_value_comes_back_from_a_process_of_its_own(workers: Workers, tmp_path: Path) -> None:
    heard: list[object] = []
    value, process_id = workers.run(returning, "argument", tmp_path / "log", heard.append)
    assert value == "argument"
    assert process_id != os.getpid()
    assert heard == ["half way"]
    assert (tmp_path / "log").read_text() == "native words\n"


def test_an_exception_is_one_line_and_whole_in_the_log(workers: Workers, tmp_path: Path) -> None:
    with pytest.raises(TaskFailure) as caught:
        workers.run(raising, None, tmp_path / "log", print)
    assert caught.value.status == "failed"
    assert caught.value.reason == "ZeroDivisionError: first line"
    log = (tmp_path / "log").read_text()
    assert "Traceback" in log
    assert "second line" in log


def test_wrong_input_stays_wrong_input(workers: Workers, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="file: field: is wrong"):
        workers.run(refusing, None, tmp_path / "log", print)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_signal_is_named(workers: Workers, tmp_path: Path, number: signal.Signals) -> None:
    with pytest.raises(TaskFailure) as caught:
        workers.run(dying, int(number), tmp_path / "log", print)
    assert caught.value.status == f"killed:{number.name}"
    assert number.name in caught.value.reason


def test_a_silent_end_is_a_failure(workers: Workers, tmp_path: Path) -> None:
    with pytest.raises(TaskFailure) as caught:
        workers.run(leaving, 3, tmp_path / "log", print)
    assert (caught.value.status, "exit code 3" in caught.value.reason) == ("failed", True)


def collectable(argument: object, tell: Callable[[object], None]) -> tuple[int, int]:
    """Return how many objects a full collection looks at, and how many it does not."""
    from mnistbench.measuring.inside.framework import import_record

    import_record()
    return len(gc.get_objects()), gc.get_freeze_count()


def test_no_full_collection_of_a_framework_falls_into_a_phase(
    workers: Workers, tmp_path: Path
) -> None:
    seen, frozen = workers.run(collectable, None, tmp_path / "log", print)
    assert frozen > 10 * seen
