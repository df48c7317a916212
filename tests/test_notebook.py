"""The notebook of docs/, run from its first cell to its last by a real kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="pip install nbclient ipykernel")
nbclient = pytest.importorskip("nbclient", reason="pip install nbclient ipykernel")
pytest.importorskip("ipykernel", reason="pip install nbclient ipykernel")

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"
pytestmark = pytest.mark.filterwarnings("ignore")  # of Jupyter's own packages


@pytest.fixture(scope="module")
def cells(tmp_path_factory) -> list[Any]:
    """Its cells of code after a run, in which nothing failed."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    folder = tmp_path_factory.mktemp("notebook")
    client = nbclient.NotebookClient(
        notebook, timeout=240, kernel_name="python3", skip_cells_with_tag="install",
        resources={"metadata": {"path": str(folder)}},
    )  # fmt: skip
    client.execute()
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell: Any, kind: str) -> list[str]:
    return [
        output["data"][kind] for output in cell.outputs if kind in output.get("data", {})
    ]  # fmt: skip


def cell_with(cells: list[Any], text: str) -> Any:
    return next(cell for cell in cells if text in cell.source)


def test_the_first_cell_installs_and_nothing_was_run_before_it_was_committed(cells):
    committed = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert code[0].source.startswith("%pip install")
    assert not any(cell.outputs for cell in code)


def test_progress_is_a_bar_and_results_are_a_table(cells):
    bar, table = shown(cell_with(cells, 'output="results/one"'), "text/html")
    assert '<progress max="3" value="3.00"></progress> 3 of 3<pre>' in bar
    assert bar.count("mnist-dense repeat ") == 3
    assert "<th>median s</th>" in table
    assert "<td>train</td><td>3</td>" in table


def test_verdicts_are_a_table(cells):
    *_, table = shown(cell_with(cells, "compared = compare_results"), "text/html")
    assert "<th>verdict</th>" in table
    assert "<td>train</td>" in table


def test_nothing_is_said_on_standard_error(cells):
    said = [
        output.text
        for cell in cells
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stderr"
    ]
    assert said == []
