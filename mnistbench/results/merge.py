"""Results of many machines in one place: runs, sweeps and CSV files as one set of tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mnistbench.config.temporary import temporary_folder
from mnistbench.errors import InputError, OutputError
from mnistbench.results.conflicts import second_of
from mnistbench.results.folder import output_error
from mnistbench.results.inputs import files_of, is_log
from mnistbench.results.keyed_rows import Gathered, gather
from mnistbench.results.keyed_tables import KEYED, number_columns
from mnistbench.results.parquet import write_parquet
from mnistbench.results.rows import columns
from mnistbench.results.runs import run_folders
from mnistbench.results.samples import gather_samples
from mnistbench.results.tables import (
    CALIBRATION,
    CONFIG,
    CONFIGS,
    MACHINE,
    METRICS,
    PARQUET,
    PEAK,
    SWEEP_PLAN,
    TABLES,
    TIMINGS,
    config_file,
    is_merged,
    is_of_a_folder,
    run_of_config,
    tables_in,
)
from mnistbench.results.whole import whole_file, whole_folder

CSV = ".csv"
_BESIDE = (METRICS, MACHINE, CALIBRATION, PEAK)
"""Tables beside the timings whose rows name their run."""
_UNNAMED = tuple(name for name, row in TABLES.items() if "run_id" not in columns(row))


@dataclass
class Merged:
    """What was merged."""

    output: Path
    runs: int = 0
    nodes: int = 0
    """Machines; 0 if the timings name none."""
    rows: dict[str, int] = field(default_factory=dict)
    """Of each file that was written."""
    configs: int = 0
    notes: list[str] = field(default_factory=list)
    """What is not in it, or only once, a line for each."""


def merge(given: Sequence[str], output: Path, as_parquet: bool = False) -> Merged:
    """Write all that `given` names to one folder, or its timings to one file, whole or not at all.

    Raises InputError for what cannot be read or does not agree, and OutputError.
    """
    import duckdb

    merged = Merged(output)
    paths = _inputs(given, merged)
    is_file = output.suffix.lower() in (CSV, PARQUET)
    _refuse_foreign(output, is_file)
    try:
        with _parents_of(output):
            if is_file:
                _write_file(paths, merged)
            else:
                _write_folder(paths, merged, as_parquet)
    except OSError as error:
        raise output_error(output, error) from None
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:  # a full disk, to DuckDB
        reason = str(error).splitlines()[0]
        raise OutputError(f"{output}: cannot be written: {reason}") from None
    return merged


def _inputs(given: Sequence[str], merged: Merged) -> list[Path]:
    """Return the tables of timings that are named, each once."""
    files: dict[Path, Path] = {}
    again: list[Path] = []
    for path in (path for name in given for path in files_of(name)):
        if is_log(path):
            raise InputError(
                "is a cloudmesh log, whose lines do not say which run and repeat they are of",
                source=path,
                hint="leave it out: mnistbench compare reads it as it is",
            )
        if files.setdefault(path.resolve(), path) is not path:
            again.append(path)
    if again:
        files_are = "file is" if len(again) == 1 else "files are"
        merged.notes.append(f"{len(again)} {files_are} given twice and read once: {again[0]}")
    return sorted(files.values(), key=str)


def _refuse_foreign(output: Path, is_file: bool) -> None:
    """Raise InputError where merging would replace what it has not written."""
    if is_file:
        if output.is_dir():
            raise InputError("is a folder", source=output, hint="give a file another name")
        if (output.parent / CONFIG).is_file():
            raise InputError("lies in the folder of a run", source=output, hint="give another one")
        return
    if output.is_file():
        hint = f"give a folder, or for the timings alone a name that ends in {CSV} or {PARQUET}"
        raise InputError("is a file", source=output, hint=hint)
    if not output.is_dir():
        return
    ours = {CONFIGS, *TABLES, *(Path(name).with_suffix(PARQUET).name for name in TABLES)}
    names = sorted(path.name for path in output.iterdir())
    foreign = [name for name in names if name not in ours]
    if foreign or (names and not is_merged(output)):
        raise InputError(
            f"is no merged folder: it holds {(foreign or names)[0]}",
            source=output,
            hint="give a new one",
        )


@contextlib.contextmanager
def _parents_of(output: Path) -> Iterator[None]:
    """Make the folders above, and remove those again if the block raises."""
    made = [folder for folder in output.absolute().parents if not folder.exists()]
    try:
        output.absolute().parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for folder in made:
                folder.rmdir()
        raise


def _write_file(paths: Sequence[Path], merged: Merged) -> None:
    with whole_file(merged.output.resolve()) as partial:
        if partial.suffix.lower() == CSV:
            _timings(paths, partial, merged)
        else:
            with temporary_folder() as folder:
                table = folder / TIMINGS
                _timings(paths, table, merged)
                _write_parquet(table, partial)
    others = [name for name in (*_BESIDE, *_UNNAMED) if _beside(paths, name)]
    if others:
        hint = f"for {', '.join(others)} give a folder: -o DIR"
        merged.notes.append(f"{merged.output} holds the timings alone; {hint}")


def _write_folder(paths: Sequence[Path], merged: Merged, as_parquet: bool) -> None:
    with whole_folder(merged.output) as folder:
        timings = _timings(paths, folder / TIMINGS, merged)
        for name in _BESIDE:
            files = _beside(paths, name)
            if files and name in KEYED:
                _note(
                    gather(KEYED[name], files, folder / name, timings.resumed), name, files, merged
                )
            elif files:
                _note(gather_samples(files, folder / name), name, files, merged)
        _write_configs(paths, timings.run_ids, folder, merged)
        if as_parquet:
            for name in merged.rows:
                _write_parquet(folder / name, (folder / name).with_suffix(PARQUET))
                (folder / name).unlink()
    unnamed = [f"{name} ({len(files)})" for name in _UNNAMED if (files := _beside(paths, name))]
    if unnamed:
        merged.notes.append(f"not merged, as their rows name no run: {', '.join(unnamed)}")


def _write_parquet(table: Path, target: Path) -> None:
    write_parquet(table, target, number_columns(TABLES[table.name]))


def _timings(paths: Sequence[Path], target: Path, merged: Merged) -> Gathered:
    timings = gather(KEYED[TIMINGS], paths, target)
    _note(timings, TIMINGS, paths, merged)
    if not timings.rows:
        raise InputError("; ".join(["holds no row", *map(str, timings.left_out)]), source=paths[0])
    merged.runs, merged.nodes = len(timings.run_ids), timings.nodes
    return timings


def _note(gathered: Gathered, name: str, files: Sequence[Path], merged: Merged) -> None:
    """Keep the count of a table's rows, and a line for what is not in it or only once."""
    merged.rows[name] = gathered.rows
    merged.notes += [f"{name}: {line}" for line in gathered.left_out]
    if gathered.again:
        rows_are = "row that is" if gathered.again == 1 else "rows that are"
        kept = "is kept once" if gathered.again == 1 else "are kept once"
        key = gathered.first_again
        first = "" if key is None else f", the first: {second_of(key, files)}{key}"
        merged.notes.append(f"{name}: {gathered.again} {rows_are} there twice {kept}{first}")


