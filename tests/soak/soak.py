"""Break things on purpose, from a seed, and count what held: `make soak`, docs/reliability.md.

    python tests/soak/soak.py [--scale S] [--seed N] [--state FILE] [--report FILE]

Each try has a number of its own, which makes the same try again; what a state file holds is not
tried anew, so that a broken-off soak goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "tests"), str(ROOT)]

import hostile  # noqa: E402
import kills  # noqa: E402
from tries import Outcome, judged  # noqa: E402

CODES = {0, 1, 2, 3, 4, 5, 74}
LONGEST_SECONDS = 30.0
BEGIN, END = "<!-- soak: begin -->", "<!-- soak: end -->"


@dataclass(frozen=True)
class Kind:
    """A kind of tries, and how many of them make a whole soak."""

    name: str
    count: int
    attempt: Callable[[int, Path], Outcome]
    at_once: int = 1
    """Tries at the same time."""


def kinds() -> list[Kind]:
    """Return every kind: hostile input in this process's children, then kills and surroundings."""
    counts = {
        "config": 4000, "YAML bombs": 500, "flags": 1000, "tables and logs": 2500, "npz": 700,
        "IDX and gzip": 400, "tar": 500, "pickles": 400, "models": 300, "pictures": 300,
    }  # fmt: skip
    reading = [
        Kind(name, counts[name], lambda seed, folder, make=make: forked(make, seed, folder))
        for name, make in hostile.KINDS.items()
    ]
    at_once = 3 * (os.cpu_count() or 1)  # most of a kill is waiting for its moment
    return [*reading, *(Kind(name, *rest, at_once) for name, rest in kills.KINDS.items())]


def forked(make: hostile.Make, seed: int, folder: Path) -> Outcome:
    """Call the command in a child of this process, with all that it imports loaded already."""
    draw = random.Random(f"{make.__name__}:{seed}")
    arguments = [*make(draw, folder)]
    output, error = folder / ".output", folder / ".error"
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _be_the_command(arguments, output, error, folder)
    usage, status = _waited(child, began)
    seconds = time.monotonic() - began
    code = os.waitstatus_to_exitcode(status)
    said = error.read_text(errors="replace")
    own_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    mb = max(0.0, usage.ru_maxrss / 1024 - own_mb)
    shown = output.read_text(errors="replace")
    outcome = judged(arguments, code, shown, said, seconds, mb, CODES)
    if hostile.CANARY.exists():
        hostile.CANARY.unlink()
        outcome.code_run, outcome.problem = 1, f"code run: {outcome.problem or arguments}"
    return outcome


def _be_the_command(arguments: list[str], output: Path, error: Path, folder: Path) -> None:
    for number, file in ((1, output), (2, error)):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(descriptor, number)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    sys.argv = ["mnistbench", *arguments]
    os.environ["MNISTBENCH_DATA"] = str(folder / ".store")
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    signal.alarm(int(LONGEST_SECONDS))
    code = 1
    try:
        from mnistbench.cli.main import main

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        os._exit(code)


def _waited(child: int, began: float) -> tuple[resource.struct_rusage, int]:
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            return usage, status
        if time.monotonic() - began > LONGEST_SECONDS:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)


def tries(scale: float, seed: int, state: Path) -> Iterator[tuple[str, Outcome]]:
    """Give every outcome, those of the state file first; what is tried is written to it."""
    known: dict[tuple[str, int], Outcome] = {}
    if state.is_file():
        for line in state.read_text().splitlines():
            entry = json.loads(line)
            known[entry["kind"], entry["seed"]] = Outcome(**entry["outcome"])
    with state.open("a") as log:
        for kind in kinds():
            seeds = range(seed, seed + max(1, round(kind.count * scale)))
            for number in seeds:
                if (kind.name, number) in known:
                    yield kind.name, known[kind.name, number]
            for number, outcome in _all(kind, [n for n in seeds if (kind.name, n) not in known]):
                entry = {"kind": kind.name, "seed": number, "outcome": asdict(outcome)}
                print(json.dumps(entry), file=log, flush=True)
                yield kind.name, outcome


def _all(kind: Kind, seeds: Sequence[int]) -> Iterator[tuple[int, Outcome]]:
    if kind.at_once == 1:  # also as what forks has no other threads
        yield from ((seed, _one(kind, seed)) for seed in seeds)
        return
    with ThreadPoolExecutor(kind.at_once) as pool:
        waiting = {pool.submit(_one, kind, seed): seed for seed in seeds}
        for done in as_completed(waiting):
            yield waiting[done], done.result()


def _one(kind: Kind, seed: int) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        return kind.attempt(seed, Path(folder))


def table(found: list[tuple[str, Outcome]]) -> str:
    """Return the counts of each kind as Markdown."""
    counted = [field.name for field in fields(Outcome) if field.type == "int"]
    heads = ["kind", "tried", *(name.replace("_", " ") for name in counted), "seconds", "MB"]
    lines = [f"| {' | '.join(heads)} |", f"|---{'|---:' * (len(heads) - 1)}|"]
    for name in dict.fromkeys(name for name, _ in found):
        own = [outcome for kind, outcome in found if kind == name]
        sums = [sum(getattr(outcome, each) for outcome in own) for each in counted]
        most = [max(outcome.seconds for outcome in own), max(outcome.mb for outcome in own)]
        cells = [name, f"{len(own):,}", *map(str, sums), f"{most[0]:.1f}", f"{most[1]:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_report(file: Path, found: list[tuple[str, Outcome]], seed: int) -> None:
    """Put the table between the two marks of the report."""
    text = file.read_text(encoding="utf-8")
    whole = sum(outcome.survived for _, outcome in found)
    said = f"{len(found):,} tries from seed {seed}, of which {whole:,} held."
    between = f"{BEGIN}\n{said}\n\n{table(found)}\n{END}"
    pattern = re.compile(f"{BEGIN}.*?{END}", re.DOTALL)
    file.write_text(pattern.sub(lambda match: between, text), encoding="utf-8")


def main() -> int:
    """Run the soak; return 1 if anything did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of a whole soak")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--state", type=Path, default=Path("soak.jsonl"))
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    state = given.state.absolute()
    report = given.report.absolute() if given.report else None
    work = Path(tempfile.mkdtemp(prefix="soak-runs-"))
    try:
        os.chdir(work)
        kills.measure_two_runs(work / hostile.RUNS)
        import_all()
        found = []
        for name, outcome in tries(given.scale, given.seed, state):
            found.append((name, outcome))
            if not outcome.survived:
                print(f"{name}: {outcome.problem}", flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(table(found))
    if report:
        write_report(report, found, given.seed)
    return 0 if all(outcome.survived for _, outcome in found) else 1


def import_all() -> None:
    """Load what the children need, once."""
    import duckdb  # noqa: F401
    import PIL.Image  # noqa: F401
    import scipy.stats  # noqa: F401

    from mnistbench.analysis import comparison, sides  # noqa: F401
    from mnistbench.cli import benchmark, compare, config, data, evaluate, train  # noqa: F401
    from mnistbench.config import loading  # noqa: F401
    from mnistbench.data import readers  # noqa: F401
    from mnistbench.report import comparison as shown  # noqa: F401


if __name__ == "__main__":
    sys.exit(main())
