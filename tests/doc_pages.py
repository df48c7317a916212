"""The documents as the tests read them: their pages, and the commands that they show."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SPOKEN = re.compile(r"(?<!`)`(mnistbench [a-z][^`]*)`")
_BETWEEN = {"&&", "||", "|", ";"}


@dataclass(frozen=True)
class Shown:
    """A command that a page shows."""

    page: str
    words: tuple[str, ...]
    """As the shell would take them, without redirections; globs as they stand."""

    @property
    def text(self) -> str:
        """Return the command in one line."""
        return " ".join(self.words)


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a page that are of a language."""
    return [body for kind, body in _BLOCK.findall(page.read_text("utf-8")) if kind == language]


def shown_commands() -> list[Shown]:
    """Return every command in the `sh` blocks of all pages, in their order."""
    return [
        Shown(page.name, words)
        for page in PAGES
        for block in blocks(page, "sh")
        for line in block.replace("\\\n", " ").splitlines()
        for words in commands_of(line)
    ]


def spoken_of() -> list[tuple[str, str]]:
    """Return the commands in the text of the pages, each with its page; not those cut short."""
    return [
        (page.name, " ".join(text.split()))
        for page in PAGES
        for text in _SPOKEN.findall(_BLOCK.sub("", page.read_text("utf-8")))
        if not {"|", "["} & {*text} and "..." not in text and "SHELL" not in text
    ]


def commands_of(line: str) -> Iterator[tuple[str, ...]]:
    """Yield the commands of a line, of which a pipe or a list may have several."""
    reader = shlex.shlex(line, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    words: list[str] = []
    redirected = False
    for word in [*reader, ";"]:
        if word in _BETWEEN:
            if words:
                yield tuple(words)
            words = []
        elif set(word) <= {">", "<"}:
            redirected = True
        elif redirected:
            redirected = False
        else:
            words.append(word)