def _beside(paths: Sequence[Path], name: str) -> list[Path]:
    """Return the tables of a name in the folders of runs, merged ones and sweeps."""
    folders = [path.parent for path in paths if is_of_a_folder(path)]
    sweeps = {folder.parent for folder in folders if (folder.parent / SWEEP_PLAN).is_file()}
    return tables_in([*folders, *sorted(sweeps)], name)


def _write_configs(
    paths: Sequence[Path], run_ids: frozenset[str], folder: Path, merged: Merged
) -> None:
    """Write the config of each run; raise InputError for two of one run."""
    (folder / CONFIGS).mkdir()
    source_of: dict[str, Path] = {}
    for run_id, file in _configs(paths, run_ids):
        content = file.read_bytes().replace(b"\r\n", b"\n")
        target = config_file(folder, run_id)
        if run_id not in source_of:
            source_of[run_id] = file
            target.write_bytes(content)
        elif target.read_bytes() != content:
            raise InputError(
                f"the config of run {run_id!r} is another in {file}",
                source=source_of[run_id],
                hint="keep the right one",
            )
    merged.configs = len(source_of)


def _configs(paths: Sequence[Path], run_ids: frozenset[str]) -> Iterator[tuple[str, Path]]:
    for folder, run_id in run_folders(paths, set(run_ids)).items():
        if (folder / CONFIG).is_file():
            yield run_id or folder.resolve().name, folder / CONFIG
        for file in sorted((folder / CONFIGS).glob("*.yaml")):
            yield run_of_config(file), file
