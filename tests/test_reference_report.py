"""The report of all of results/reference: built whole, and opened in every theme and width."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import rows, run_here

REFERENCE = Path(__file__).parents[1] / "results" / "reference"
NAMES = ("lesson-2019-colab", "two-core-cloud-vm", "two-core-cloud-vm-sweeps")
RESULTS = [REFERENCE / name for name in NAMES]
"""What of it are tables of `benchmark`: the other folders are outcomes of our own scripts."""
CHROMIUM = shutil.which("chromium")
SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 900}}


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("reference") / "report.html"
    done = run_here("report", *map(str, RESULTS), "-o", str(output))
    assert (done.returncode, done.stderr) == (0, "")
    return output


def test_every_table_of_the_reference_is_in_its_report(report):
    """A folder that is added to the reference is in its report, or is none of our tables."""
    text = report.read_text(encoding="utf-8")
    runs = sorted(REFERENCE.glob("**/timings.csv"))
    assert {next(r for r in RESULTS if r in run.parents) for run in runs} == {*RESULTS}
    for run in runs:  # a sweep's points stand by their settings in its own section
        sweep = run.parents[1]
        is_point = (sweep / "sweep.yaml").is_file()
        for name in {sweep.name} if is_point else {row["config"] for row in rows(run)}:
            assert name in text
    assert "8281485b0a16" in text
    assert report.stat().st_size < 10_000_000


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
def test_it_opens_in_both_themes_and_widths(report):
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, size in SIZES.items():
            for theme in ("light", "dark"):
                page = browser.new_page(viewport=size, color_scheme=theme)
                complaints = list[str]()
                page.on("console", lambda message, heard=complaints: heard.append(message.text))
                page.on("pageerror", lambda error, heard=complaints: heard.append(str(error)))
                page.goto(report.as_uri())
                page.wait_for_selector("html[data-drawn=yes]")
                assert complaints == [], (name, theme)
                assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
                charts = page.locator("[data-chart]")
                assert charts.count() > 0
                assert charts.locator("svg.main-svg").count() >= charts.count()
                page.close()
        browser.close()
