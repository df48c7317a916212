"""Run the command in a terminal of its own and keep what it printed as the README's picture.

python docs/terminal_picture.py
"""

from __future__ import annotations

import io
import os
import pty
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).with_name("benchmark.svg")
COMMAND = ["benchmark", "--repeats", "3"]


def printed(output: str) -> str:
    """Return what the command writes to a terminal, control codes included."""
    chunks: list[bytes] = []

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 65536)
        chunks.append(data)
        return data

    os.environ.update(COLUMNS="80", LINES="60", TERM="xterm-256color")
    pty.spawn([sys.executable, "-m", "mnistbench", *COMMAND, "--output", output], read)
    return b"".join(chunks).decode()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        text = printed("results")
    # What the bars drew and wiped is not what remains on the screen.
    remains = text.replace("\r\n", "\n").rpartition("\x1b[2K")[2]
    console = Console(record=True, width=80, file=io.StringIO(), highlight=False)
    console.print(f"[bold]$ mnistbench {' '.join(COMMAND)}[/bold]")
    console.print(Text.from_ansi(remains))
    console.save_svg(str(PICTURE), title="mnistbench")


if __name__ == "__main__":
    main()
