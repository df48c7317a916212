"""1,000,000 timing rows of 2,000 machines: what `mnistbench report` takes, and its page to open.

    python benchmarks/report_scale.py              # writes files to a temporary folder, measures
    python benchmarks/report_scale.py --quick      # a hundredth of it
    python benchmarks/report_scale.py --keep DIR   # leaves the files and the page in DIR

CPU seconds are those of the command and all its threads: on a machine that others use they tell
more than the clock. The page is opened in Chromium, where there is one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import astuple, dataclass
from pathlib import Path

from scale import SIDES, generate, run

RUNS = 3


@dataclass(frozen=True, order=True)
class Built:
    """What one call of the command took."""

    cpu_seconds: float
    seconds: float
    mebibytes: float
    page_megabytes: float


def build(page: Path, *given: str) -> Built:
    """Run the command as a user would."""
    command = [sys.executable, "-m", "mnistbench", "report", *given, "-o", str(page)]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    return Built(
        usage.ru_utime + usage.ru_stime,
        time.perf_counter() - start,
        usage.ru_maxrss / 1024,
        page.stat().st_size / 1e6,
    )


def opened(page: Path) -> list[float]:
    """Return the seconds until every chart of the page was drawn, each in a fresh tab."""
    from playwright.sync_api import sync_playwright

    browser_path = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))))
    seconds = []
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--no-first-run"]
        browser = playwright.chromium.launch(executable_path=browser_path, args=arguments)
        for _ in range(RUNS):
            tab = browser.new_page()
            start = time.perf_counter()
            tab.goto(page.as_uri())
            tab.wait_for_selector("html[data-drawn=yes]", state="attached")
            seconds.append(time.perf_counter() - start)
            tab.close()
        browser.close()
    return sorted(seconds)


def report(folder: Path, machines: int, rows: int) -> None:
    generate(folder, machines, rows)
    page = folder / "report.html"
    inputs = {
        f"{machines:,} files, a crowd": [f"{folder}/*/*.csv"],
        f"{machines:,} files, two sides": [f"{folder}/{side}/*.csv" for side in SIDES],
        "2 files, two sides": [f"{folder}/{side}.csv" for side in SIDES],
    }
    print("| input | CPU seconds | seconds | MiB | page, MB |\n|---|---:|---:|---:|---:|")
    for name, given in inputs.items():
        middle = sorted(build(page, *given) for _ in range(RUNS))[RUNS // 2]
        print(f"| {name} | {' | '.join(f'{value:.1f}' for value in astuple(middle))} |")
    print(f"\nMedian of {RUNS} runs of the whole command, by CPU seconds.")
    try:
        seconds = opened(page)
    except (ImportError, StopIteration):
        print("The page was not opened: no playwright, or no Chromium.")
        return
    print(f"The page is drawn whole in {seconds[len(seconds) // 2]:.2f} s (median of {RUNS}).")


if __name__ == "__main__":
    run(__doc__, report)
