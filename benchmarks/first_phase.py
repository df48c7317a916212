"""What one waits for between the command and the first phase of the first repeat, part by part.

    python benchmarks/first_phase.py                       # this checkout
    python benchmarks/first_phase.py --against PYTHON      # and an older one's, in turn

Each round starts `mnistbench benchmark` on a small training by each Python, in turn, and reads what
it wrote: when the framework's import began and how long it took, when the first repeat began, and
when its first phase did. `ours` is all of it but the import. Where the other mnistbench is older,
the ratio of both tells what was gained.
"""

from __future__ import annotations

import argparse
import csv
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

import numpy as np

from mnistbench.analysis import stats

COMMAND = (
    "-m", "mnistbench", "benchmark", "mnist-dense-512", "--set", "dataset.train_samples=1280",
    "--set", "dataset.test_samples=256", "--repeats", "1", "-q", "--format", "csv",
)  # fmt: skip
_LINE = re.compile(r"^(\S+) (repeat 1 begins|mnist-dense-512: )", re.MULTILINE)


@dataclass(frozen=True)
class Wait:
    """The seconds of one command until its first phase."""

    whole: float
    to_import: float
    """Until the framework's import began."""
    framework: float
    """The import itself."""
    describing: float
    """From the import to the last fact in machine.csv, and the checks that outlast the import."""
    calibration: float
    process: float
    """From the first repeat's order to its first phase."""

    @property
    def ours(self) -> float:
        """Return all of it but the import."""
        return self.whole - self.framework


def wait(python: str) -> Wait:
    """Run the command, and return what was waited for."""
    with tempfile.TemporaryDirectory() as output:
        began = time.time()
        subprocess.run(
            [python, *COMMAND, "--output", output], check=True, capture_output=True, cwd=output
        )
        (folder,) = Path(output).iterdir()
        with (folder / "timings.csv").open(newline="") as text:
            rows = {row["phase"]: row for row in csv.DictReader(text)}
        log = (folder / "log.txt").read_text(errors="replace")
    moments = {said.split()[0]: _moment(stamp) for stamp, said in _LINE.findall(log)}
    described, ordered = moments["mnist-dense-512:"], moments["repeat"]
    imported = _moment(rows["import"]["start_utc"])
    framework = float(rows["import"]["seconds"])
    first = _moment(rows["data-load"]["start_utc"])
    return Wait(
        first - began, imported - began, framework, described - imported - framework,
        ordered - described, first - ordered,
    )  # fmt: skip


def _moment(stamp: str) -> float:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def main() -> None:
    """Print the parts of each Python's wait, and the ratio of both."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--against", metavar="PYTHON", help="of the older mnistbench")
    given = parser.parse_args()
    pythons = [sys.executable, *([given.against] if given.against else [])]
    found: dict[str, list[Wait]] = {python: [] for python in pythons}
    for number in range(given.rounds):
        for python in pythons if number % 2 else pythons[::-1]:
            found[python].append(wait(python))
    names = ("whole", "ours", "to_import", "framework", "describing", "calibration", "process")
    print(f"| seconds, medians of {given.rounds} | {' | '.join(names)} |")
    print(f"|---|{'---:|' * len(names)}")
    for python, waits in found.items():
        cells = [f"{median(getattr(each, name) for each in waits):.2f}" for name in names]
        print(f"| {python} | {' | '.join(cells)} |")
    if given.against:
        for name in ("whole", "ours"):
            new, old = (np.array([getattr(w, name) for w in found[python]]) for python in pythons)
            ratio = stats.paired_ratio(old, new, 0.95)
            print(
                f"{name}: {ratio.ratio:.3f} of the older one's ({ratio.low:.3f} to "
                f"{ratio.high:.3f}, 95 %, n = {given.rounds})"
            )


if __name__ == "__main__":
    main()
