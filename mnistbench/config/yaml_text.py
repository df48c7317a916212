"""YAML from anywhere, within limits: what a few bytes claim to be is never built."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from mnistbench.errors import InputError

MOST_BYTES = 256 << 10
"""Of a config; those that ship have 1 kB."""
MOST_BYTES_OF_POINTS = 4 << 20
"""Of the points of a sweep, ten thousand at most."""
_MOST_VALUES = 200_000
"""What an alias stands for counted each time."""
_MOST_LEVELS = 20


class _Loader(yaml.SafeLoader):
    """YAML without surprises: duplicate keys are errors, `1e-3` is a number, dates are text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._sizes: dict[int, int] = {}
        self._open: list[int] = []

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next value, counted; refuse what is too much before anything is made of it."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):
            node = super().compose_node(parent, index)
            if id(node) not in self._sizes:
                raise _refused(f"the alias *{event.anchor} is inside what it stands for", event)
        else:
            if event.tag not in (None, "!"):
                raise _refused(f"the tag {event.tag} is not read here", event)
            if len(self._open) >= _MOST_LEVELS:
                raise _refused(f"is nested more than {_MOST_LEVELS} levels deep", event)
            self._open.append(1)
            node = super().compose_node(parent, index)
            self._sizes[id(node)] = self._open.pop()
        if self._open:
            self._open[-1] += self._sizes[id(node)]
            if self._open[-1] > _MOST_VALUES:
                raise _refused(f"stands for more than {_MOST_VALUES:,} values", event)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is there twice", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


# PyYAML reads YAML 1.1, where a float needs a dot: without this, 1e-3 would be a string.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)
# No field is a date: a name like 2026-11-25 is text.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


def _refused(problem: str, event: yaml.Event) -> yaml.MarkedYAMLError:
    mark: Any = event.start_mark
    return yaml.composer.ComposerError(None, None, problem, mark)


def read_yaml(text: str, source: str, most_bytes: int = MOST_BYTES) -> Any:
    """Return the value of one YAML document; raise InputError with the line of the mistake."""
    if len(text) > most_bytes:
        raise too_long(source, most_bytes)
    if text.lstrip().startswith("{"):  # JSON may be indented by tabs, YAML may not
        text = text.replace("\t", " ")
    try:
        return yaml.load(text, Loader=_Loader)  # a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}" if mark and "\n" in text else source
        problem = str(error.problem or error.context)
        hint = "indent by blanks: YAML takes no tabs" if r"'\t'" in problem else None
        raise InputError(f"not valid YAML: {problem}", source=where, hint=hint) from None
    except (yaml.YAMLError, ValueError, RecursionError, LookupError, TypeError) as error:
        raise InputError(f"not valid YAML: {error}", source=source) from None


def read_limited(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Return the content of a file, or of a pipe; raise InputError if it is longer, and OSError."""
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise too_long(path, most_bytes)
    return content


def too_long(source: object, most_bytes: int) -> InputError:
    """Return the error of a text that is longer than any of its kind."""
    return InputError(
        f"is longer than {most_bytes >> 10:,} KiB", source=source, hint="is it the right file?"
    )
