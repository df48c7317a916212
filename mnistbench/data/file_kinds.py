"""What a file is by its first bytes, whatever its name says: for messages that name the cause."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_HEAD_BYTES = 1024


@dataclass(frozen=True)
class FileKind:
    """A kind of file that is not what was expected."""

    name: str
    """With its article, as in `an HTML page`."""
    remedy: str = ""
    """What to do to have the file that was meant."""


EMPTY = FileKind("empty", "fetch the file again")
HTML = FileKind("an HTML page", "fetch the file again, by the address of the file itself")
LFS = FileKind(
    "a Git LFS pointer", "run git lfs pull in its repository, which puts the file in its place"
)
GZIP = FileKind("a gzip file")
ZIP = FileKind("a zip archive")
HDF5 = FileKind("an HDF5 file")
NPY = FileKind("a single NumPy array (.npy)")
PICKLE = FileKind("a Python pickle")

_UNPACK = "unpack it and give what was in it"
_FOLDER_OF_FOUR = "give the folder that holds the four of them"

_BEGINNINGS = (
    (b"version https://git-lfs", LFS),
    (b"\x1f\x8b", GZIP),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"\x89HDF\r\n\x1a\n", HDF5),
    (b"\x93NUMPY", NPY),
    (b"\x89PNG\r\n\x1a\n", FileKind("a PNG picture")),
    (b"\xff\xd8\xff", FileKind("a JPEG picture")),
    (b"GIF8", FileKind("a GIF picture")),
    (b"%PDF", FileKind("a PDF document")),
    (b"BZh", FileKind("a bzip2 file", _UNPACK)),
    (b"\xfd7zXZ\0", FileKind("an xz file", _UNPACK)),
    (b"(\xb5/\xfd", FileKind("a zstd file", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", FileKind("a 7z archive", _UNPACK)),
    (b"Rar!", FileKind("a RAR archive", _UNPACK)),
    (b"\0\0\x08\x01", FileKind("a single IDX file", _FOLDER_OF_FOUR)),
    (b"\0\0\x08\x03", FileKind("a single IDX file", _FOLDER_OF_FOUR)),
    (b"PAR1", FileKind("a Parquet file")),
    (b"MATLAB 5.0", FileKind("a MATLAB file")),
)
_PAGE_BEGINNINGS = (b"<!doctype html", b"<html", b"<head", b"<!--")


def file_kind(path: Path) -> FileKind | None:
    """Return what a file is by its first bytes; None if they tell nothing."""
    with path.open("rb") as file:
        return kind_of(file.read(_HEAD_BYTES))


def kind_of(head: bytes) -> FileKind | None:
    """Return what a file is that begins so; None if that tells nothing."""
    if not head:
        return EMPTY
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<svg", b"<?xml")) and b"<svg" in text:
        return FileKind("an SVG drawing")
    if text.startswith(_PAGE_BEGINNINGS) or (text.startswith(b"<?xml") and b"<html" in text):
        return HTML
    if head[4:8] == b"ftyp":
        return FileKind("a HEIC or AVIF picture, or a film")
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    if head[257:262] == b"ustar":
        return FileKind("a tar archive", _UNPACK)
    if head[:1] == b"\x80" and head[1:2] in b"\2\3\4\5":
        return PICKLE
    return FileKind("a text file") if _is_text(head) else None


def instead_of(path: Path, wanted: str, remedy: str) -> tuple[str, str]:
    """Return the problem and the remedy of a file that is not the `wanted` one.

    `wanted` is with its article, as in `a NumPy archive`; `remedy` is for what has none of its own.
    """
    kind = file_kind(path)
    if kind is None:
        return f"is damaged, or no {wanted.split(' ', 1)[1]}", remedy
    return f"is {kind.name}, not {wanted}", kind.remedy or remedy


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode()  # a character cut in two
    return all(character.isprintable() or character.isspace() for character in text)
