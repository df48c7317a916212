"""The commands that write, and what they leave: whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FEW = ("--set", "dataset.train_samples=512", "--set", "dataset.test_samples=256")
RUNS = Path("runs")
"""Of the soak's working folder: the run folders `base` and `new`, a training and its model."""
IMPORTER = str(Path(__file__).with_name("importing.py"))


@dataclass(frozen=True)
class Writer:
    """A command that writes."""

    arguments: tuple[str, ...]
    """`{out}` is where it writes, `{runs}` is RUNS."""
    measures: bool
    """Whether it starts a framework, and leaves what is new each time."""
    program: tuple[str, ...] = ("-m", "mnistbench")

    def words(self, out: Path) -> list[str]:
        """Return the whole command."""
        places = {"{out}": str(out), "{runs}": str(RUNS.absolute())}
        words = [*self.arguments]
        for name, place in places.items():
            words = [word.replace(name, place) for word in words]
        return [sys.executable, *self.program, *words]


def _measuring(*arguments: str) -> Writer:
    return Writer((*arguments, "--output", "{out}"), measures=True)


def _quick(*arguments: str) -> Writer:
    return Writer(arguments, measures=False)


WRITERS: Mapping[str, Writer] = {
    "benchmark": _measuring("benchmark", "mnist-dense", *FEW, "--repeats", "20"),
    "benchmark, spawned": _measuring("benchmark", "mnist-dense", *FEW, "--repeats", "20",
                                     "--start-method", "spawn"),
    "train": _measuring("train", "mnist-dense", *FEW, "--set", "training.epochs=200",
                        "--checkpoint-every", "20"),
    "sweep": _measuring("sweep", "mnist-dense", "--grid", "training.batch_size=4,8", *FEW,
                        "--repeats", "3"),
    "evaluate": _measuring("evaluate", "{runs}/trained", "--repeats", "3"),
    "peak": _measuring("peak"),
    "merge": _quick("merge", "{runs}/base", "{runs}/new", "-o", "{out}/merged"),
    "merge to Parquet": _quick("merge", "{runs}/base", "{runs}/new", "--parquet", "-o",
                               "{out}/merged"),
    "merge to a file": _quick("merge", "{runs}/base", "{runs}/new", "-o", "{out}/all.parquet"),
    "report": _quick("report", "{runs}/base", "{runs}/new", "-o", "{out}/report.html"),
    "report, figures": _quick("report", "{runs}/base", "--format", "svg", "-o", "{out}/figures"),
    "export": _quick("export", "hyperfine", "{runs}/base", "-o", "{out}/hyperfine.json"),
    "export to a folder": _quick("export", "asv", "{runs}/base", "-o", "{out}/asv"),
    "export to Parquet": _quick("export", "parquet", "{runs}/base", "-o", "{out}/all.parquet"),
    "data import": Writer(("data", "import", "{runs}/cifar10.npz"), False, (IMPORTER,)),
}  # fmt: skip
MEASURING = [writer for writer in WRITERS.values() if writer.measures]
QUICK = [writer for writer in WRITERS.values() if not writer.measures]


def environment(out: Path, scratch: Path) -> dict[str, str]:
    """Return the variables of a command whose temporary files and data sets are its own."""
    # A measure of coverage would write where these are not let write, and complain.
    own = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return {**own, "TMPDIR": str(scratch), "MNISTBENCH_DATA": str(out / "store")}


def prepare(target: Path) -> None:
    """Leave what the commands read: two benchmarks, a training, a data set of our own making."""
    import numpy as np

    for name in ("base", "new"):
        _kept(target, name, "benchmark", "mnist-dense", *FEW, "--repeats", "6")
    _kept(target, "trained", "train", "mnist-dense", *FEW)
    draw = np.random.default_rng(1)
    arrays = {
        f"{kind}_{part}": draw.integers(0, 10, (2000, *shape), np.uint8)
        for part in ("train", "test")
        for kind, shape in (("x", (32, 32, 3)), ("y", ()))
    }
    np.savez(target / "cifar10.npz", **arrays)  # type: ignore[arg-type]


def _kept(target: Path, name: str, *arguments: str) -> None:
    out = target / f"{name}-out"
    subprocess.run(
        [sys.executable, "-m", "mnistbench", *arguments, "--output", str(out)],
        check=True, capture_output=True,
    )  # fmt: skip
    next(out.iterdir()).rename(target / name)
    out.rmdir()


def left_in(folder: Path) -> dict[str, int]:
    """Return every file by its name below the folder, with its size."""
    return {
        str(file.relative_to(folder)): file.stat().st_size
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def unlike(found: Mapping[str, int], whole: Mapping[str, int]) -> Iterator[str]:
    """Give the files that are neither whole nor absent; those being written are hidden."""
    shown = {name: size for name, size in found.items() if not is_hidden(name)}
    yield from (name for name, size in shown.items() if whole.get(name) != size)
    folders = {_first(name) for name in shown if _first(name) != name} - _GROWING
    yield from (name for name in whole if _first(name) in folders and name not in shown)


_GROWING = {"figures", "asv"}
"""Folders to which files are added one by one, each whole; in asv's the results come last."""


def _first(name: str) -> str:
    return Path(name).parts[0]


def is_hidden(name: str) -> bool:
    """Return whether a file, or a folder that it is in, is not yet in its place."""
    return any(part.startswith((".partial-", ".replaced-", ".unfinished"))
               for part in Path(name).parts)  # fmt: skip


def words_of(arguments: Sequence[str]) -> list[str]:
    """Return a command of mnistbench in this interpreter."""
    return [sys.executable, "-m", "mnistbench", *arguments]
