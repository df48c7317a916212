"""A report as one HTML file: nothing is fetched, and no script runs but those written here."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import mnistbench
from mnistbench.report.document.parts import Document
from mnistbench.report.html.charts import chart
from mnistbench.results.phases import utc_now

_PLOTLY = "plotly-cartesian.min.js"
_SCRIPT = "report.js"
_STYLE = "report.css"


def as_html(document: Document) -> str:
    """Return the whole page."""
    scripts = [_file(_SCRIPT)]
    if document.figures:
        scripts.insert(0, _file(_PLOTLY))
    return _environment().get_template("report.html.j2").render(
        document=document,
        charts=[chart(figure) for figure in document.figures],
        scripts=scripts,
        # An injected script has no hash here: were an escape missing, the browser refuses it.
        hashes=" ".join(f"'{_digest(script)}'" for script in scripts),
        style=_file(_STYLE),
        version=mnistbench.__version__,
        made_utc=utc_now()[:16].replace("T", " "),
    )  # fmt: skip


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("mnistbench.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _file(name: str) -> Markup:
    """Return a file of ours that goes into the page as it is."""
    text = (
        resources.files("mnistbench.report.html")
        .joinpath("static")
        .joinpath(name)
        .read_text("utf-8")
    )
    return Markup(text)


def _digest(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
