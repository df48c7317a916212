"""A try of each kind of the soak that starts commands; `make soak` makes hundreds of each."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hand_written_runs import times, write_run

SOAK = Path(__file__).parent / "soak"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the runs that the soak's commands read, and its modules to be imported."""
    work = tmp_path_factory.mktemp("soak")
    for name in ("base", "new"):
        write_run(work / "runs" / name, {"train": times(2.0), "test": times(0.3)})
    draw = np.random.default_rng(1)
    arrays = {
        f"{kind}_{part}": draw.integers(0, 10, (20, *shape), np.uint8)
        for part in ("train", "test")
        for kind, shape in (("x", (32, 32, 3)), ("y", ()))
    }
    np.savez(work / "runs" / "cifar10.npz", **arrays)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        patch.syspath_prepend(str(SOAK))
        yield work


@pytest.fixture(scope="module")
def program(work: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("the_soak", SOAK / "soak.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["the_soak"] = module
    before = [*sys.path]
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


@pytest.mark.parametrize(
    ("module", "attempt", "seed"),
    [
        ("kills", "killed_writing", 1),
        ("kills", "killed_writing", 2),
        ("failures", "failing", 3),
        ("failures", "failing", 4),
        ("places", "disks", 1),
        ("places", "disks", 2),
        ("places", "surroundings", 1),
        ("places", "foreign_code", 1),
    ],
)
def test_it_holds(module: str, attempt: str, seed: int, work: Path, tmp_path: Path) -> None:
    outcome = getattr(importlib.import_module(module), attempt)(seed, tmp_path)
    assert outcome.survived, outcome.problem


def test_a_broken_off_soak_goes_on_and_tries_anew_what_fell_short(
    program: ModuleType, tmp_path: Path
) -> None:
    tried = []

    def attempt(seed: int, folder: Path) -> object:
        tried.append(seed)
        if seed == 3 and len(tried) < 4:
            raise KeyboardInterrupt
        return program.Outcome(lost=seed % 2, problem="lost 1" if seed % 2 else "")

    kind, state = program.Kind("a", 4, attempt, forks=True), tmp_path / "state"
    wanted = {"a": range(1, 5)}
    with pytest.raises(KeyboardInterrupt):
        program.try_all([kind], wanted, {}, state)
    program.try_all([kind], wanted, program.read_state(state, again=False), state)
    assert tried == [1, 2, 3, 3, 4]
    program.try_all([kind], wanted, program.read_state(state, again=True), state)
    assert tried[5:] == [1, 3]
    found = [("a", outcome) for outcome in program.read_state(state, again=False).values()]
    assert "| a | 4 | 2 |" in program.table(found)


def test_a_whole_soak_is_as_large_as_it_should_be(program: ModuleType) -> None:
    kinds = {kind.name: kind.count for kind in program.kinds()}
    assert sum(count for name, count in kinds.items() if name in program.READ) >= 10_000
    assert kinds["kills, measuring"] + kinds["kills, writing"] >= 1000
    assert min(count for name, count in kinds.items() if name != "kills and resumes") >= 50
    writers = importlib.import_module("commands").WRITERS
    assert {writer.arguments[0] for writer in writers.values()} >= {
        "benchmark", "train", "evaluate", "sweep", "merge", "report", "export", "data", "peak",
    }  # fmt: skip
