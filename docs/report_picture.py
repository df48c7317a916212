"""Write a report on the reference results and keep its first screen as the README's picture.

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
REFERENCE = DOCS.parent / "results" / "reference"
RESULTS = ("lesson-2019-colab", "two-core-cloud-vm")
SIZE = {"width": 1100, "height": 1180}
MOST_BYTES = 200_000


def main() -> None:
    browser_path = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_file = Path(folder, "report.html")
        words = ["report", *(str(REFERENCE / name) for name in RESULTS), "-o", str(page_file)]
        subprocess.run([sys.executable, "-m", "mnistbench", *words], check=True)
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(page_file.as_uri())
        page.wait_for_selector("html[data-drawn=yes]")
        picture = page.screenshot()
        browser.close()
    Image.open(io.BytesIO(picture)).convert("RGB").save(PICTURE, quality=80, method=6)
    assert PICTURE.stat().st_size <= MOST_BYTES


if __name__ == "__main__":
    main()
