"""Odd places: machines and streams not as they should be, disks, paths, code that lies around."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

import limits
from commands import FEW, QUICK, RUNS, environment, left_in, unlike, words_of
from kills import unbroken
from tries import Outcome, judged

CODES = {0, 1, 2, 3, 4, 5, 74}
READERS = (
    ["config", "list"], ["config", "show", "mnist-dense"], ["config", "schema"], ["--help"],
    ["compare", "{runs}/base", "{runs}/new"], ["data", "list"], ["data", "show", "mnist"],
    ["compare", "{runs}/base", "{runs}/new", "--format", "json"],
    ["merge", "{runs}/base", "{runs}/new", "-o", "{folder}/merged"],
    ["report", "{runs}/base", "-o", "{folder}/report.html"],
    ["export", "hyperfine", "{runs}/base"],
)  # fmt: skip
MEASURERS = (
    ["machine-info"],
    ["benchmark", "mnist-dense", *FEW, "--repeats", "2", "--output", "{folder}/out"],
    ["train", "mnist-dense", *FEW, "--output", "{folder}/out"],
    ["evaluate", "{runs}/trained", "--output", "{folder}/out"],
)
WAYS: Mapping[str, str] = {
    "standard output full": '"$@" >/dev/full',
    "standard error full": '"$@" 2>/dev/full',
    "streams closed": '"$@" <&- >&- 2>&-',
    "reader gone": 'set -o pipefail; "$@" | true; exit ${{PIPESTATUS[0]}}',
    "no temporary folder": 'TMPDIR=/nowhere "$@"',
    "temporary folder not to be written": 'TMPDIR=/proc "$@"',
    "folder deleted": 'mkdir {folder}/gone && cd {folder}/gone && rmdir ../gone && "$@"',
    "no home": 'env -u HOME "$@"',
    "home not there": 'HOME=/nowhere "$@"',
    "a time zone that is none": 'TZ=No/Where "$@"',
    "ASCII": 'LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 "$@"',
    "few open files": 'ulimit -n 10; "$@"',
    "little memory": 'ulimit -v 3000000; "$@"',
    "hardly any memory": 'ulimit -d 300000; "$@"',
    "narrow": 'COLUMNS=1 "$@"',
    "nice words": 'PYTHONIOENCODING=ascii "$@"',
    "no shared memory to speak of": 'ulimit -l 0; "$@"',
    "few processes": 'ulimit -u 30; "$@"',
}
MACHINES: Mapping[str, Callable[[], AbstractContextManager[Sequence[str]]]] = {
    "one core": limits.one_core,
    "a quota of .1": lambda: limits.cpu_quota(0.1),
    "2 GB": lambda: limits.memory(2 * 1000**3),
    "another user": limits.other_user,
}


def surroundings(seed: int, folder: Path) -> Outcome:
    """Call a command where something of the machine is not as it should be."""
    draw = random.Random(f"surroundings:{seed}")
    folder.chmod(0o777)
    name = draw.choice([*WAYS, *MACHINES])
    is_slow = name == "a quota of .1"
    listed = MEASURERS if draw.random() < 0.12 and not is_slow else READERS
    places = {"{runs}": str(RUNS.absolute()), "{folder}": str(folder)}
    arguments = _placed(draw.choice(listed), places)
    line = WAYS.get(name, '"$@"').format(folder=folder)
    try:
        with MACHINES.get(name, lambda: nullcontext([]))() as before:
            began = time.monotonic()
            done = subprocess.run(
                ["bash", "-c", line, "bash", *before, *words_of(arguments)],
                capture_output=True, text=True, errors="replace", timeout=240, check=False,
            )  # fmt: skip
    except limits.Unavailable:
        return Outcome()
    seconds = time.monotonic() - began
    slower = 24 if is_slow or listed is MEASURERS else 6  # than the hang that is looked for
    return judged([name, *arguments], done.returncode, done.stdout, done.stderr,
                  seconds / slower, 0.0, CODES)  # fmt: skip


def _placed(words: Sequence[str], places: Mapping[str, str]) -> list[str]:
    for name, place in places.items():
        words = [word.replace(name, place) for word in words]
    return [*words]


def _file(folder: Path) -> Path:
    (folder / "file").write_text("x")
    return folder / "file" / "out"


def _loop(folder: Path) -> Path:
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop" / "out"


def _dangling(folder: Path) -> Path:
    (folder / "dangling").symlink_to(folder / "nowhere" / "else")
    return folder / "dangling"


def _made(name: str, folder: Path) -> Path:
    return folder / name


PLACES: Mapping[str, Callable[[Path], Path]] = {
    "below a file": _file,
    "a link to itself": _loop,
    "a link to nothing": _dangling,
    "a name of 300 characters": partial(_made, "n" * 300),
    "a path of 5,000 characters": partial(_made, "/".join(["d" * 99] * 50)),
    "no UTF-8": partial(_made, os.fsdecode(b"out\xff\xfe")),
    "ends of lines": partial(_made, "out\nput\t"),
    "codes of a terminal": partial(_made, "out\x1b[31m"),
    "markup": partial(_made, "[red]out[/red]"),
    "an option": partial(_made, "--output"),
    "quotes": partial(_made, "o'u\"t;$(touch code-run)"),
    "a wide letter": partial(_made, "\u202eout\u200b"),
    "a folder of the system": lambda folder: Path("/proc/mnistbench"),
    "no folder at all": lambda folder: Path("/dev/null/out"),
    "deep and new": partial(_made, "a/b/c/d/e/f"),
}
FILLED = ("a file that may have 3 kB", "a file that may have 100 kB", "endless input",
          "a table that never ends", "a folder as a table")  # fmt: skip


def disks(seed: int, folder: Path) -> Outcome:
    """Let a command write to a place that is none, or read what is no file."""
    draw = random.Random(f"disks:{seed}")
    place = draw.choice([*PLACES, *FILLED])
    work, scratch = folder / "work", folder / "scratch"
    for each in (work, scratch):
        each.mkdir()
    writer = draw.choice(QUICK)
    out = PLACES[place](work) if place in PLACES else work
    words = writer.words(out)
    if place in FILLED[2:]:
        words = words_of(_odd_input(place, draw, folder))
    blocks = {FILLED[0]: 3, FILLED[1]: 100}.get(place)
    line = f'ulimit -f {blocks}; "$@"' if blocks else '"$@"'
    began = time.monotonic()
    done = subprocess.run(
        ["bash", "-c", line, "bash", *words], capture_output=True, text=True, errors="replace",
        env=environment(work, scratch), timeout=120, check=False,
    )  # fmt: skip
    outcome = judged([place, *writer.arguments], done.returncode, done.stdout, done.stderr,
                     (time.monotonic() - began) / 6, 0.0, CODES)  # fmt: skip
    if out == work and place not in FILLED[2:]:
        outcome.lost = len([*unlike(left_in(work), unbroken(writer))])
    outcome.left_over = len([*scratch.iterdir()])
    outcome.code_run = sum(path.exists() for path in (Path("code-run"), work / "code-run"))
    outcome.sum_up("lost", "left_over", "code_run")
    return outcome


def _odd_input(place: str, draw: random.Random, folder: Path) -> list[str]:
    base = str(RUNS.absolute() / "base")
    if place == "endless input":
        return draw.choice([
            ["compare", base, "/dev/zero"], ["compare", "/dev/urandom", base],
            ["config", "show", "/dev/zero"], ["merge", "/dev/zero", "-o", str(folder / "m")],
            ["report", "/dev/zero", "-o", str(folder / "r.html")],
            ["data", "show", "mnist", "--path", "/dev/zero"],
            ["data", "import", "/dev/urandom"], ["evaluate", "/dev/zero"],
            ["benchmark", "/dev/zero"], ["export", "hyperfine", "/dev/urandom"],
        ])  # fmt: skip
    run = folder / "odd"
    run.mkdir()
    for file in Path(base).iterdir():
        if file.is_file():
            (run / file.name).symlink_to(file)
    name = draw.choice(["timings.csv", "metrics.csv", "machine.csv", "config.yaml",
                        "calibration.csv"])  # fmt: skip
    (run / name).unlink()
    if place == "a table that never ends":
        (run / name).symlink_to(draw.choice(["/dev/zero", "/dev/urandom"]))
    else:
        (run / name).mkdir()
    return draw.choice([
        ["compare", base, str(run)], ["merge", base, str(run), "-o", str(folder / "m")],
        ["report", str(run), "-o", str(folder / "r.html")], ["export", "hyperfine", str(run)],
    ])  # fmt: skip


TRAP = """
import os
open(os.environ["TRAPPED"], "a").write(__name__ + "\\n")
raise ImportError("a file of the user's own was run")
"""
_ALWAYS = ("sitecustomize", "usercustomize", "mnistbench", "json", "click", "rich", "yaml", "numpy",
           "tensorflow", "keras", "duckdb", "psutil", "multiprocessing", "_pickle", "scipy",
           "pydantic", "readline", "matplotlib", "PIL", "_mnistbench")  # fmt: skip


def foreign_code(seed: int, folder: Path) -> Outcome:
    """Call a command in a folder where modules of every name lie, as files or as packages."""
    draw = random.Random(f"foreign:{seed}")
    log, work = folder / "trapped", folder / "work"
    work.mkdir()
    others = sorted({name.partition(".")[0] for name in sys.modules} - {"__main__"})
    for name in {*draw.sample(_ALWAYS, 12), *draw.sample(others, min(40, len(others)))}:
        if draw.random() < 0.3:
            (work / name).mkdir()
            (work / name / "__init__.py").write_text(TRAP)
        else:
            (work / f"{name}.py").write_text(TRAP)
    (work / "x.pth").write_text("import os; open(os.environ['TRAPPED'], 'w')\n")
    (work / "pyvenv.cfg").write_text("home = /nowhere\n")
    listed = MEASURERS if draw.random() < 0.2 else READERS
    places = {"{runs}": str(RUNS.absolute()), "{folder}": str(folder)}
    arguments = _placed(draw.choice(listed), places)
    script = str(Path(sys.executable).with_name("mnistbench"))
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, script, *arguments], cwd=work, capture_output=True, text=True,
        env={**own, "TRAPPED": str(log)},
        timeout=200, check=False,
    )  # fmt: skip
    outcome = judged(arguments, done.returncode, done.stdout, done.stderr,
                     (time.monotonic() - began) / 12, 0.0, CODES)  # fmt: skip
    if log.exists():
        outcome.code_run = 1
        outcome.problem = f"ran {log.read_text()[:200]!r} of {arguments}; {outcome.problem}"
    return outcome
