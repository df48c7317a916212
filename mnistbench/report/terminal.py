"""Consoles and the pieces that several reports share, drawn by rich."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from mnistbench.config.frameworks import BACKENDS
from mnistbench.errors import in_line, visible

SHORT_MACHINE = (
    "node", "cpu_model", "cpu_cores_physical", "cpu_threads", "cpu_affinity_threads",
    "cgroup_cpu_limit_cores", "memory_total_bytes", "cgroup_memory_limit_bytes", "gpu_count",
    "gpu_0_name", "gpu_driver_version", "PRETTY_NAME", "container", "virtual_machine",
    "python_version", *(f"{name}_version" for name in BACKENDS), "keras_version",
    "mnistbench_version", "load_1min",
)  # fmt: skip


def output_console(file_columns: int = 120) -> Console:
    """Return the console of results: as wide as the terminal, or wide enough for a file."""
    return plain_console(width=None if sys.stdout.isatty() else file_columns)


class _AsItIs:
    """A standard stream for what draws: the console has made its text visible already."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.write = getattr(stream, "write_as_it_is", stream.write)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Console(Console):
    """Draws text with its control characters shown, and obeys none of them."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text with its style."""
        return super().render_str(visible(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Give the pieces of what is drawn."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))


def plain_console(width: int | None = None, stderr: bool = False) -> Console:
    """Return a console that prints what it is given: `[b]` in a folder's name is no markup."""
    file: Any = _AsItIs(sys.stderr if stderr else sys.stdout)
    return _Console(width=width, file=file, markup=False, emoji=False)


def machine_table(facts: Mapping[str, object], names: tuple[str, ...] | None = None) -> Table:
    """Return the machine's attributes; only the named ones that are known, if names are given."""
    table = Table("Machine attribute", "Value", title="Machine", title_justify="left")
    for name in names or tuple(facts):
        value = facts.get(name)
        if value is not None or names is None:
            table.add_row(name, "" if value is None else readable(name, value))
    return table


def seconds_text(seconds: float | None) -> str:
    """Return seconds with four figures' worth of decimals; empty for the unknown."""
    if seconds is None:
        return ""
    return f"{seconds:.4f}" if seconds < 1 else f"{seconds:.3f}"


def readable(name: str, value: object) -> str:
    """Return an attribute of the machine as people read it: sizes in GiB or KiB."""
    if name.endswith("_bytes") and isinstance(value, int):
        return f"{value / 2**30:.1f} GiB" if value >= 2**30 else f"{value / 2**10:.0f} KiB"
    return in_line(str(value))
