"""Which files a user means by a run folder, a folder of them, a sweep, a glob or a file."""

from __future__ import annotations

import glob
from pathlib import Path

from mnistbench.errors import InputError
from mnistbench.results.cloudmesh_log import looks_like_log
from mnistbench.results.csv import columns_of, is_parquet
from mnistbench.results.log_runs import WHAT
from mnistbench.results.tables import SWEEP_PLAN, TIMINGS, table_in
from mnistbench.results.text import read_text


def files_of(given: str) -> list[Path]:
    """Return the timings CSVs and logs that `given` names; raise InputError if there are none."""
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
    """Return the timings of a run folder or merged one, or of the runs and sweeps in a folder."""
    own = table_in(path, TIMINGS)
    found = [own] if own else _files_in_folders(path)
    if not found:
        raise InputError(f"no {TIMINGS} in this folder", source=given, hint=WHAT)
    return found


def _files_in_folders(path: Path) -> list[Path]:
    sweeps = [plan.parent for plan in path.glob(f"*/{SWEEP_PLAN}")]
    folders = [each for parent in (path, *sweeps) for each in parent.glob("*/")]
    # What begins with a point is half written.
    tables = [table_in(each, TIMINGS) for each in folders if not each.name.startswith(".")]
    return sorted({file for file in tables if file})


def is_log(path: Path) -> bool:
    """Return whether a file is a cloudmesh log; raise InputError if it is no timings CSV either."""
    columns = columns_of(path)
    # A log of ours has our columns too, but never begins with one.
    if ("phase" in columns or "run_id" in columns) and not columns[0].startswith("#"):
        return False
    if not is_parquet(path) and looks_like_log(read_text(path, WHAT).splitlines()):
        return True
    problem = "is empty" if not columns else "is neither a timings CSV nor a cloudmesh log"
    raise InputError(problem, source=path, hint=WHAT)
