"""The folder of one run: every row on the disk before the next repeat starts."""

from __future__ import annotations

import contextlib
import io
import os
import re
import secrets
import shutil
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from mnistbench.errors import OutputError
from mnistbench.results.rows import MachineRow, MetricRow, Row, TimingRow, to_csv
from mnistbench.results.tables import CONFIG, LOG, MACHINE, METRICS, TIMINGS

_ROOM_BYTES = 1 << 20  # what a run's files may need before the first training is worth starting


def new_run_id(config: str, node: str) -> str:
    """Return UTC time, config, host and a random suffix, fit to name a folder anywhere."""
    now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    host = re.sub(r"[^A-Za-z0-9_.]+", "-", node.split(".")[0]).strip("-.") or "host"
    return f"{now}-{config}-{host}-{secrets.token_hex(3)}"


class RunFolder:
    """The folder of one run; every row is on the disk before the next repeat starts."""

    def __init__(self, path: Path, made: Sequence[Path] = ()) -> None:
        """Use `create` for a new run; `made` are the folders above that it had to make."""
        self.path = path
        self._made = made

    @classmethod
    def create(cls, output: Path, run_id: str, config_yaml: str) -> RunFolder:
        """Make `output/run_id` with its config and empty tables.

        Raises OutputError, leaving nothing behind, if they cannot be written or the disk is full.
        """
        folder = cls.make(output, run_id)
        try:
            folder.write(CONFIG, config_yaml)
            folder.write(TIMINGS, to_csv([], TimingRow))
            folder.write(METRICS, to_csv([], MetricRow))
            folder.write(MACHINE, to_csv([], MachineRow))
        except OutputError:
            folder.remove()
            raise
        return folder

    @classmethod
    def make(cls, output: Path, name: str) -> RunFolder:
        """Make `output/name` with nothing in it; raises OutputError as `create` does."""
        path = output / name
        made = [folder for folder in (output, *output.parents) if not folder.exists()]
        folder = cls(path, made)
        try:
            path.mkdir(parents=True)
        except OSError as error:
            _remove_empty(made)
            raise _output_error(path, error) from None
        try:
            folder._check_room()
        except OutputError:
            folder.remove()
            raise
        return folder

    def append(self, table: str, rows: Sequence[Row]) -> None:
        """Add rows to a table and flush them to the disk: all of them, or none.

        Raises OutputError if they cannot be written.
        """
        file = self.path / table
        content = _utf8(to_csv(rows))
        try:
            with file.open("ab", buffering=0) as target:
                before = target.seek(0, os.SEEK_END)
                try:
                    _write_whole(target, content)
                except OSError:
                    target.truncate(before)
                    raise
        except OSError as error:
            raise _output_error(file, error) from None

    def write(self, name: str, text: str) -> None:
        """Write a file whole; raise OutputError if it cannot be."""
        file = self.path / name
        try:
            with file.open("wb", buffering=0) as target:
                _write_whole(target, _utf8(text))
        except OSError as error:
            raise _output_error(file, error) from None

    def log(self, line: str) -> None:
        """Add a line with the time to the run's log; raise OutputError if it cannot be."""
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        try:
            with (self.path / LOG).open("ab") as target:
                target.write(_utf8(f"{now} {line.rstrip()}\n"))
        except OSError as error:
            raise _output_error(self.path / LOG, error) from None

    def remove(self) -> None:
        """Delete the folder, and those above that were made for it: the run never began."""
        shutil.rmtree(self.path, ignore_errors=True)
        _remove_empty(self._made)

    def _check_room(self) -> None:
        probe = self.path / "room"
        try:
            with probe.open("wb", buffering=0) as target:
                _write_whole(target, bytes(_ROOM_BYTES))
            probe.unlink()
        except OSError as error:
            raise _output_error(self.path, error) from None


def _utf8(text: str) -> bytes:
    # What the system gives that is no UTF-8 (a tag, a variable) is shown, as `\\udcff`.
    return text.encode("utf-8", errors="backslashreplace")


def _write_whole(target: io.FileIO | io.RawIOBase, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        written = target.write(rest)
        rest = rest[written or 0 :]
    os.fsync(target.fileno())


def _remove_empty(folders: Sequence[Path]) -> None:
    with contextlib.suppress(OSError):  # never made, or another run is in it by now
        for folder in folders:
            folder.rmdir()


def _output_error(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{path}: cannot be written: {error.strerror or error}; "
        "choose another folder with --output DIR"
    )
