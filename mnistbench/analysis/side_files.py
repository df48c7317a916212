"""The files that a name on a command line stands for: of a run, of a folder of runs, of a glob."""

from __future__ import annotations

import glob
from pathlib import Path

from mnistbench.errors import InputError
from mnistbench.results.cloudmesh_log import looks_like_log
from mnistbench.results.csv import columns_of
from mnistbench.results.log_runs import WHAT
from mnistbench.results.tables import TIMINGS
from mnistbench.results.text import read_text


def files_of(given: str) -> list[Path]:
    """Return the timings and logs that `given` names; raise InputError if there are none."""
    path = Path(given).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        return _files_of_folder(path, given)
    found = sorted(Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207  absolute too
    if not found:
        raise InputError("no such file or folder", source=given, hint=WHAT)
    return [file for match in found for file in _files_of_match(match, given)]


def _files_of_match(path: Path, given: str) -> list[Path]:
    return _files_of_folder(path, given) if path.is_dir() else [path]


def _files_of_folder(path: Path, given: str) -> list[Path]:
    """Return the timings of a run folder, or of the run folders in it."""
    own = path / TIMINGS
    found = [own] if own.is_file() else sorted(path.glob(f"*/{TIMINGS}"))
    if not found:
        raise InputError(f"no {TIMINGS} in this folder", source=given, hint=WHAT)
    return found


def is_log(path: Path) -> bool:
    """Return whether a file is a cloudmesh log; raise InputError if it is no timings CSV either."""
    columns = columns_of(path)
    # A log of ours has our columns too, but never begins with one.
    if ("phase" in columns or "run_id" in columns) and not columns[0].startswith("#"):
        return False
    if looks_like_log(read_text(path, WHAT).splitlines()):
        return True
    problem = "is empty" if not columns else "is neither a timings CSV nor a cloudmesh log"
    raise InputError(problem, source=path, hint=WHAT)
