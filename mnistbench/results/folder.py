"""The folder of one run: every row on the disk before the next repeat starts."""

from __future__ import annotations

import contextlib
import io
import os
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from mnistbench.config.temporary import remove_abandoned
from mnistbench.errors import OutputError
from mnistbench.results import wall_clock
from mnistbench.results.rows import Row, to_csv
from mnistbench.results.tables import CONFIG, LOG, MACHINE, METRICS, TABLES, TIMINGS
from mnistbench.results.whole import write_whole

_ROOM_BYTES = 1 << 20  # what a run's files may need before the first training is worth starting


def new_run_id(config: str, node: str) -> str:
    """Return UTC time, config, host and a random suffix, fit to name a folder anywhere."""
    now = wall_clock.utc().strftime("%Y%m%dT%H%M%SZ")
    host = re.sub(r"[^A-Za-z0-9_.]+", "-", node.split(".")[0]).strip("-.") or "host"
    return f"{now}-{config}-{host}-{secrets.token_hex(3)}"


class RunFolder:
    """The folder of one run; every row is on the disk before the next repeat starts."""

    def __init__(self, path: Path) -> None:
        """Use a folder that is there; `create` is for a new run."""
        self.path = path
        self._is_ours = False
        self._made_above: Sequence[Path] = ()

    @classmethod
    def create(cls, output: Path, run_id: str, config_yaml: str) -> RunFolder:
        """Make `output/run_id` with its config and empty tables.

        Raises OutputError if they cannot be written or the disk is full. Nothing is left behind
        then, nor by an interrupt.
        """
        folder = cls.make(output, run_id)
        try:
            folder.write(CONFIG, config_yaml)
            for table in (TIMINGS, METRICS, MACHINE):
                folder.write_table(table, [])
        except BaseException:
            folder.remove()
            raise
        return folder

    @classmethod
    def make(cls, output: Path, name: str) -> RunFolder:
        """Make `output/name` with nothing in it; raises OutputError as `create` does."""
        remove_abandoned()
        path = output / name
        made_above = [folder for folder in (output, *output.parents) if not folder.exists()]
        folder = cls(path)
        try:
            path.mkdir(parents=True)
        except OSError as error:
            _remove_empty(made_above)
            raise output_error(path, error) from None
        folder._is_ours, folder._made_above = True, made_above
        try:
            folder._check_room()
        except BaseException:
            folder.remove()
            raise
        return folder

    def append(self, table: str, rows: Sequence[Row]) -> None:
        """Add rows to a table and flush them to the disk: all of them, or none.

        Raises OutputError if they cannot be written.
        """
        self.append_together({table: rows})

    def append_together(self, tables: Mapping[str, Sequence[Row]]) -> None:
        """Add rows to several tables, one flushed after the other: to all of them, or to none.

        Only a crash can come between: what is in the last table is in the others. Raises
        OutputError if they cannot be written.
        """
        sizes: dict[Path, int] = {}
        file = self.path
        try:
            for table, rows in tables.items():
                file = self.path / table
                with file.open("ab", buffering=0) as target:
                    sizes[file] = target.seek(0, os.SEEK_END)
                    _write_all(target, _utf8(to_csv(rows)))
        except BaseException as error:
            for path, size in sizes.items():
                with contextlib.suppress(OSError):
                    os.truncate(path, size)
            if isinstance(error, OSError):
                raise output_error(file, error) from None
            raise

    def write_table(self, table: str, rows: Sequence[Row]) -> None:
        """Write a table whole, its header first; raise OutputError if it cannot be."""
        self.write(table, to_csv(rows, TABLES[table]))

    def write(self, name: str, text: str) -> None:
        """Write a file whole or not at all; raise OutputError if it cannot be."""
        file = self.path / name
        try:
            write_whole(file, _utf8(text))
        except OSError as error:
            raise output_error(file, error) from None

    def log(self, line: str) -> None:
        """Add a line with the time to the run's log; raise OutputError if it cannot be."""
        now = wall_clock.utc().isoformat(timespec="milliseconds")
        try:
            with (self.path / LOG).open("ab") as target:
                target.write(_utf8(f"{now} {line.rstrip()}\n"))
        except OSError as error:
            raise output_error(self.path / LOG, error) from None

    def remove(self) -> None:
        """Delete what `create` or `make` made: the run never began. Nothing else is touched."""
        if self._is_ours:
            shutil.rmtree(self.path, ignore_errors=True)
            _remove_empty(self._made_above)

    def _check_room(self) -> None:
        probe = self.path / "room"
        try:
            with probe.open("wb", buffering=0) as target:
                _write_all(target, bytes(_ROOM_BYTES))
            probe.unlink()
        except OSError as error:
            raise output_error(self.path, error) from None


def _utf8(text: str) -> bytes:
    # What the system gives that is no UTF-8 (a tag, a variable) is shown, as `\\udcff`.
    return text.encode("utf-8", errors="backslashreplace")


def _write_all(target: io.FileIO | io.RawIOBase, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        written = target.write(rest)
        rest = rest[written or 0 :]
    os.fsync(target.fileno())


def _remove_empty(folders: Sequence[Path]) -> None:
    with contextlib.suppress(OSError):  # never made, or another run is in it by now
        for folder in folders:
            folder.rmdir()


def output_error(path: Path, error: OSError) -> OutputError:
    """Return what a user is told of a file that cannot be written."""
    return OutputError(
        f"{path}: cannot be written: {error.strerror or error}; "
        "choose another folder with --output DIR"
    )
