"""Named files out of a folder or a .tar.gz, read into memory: nothing is ever unpacked to disk."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from mnistbench.data.file_kinds import kind_of
from mnistbench.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"

_AGAIN = "fetch the file again"
_CUT = "is a damaged .tar.gz, or was cut short"

_MEMBER_BYTES = 64 << 20  # the largest official member has 31 MB
_ARCHIVE_BYTES = 512 << 20  # the official archives unpack to 187 MB


class _TooLargeError(ValueError):
    pass


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
        with gzip.open(path) as unpacked, _opened(unpacked) as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if not member.isreg() or name not in names:
                    continue
                if name in seen:
                    raise InputError(f"holds {name} twice", source=path)
                seen.add(name)
                yield name, _content(archive, member)
    except _TooLargeError as error:
        raise InputError(f"is no official archive: {error}", source=path, hint=_AGAIN) from None
    except (tarfile.TarError, EOFError, zlib.error, ValueError, OSError):
        problem, remedy = (_CUT, _AGAIN) if seen else _without_a_file(path)
        raise InputError(problem, source=path, hint=remedy) from None


def _without_a_file(path: Path) -> tuple[str, str]:
    """Return what is wrong with a gzip file that gave no file at all, and the remedy."""
    try:
        with gzip.open(path) as unpacked:
            head = unpacked.read(512)
    except (EOFError, zlib.error, OSError):
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
            if file.stat().st_size > _MEMBER_BYTES:
                raise InputError("is larger than any official file", source=file)
            yield name, file.read_bytes()


def _opened(unpacked: gzip.GzipFile) -> tarfile.TarFile:
    # As a stream: a second pass over the members would decompress everything twice.
    return tarfile.open(fileobj=_Limited(unpacked), mode="r|")


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > _MEMBER_BYTES:
        raise _TooLargeError(f"{member.name} has {member.size} bytes, too many")
    file = archive.extractfile(member)
    content = file.read() if file else b""
    if len(content) != member.size:
        raise EOFError(f"{member.name} is truncated")
    return content


class _Limited(io.RawIOBase):
    """Bytes of a stream up to a limit: a small archive must not unpack without end."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self._left = _ARCHIVE_BYTES

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise _TooLargeError(f"it unpacks to more than {_ARCHIVE_BYTES >> 20} MiB")
        return content
