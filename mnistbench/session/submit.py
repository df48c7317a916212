"""Runs on their way to the results that are published: which folder each goes to, and its files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mnistbench.analysis.identity import HARDWARE, differences, identify_runs
from mnistbench.analysis.submission import Submission, machine_name
from mnistbench.errors import InputError
from mnistbench.results.folder import output_error
from mnistbench.results.rows import MachineRow, TimingRow
from mnistbench.results.tables import (
    CALIBRATION,
    CLOUDMESH,
    CONFIG,
    LOG,
    MACHINE,
    METRICS,
    PEAK,
    TIMINGS,
    read_table,
)
from mnistbench.results.whole import whole_folder
from mnistbench.session.anonymous import anonymous_files, anonymous_id

FILES = (CONFIG, TIMINGS, METRICS, MACHINE, CALIBRATION, PEAK, CLOUDMESH, LOG)
"""What is published of a run, as far as it is there: no models, no pictures."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@dataclass(frozen=True)
class Entry:
    """A run, and what is to be written of it."""

    submission: Submission
    target: Path
    """Its folder: MACHINE/DATE/RUN below the output."""
    files: Mapping[str, bytes]
    is_there: bool
    """Whether the very same files are in that folder already."""


def entries_of(
    submissions: Sequence[Submission], output: Path, name: str, anonymous: bool
) -> list[Entry]:
    """Return where each run goes and what is written there; nothing is written yet.

    `name` is the machine's; empty for what its facts say. Raises InputError where another run or
    another machine has the place.
    """
    if name and not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is no name of a machine: small letters, digits and -, at most 64",
            source="--name",
        )
    entries: dict[Path, Entry] = {}
    for submission in submissions:
        entry = _entry(submission, output, name or _own_name(submission), anonymous)
        entries.setdefault(entry.target, entry)
    return [*entries.values()]


def _own_name(submission: Submission) -> str:
    name = machine_name(submission.facts)
    if not name:
        raise InputError(
            "does not say which processor measured", source=submission.folder / MACHINE,
            hint="name the machine: --name NAME",
        )  # fmt: skip
    return name[:64].strip("-")


def _entry(submission: Submission, output: Path, name: str, anonymous: bool) -> Entry:
    begun = min(row.start_utc for row in _timings(submission.folder))
    run_id = anonymous_id(submission, begun) if anonymous else submission.run_id
    files = (
        anonymous_files(submission, run_id)
        if anonymous
        else {
            name: (submission.folder / name).read_bytes()
            for name in FILES
            if (submission.folder / name).is_file()
        }
    )
    target = output / name / begun[:10] / run_id
    _refuse_others(submission, target)
    return Entry(submission, target, files, _is_there(target, files))


def _timings(folder: Path) -> list[TimingRow]:
    return [row for row in read_table(folder, TIMINGS, TimingRow) if row.start_utc]


def _is_there(target: Path, files: Mapping[str, bytes]) -> bool:
    """Return whether a folder holds these files; raise InputError where it holds others."""
    if not target.exists():
        return False
    there = {path.name: path.read_bytes() for path in target.iterdir() if path.is_file()}
    if there != files:
        differing = sorted(name for name in {*there, *files} if there.get(name) != files.get(name))
        raise InputError(
            f"is there already, with another {differing[0]}",
            source=target,
            hint="nothing is replaced; take it away if it is yours and wrong",
        )
    return True


def _refuse_others(submission: Submission, target: Path) -> None:
    """Raise InputError where the machine's folder is another's, or has the run by another id."""
    siblings = _runs_below(target.parents[1])
    if siblings:
        _refuse_other_hardware(submission, siblings[0])
    measured = _measured(submission.folder)
    for sibling in siblings:
        if sibling.name != target.name and _measured(sibling) == measured:
            raise InputError(
                "is the same run by another name: it is there already",
                source=sibling,
                hint="submit a run with or without --anonymous, not both",
            )


def _runs_below(machine: Path) -> list[Path]:
    return [file.parent for file in sorted(machine.glob(f"*/*/{TIMINGS}"))]


def _measured(folder: Path) -> set[tuple[str, float | None]]:
    """Return what no two runs have: when each phase began, and how long it took."""
    return {(row.start_utc, row.seconds) for row in _timings(folder)}


def _refuse_other_hardware(submission: Submission, sibling: Path) -> None:
    rows = read_table(sibling, MACHINE, MachineRow)
    there = identify_runs([{row.attribute: str(row.value) for row in rows}], None)
    other = [d for d in differences(there, submission.runs.identity) if d.part == HARDWARE]
    if other:
        field, base, new = other[0].field, *map(" ".join, (other[0].base, other[0].new))
        raise InputError(
            f"is of another machine: its {field} is {base}, that of {submission.run_id} is {new}",
            source=sibling.parents[1],
            hint="give yours another name: --name NAME",
        )


def write(entries: Sequence[Entry]) -> None:
    """Write each run that is not there yet, a folder whole or not at all; raise OutputError."""
    for entry in entries:
        if entry.is_there:
            continue
        try:
            entry.target.parent.mkdir(parents=True, exist_ok=True)
            with whole_folder(entry.target) as folder:
                for name, content in entry.files.items():
                    (folder / name).write_bytes(content)
        except OSError as error:
            raise output_error(entry.target, error) from None
