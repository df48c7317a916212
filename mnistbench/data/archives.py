"""Named files out of a folder or a .tar.gz, read into memory: nothing is ever unpacked to disk."""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from mnistbench.data.file_kinds import kind_of
from mnistbench.data.limits import TooLargeError, Unpacked
from mnistbench.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"

_AGAIN = "fetch the file again"
_CUT = "is a damaged .tar.gz, or was cut short"

_MEMBER_BYTES = 64 << 20  # the largest official member has 31 MB
_ARCHIVE_BYTES = 512 << 20  # the official archives unpack to 187 MB
_MOST_MEMBERS = 1000  # they have 9
_MOST_EXTRA_BYTES = 1 << 16
_EXTRAS = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip


def is_archive(path: Path) -> bool:
    """Return whether the file begins as a gzip does; its name may be anything."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


def archive_files(path: Path, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the archive's regular files of these names, in any folder.

    Links and everything else are passed over. Raises InputError for a damaged archive, for one
    that would unpack to far more than the official ones, and for a file that is there twice.
    """
    seen: set[str] = set()
    try:
        with path.open("rb") as packed, _opened(packed) as archive:
            for number, member in enumerate(archive):
                if number >= _MOST_MEMBERS:
                    raise TooLargeError(f"it holds more than {_MOST_MEMBERS} files")
                name = PurePosixPath(member.name).name
                if not member.isreg() or name not in names:
                    continue
                if name in seen:
                    raise InputError(f"holds {name} twice", source=path)
                seen.add(name)
                yield name, _content(archive, member)
    except TooLargeError as error:
        raise InputError(f"is no official archive: {error}", source=path, hint=_AGAIN) from None
    except (tarfile.TarError, EOFError, zlib.error, ValueError, OSError, RecursionError):
        problem, remedy = (_CUT, _AGAIN) if seen else _without_a_file(path)
        raise InputError(problem, source=path, hint=remedy) from None


def _without_a_file(path: Path) -> tuple[str, str]:
    """Return what is wrong with a gzip file that gave no file at all, and the remedy."""
    try:
        with path.open("rb") as packed:
            head = _unpacked(packed).read(512)
    except (EOFError, ValueError, zlib.error, OSError):
        return _CUT, _AGAIN
    if head[257:262] == b"ustar":
        return _CUT, _AGAIN
    kind = kind_of(head)
    problem = f"is a gzip file of {kind.name}" if kind else "is a gzip file, but no tar archive"
    return problem, (kind and kind.remedy) or _AGAIN


def folder_files(path: Path, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the folder's files of these names."""
    for name in names:
        file = path / name
        if file.is_file():
            with file.open("rb") as source:
                content = source.read(_MEMBER_BYTES + 1)
            if len(content) > _MEMBER_BYTES:
                raise InputError(
                    f"is larger than any official file: more than {_MEMBER_BYTES >> 20} MiB",
                    source=file,
                )
            yield name, content


class _Member(tarfile.TarInfo):
    """A member whose name and other extras are of a sane length; they are read into memory."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _EXTRAS and self.size > _MOST_EXTRA_BYTES:
            raise TooLargeError(f"a member's header has {self.size:,} bytes")
        member: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return member


def _unpacked(packed: IO[bytes]) -> IO[bytes]:
    return io.BufferedReader(Unpacked(packed, _ARCHIVE_BYTES), 1 << 16)


def _opened(packed: IO[bytes]) -> tarfile.TarFile:
    # As a stream: a second pass over the members would decompress everything twice.
    return tarfile.open(fileobj=_unpacked(packed), mode="r|", tarinfo=_Member)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > _MEMBER_BYTES:
        raise TooLargeError(f"{member.name} has {member.size} bytes, too many")
    file = archive.extractfile(member)
    content = file.read() if file else b""
    if len(content) != member.size:
        raise EOFError(f"{member.name} is truncated")
    return content
