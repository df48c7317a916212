"""Write a report on the reference results and keep its words and first chart as a picture.

python docs/report_picture.py, where there is a Chromium and Playwright
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

DOCS = Path(__file__).parent
PICTURE = DOCS / "report.webp"
RESULTS = DOCS.parent / "results" / "reference" / "two-core-cloud-vm"
SIZE = {"width": 1100, "height": 1200}
MARGIN = 24
PARTS = ("header", "figure:has(#chart-phases)")
MOST_BYTES = 200_000


def main() -> None:
    browser_path = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_file = Path(folder, "report.html")
        words = ["report", str(RESULTS), "-o", str(page_file)]
        subprocess.run([sys.executable, "-m", "mnistbench", *words], check=True)
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(page_file.as_uri())
        page.wait_for_selector("html[data-drawn=yes]")
        parts = [page.locator(part).first.screenshot() for part in PARTS]
        browser.close()
    stacked([Image.open(io.BytesIO(part)).convert("RGB") for part in parts]).save(
        PICTURE, quality=80, method=6
    )
    assert PICTURE.stat().st_size <= MOST_BYTES


def stacked(parts: list[Image.Image]) -> Image.Image:
    """Return pictures one below the other."""
    width = max(part.width for part in parts) + 2 * MARGIN
    height = sum(part.height + MARGIN for part in parts) + MARGIN
    whole = Image.new("RGB", (width, height), "white")
    top = MARGIN
    for part in parts:
        whole.paste(part, (MARGIN, top))
        top += part.height + MARGIN
    return whole


if __name__ == "__main__":
    main()
