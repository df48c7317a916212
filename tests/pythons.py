"""Every Python that is here: the tests that need no framework, and a benchmark, by each.

    python tests/pythons.py [VERSION]... [--report FILE]

Each has a venv of its own, `.venv-VERSION`. The table is put between two marks of the report, where
it keeps the lines of those that were not asked for.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
BEGIN, END = "<!-- pythons: begin -->", "<!-- pythons: end -->"
HEADS = ("Python", "TensorFlow", "NumPy", "tests passed", "skipped", "failed", "their seconds",
         "a benchmark's train, s")  # fmt: skip


def find(version: str) -> str | None:
    """Return a Python of this version, on the path or of pyenv; None if there is none."""
    places = [shutil.which(f"python{version}"), shutil.which("python3")]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    places += [str(place) for place in sorted(pyenv.glob(f"{version}.*/bin/python"))]
    script = "import sys; print('%d.%d' % sys.version_info[:2])"
    for place in filter(None, places):
        done = subprocess.run([place, "-c", script], capture_output=True, text=True, check=False)
        if done.stdout.strip() == version:
            return place
    return None


def installed(python: str, version: str) -> Path:
    """Return the Python of a venv with mnistbench and its tests' needs."""
    venv = ROOT / f".venv-{version}"
    own = venv / "bin" / "python"
    if not own.exists():
        subprocess.run([python, "-m", "venv", str(venv)], check=True)
    subprocess.run(
        [str(own), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c",
         str(ROOT / "constraints.txt"), "-e", f"{ROOT}[dev]"],
        check=True,
    )  # fmt: skip
    return own


def tests(python: Path) -> list[str]:
    """Return how many tests that need no framework passed, were skipped and failed; seconds."""
    began = time.monotonic()
    done = subprocess.run(
        [str(python), "-m", "pytest", "-n", "auto", "--dist", "loadfile", "--no-framework"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    closing = done.stdout.strip().splitlines()[-1:] or ["nothing"]
    print("\n".join(line for line in done.stdout.splitlines() if line.startswith("FAILED")))
    print(f"    {closing[0]}", flush=True)
    counts = [_count(closing[0], word) for word in ("passed", "skipped", "failed|errors?")]
    return [*counts, f"{time.monotonic() - began:.0f}"]


def _count(line: str, word: str) -> str:
    found = re.search(rf"(\d+) (?:{word})", line)
    return found[1] if found else "0"


def benchmark(python: Path) -> list[str]:
    """Return the versions that measured, and the median of the train phase."""
    with TemporaryDirectory() as folder:
        done = subprocess.run(
            [str(python), "-m", "mnistbench", "benchmark", "mnist-dense-512", "--repeats", "3",
             "--set", "training.epochs=1", "--quiet", "--output", folder],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            return ["", "", f"failed: {done.stderr.strip().splitlines()[-1]}"]
        (run,) = Path(folder).iterdir()
        facts = {row["attribute"]: row["value"] for row in _rows(run / "machine.csv")}
        times = sorted(
            float(row["seconds"])
            for row in _rows(run / "timings.csv")
            if row["phase"] == "train" and row["status"] == "ok"
        )
        return [facts["tensorflow_version"], facts["numpy_version"], f"{times[1]:.2f}"]


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def table(lines: Sequence[Sequence[str]]) -> str:
    """Return the table as Markdown."""
    rows = [HEADS, ["---", *["---:"] * (len(HEADS) - 1)], *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def put_between(report: Path, lines: Sequence[Sequence[str]]) -> None:
    """Put the lines between the marks of a report, beside those of other Pythons that are there."""
    text = report.read_text(encoding="utf-8")
    pattern = re.compile(f"{BEGIN}(.*?){END}", re.DOTALL)
    found = pattern.search(text)
    assert found is not None, report
    rows = {row[0]: row for row in map(_cells, found[1].splitlines()) if row[0] in VERSIONS}
    rows.update({row[0]: [*row] for row in lines})
    between = f"{BEGIN}\n{table([rows[name] for name in VERSIONS if name in rows])}\n{END}"
    report.write_text(text.replace(found[0], between), encoding="utf-8")


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split("|")]


def main() -> int:
    """Test each version; return 1 if anything failed or no Python was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="*", default=VERSIONS)
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    lines = []
    for version in given.versions:
        found = find(version)
        if found is None:
            print(f"Python {version}: not here")
            continue
        print(f"Python {version}", flush=True)
        python = installed(found, version)
        tested, (tensorflow, numpy, seconds) = tests(python), benchmark(python)
        lines.append([version, tensorflow, numpy, *tested, seconds])
    print(table(lines))
    if given.report:
        put_between(given.report, lines)
    return 0 if lines and all(row[5] == "0" and row[1] for row in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
