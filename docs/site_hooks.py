"""What the site needs beside the pages: its front page is the README, and links stay inside."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

README = Path(__file__).parents[1] / "README.md"
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((\.\./[^)]*)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Give the site the README as its front page."""
    text = README.read_text(encoding="utf-8")
    inside = re.sub(r"\]\((?!\w+:|#|docs/)", "](../", text).replace("](docs/", "](")
    files.append(File.generated(config, "index.md", content=inside))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Leave of a link that leads out of this folder its words: the site has no such file."""
    return _LINK.sub(r"\1", markdown)
