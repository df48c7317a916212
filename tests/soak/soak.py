"""Break things on purpose, from a seed, and count what held: `make soak`, docs/reliability.md.

    python tests/soak/soak.py [--scale S] [--seed N] [--state FILE] [--report FILE] [--again]
                              [--kind KIND]...

Each try has a number of its own, which makes the same try again; what a state file holds is not
tried anew, so that a broken-off soak goes on where it was. With --again, what fell short is.
Files and words are tried in children of one process, commands beside it in processes of their own.
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
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "tests"), str(ROOT)]

import commands  # noqa: E402
import failures  # noqa: E402
import hostile  # noqa: E402
import kills  # noqa: E402
import odd_numbers  # noqa: E402
import places  # noqa: E402
import resumes  # noqa: E402
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
    forks: bool = False
    """Whether a try is a child of the soak's own process, of which there is one at a time."""


READ = {
    "config": 5300, "YAML bombs": 500, "flags": 1000, "tables and logs": 1200,
    "tables, by others": 400, "npz": 700, "IDX and gzip": 400, "tar": 500, "pickles": 400,
    "models": 300, "pictures": 300,
}  # fmt: skip
"""How many tries of each of `hostile.KINDS`."""
STARTED = (
    Kind("kills, measuring", 350, kills.killed_measuring),
    Kind("kills, writing", 650, kills.killed_writing),
    Kind("kills and resumes", 20, resumes.resumed),
    Kind("failing writes", 150, failures.failing),
    Kind("disks and paths", 150, places.disks),
    Kind("surroundings", 300, places.surroundings),
    Kind("code in the folder", 60, places.foreign_code),
    Kind("numbers", 50, odd_numbers.numbers),
)
AT_ONCE = 2 * (os.cpu_count() or 1)
"""Started commands at the same time: most of a kill is waiting for its moment."""


def kinds() -> list[Kind]:
    """Return every kind: files and words, then started commands."""
    reading = [
        Kind(
            name,
            READ[name],
            lambda seed, folder, make=make: forked(make, seed, folder),
            forks=True,
        )
        for name, make in hostile.KINDS.items()
    ]
    return [*reading, *STARTED]


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
    seconds = usage.ru_utime + usage.ru_stime  # the other core's work does not count
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


State = dict[tuple[str, int], Outcome]


def read_state(state: Path, again: bool) -> State:
    """Return what has been tried; without what fell short, if that is to be tried again."""
    if not state.is_file():
        return {}
    entries = map(json.loads, state.read_text().splitlines())
    known = {(entry["kind"], entry["seed"]): Outcome(**entry["outcome"]) for entry in entries}
    return {key: outcome for key, outcome in known.items() if outcome.survived or not again}


def try_all(listed: Sequence[Kind], wanted: Mapping[str, range], known: State, state: Path) -> None:
    """Add every outcome that is missing to the state file, and tell what fell short."""
    for kind in listed:
        missing = [seed for seed in wanted[kind.name] if (kind.name, seed) not in known]
        began = time.monotonic()
        for seed, outcome in _all(kind, missing):
            entry = {"kind": kind.name, "seed": seed, "outcome": asdict(outcome)}
            with state.open("a") as log:
                log.write(json.dumps(entry) + "\n")
            if not outcome.survived:
                print(f"{kind.name} {seed}: {outcome.problem}", flush=True)
        print(f"{kind.name}: {len(missing)} in {time.monotonic() - began:.0f} s", flush=True)


def _all(kind: Kind, seeds: Sequence[int]) -> Iterator[tuple[int, Outcome]]:
    if kind.forks:  # as what forks has no other threads
        yield from ((seed, _one(kind, seed)) for seed in seeds)
        return
    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = {pool.submit(_one, kind, seed): seed for seed in seeds}
        for done in as_completed(waiting):
            yield waiting[done], done.result()


def in_two_lanes(wanted: Mapping[str, range], known: State, state: Path) -> None:
    """Try files and words in a process of their own, and the commands beside it."""
    chosen = [kind for kind in kinds() if kind.name in wanted]
    reader = os.fork()
    if reader == 0:
        code = 1
        try:
            import_all()
            try_all([kind for kind in chosen if kind.forks], wanted, known, state)
            code = 0
        except BaseException:  # noqa: BLE001  told, whatever it is
            traceback.print_exc()
        finally:
            os._exit(code)
    try:
        try_all([kind for kind in chosen if not kind.forks], wanted, known, state)
    except BaseException:
        os.kill(reader, signal.SIGTERM)
        raise
    finally:
        _, status = os.waitpid(reader, 0)
    if status:
        raise SystemExit("the tries of files and words were broken off")


def _one(kind: Kind, seed: int) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        return kind.attempt(seed, Path(folder))


def table(found: list[tuple[str, Outcome]]) -> str:
    """Return the counts of each kind as Markdown; of a kind not tried to its end, of how many."""
    whole = {kind.name: kind.count for kind in kinds()}
    counted = [field.name for field in fields(Outcome) if field.type == "int"]
    heads = ["kind", "tried", *(name.replace("_", " ") for name in counted), "seconds", "MB"]
    lines = [f"| {' | '.join(heads)} |", f"|---{'|---:' * (len(heads) - 1)}|"]
    for name in dict.fromkeys(name for name, _ in found):
        own = [outcome for kind, outcome in found if kind == name]
        sums = [sum(getattr(outcome, each) for outcome in own) for each in counted]
        most = [max(outcome.seconds for outcome in own), max(outcome.mb for outcome in own)]
        tried = (
            f"{len(own):,}"
            if len(own) >= whole.get(name, 0)
            else f"{len(own):,} of {whole[name]:,}"
        )
        cells = [name, tried, *map(str, sums), f"{most[0]:.1f}", f"{most[1]:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_report(file: Path, found: list[tuple[str, Outcome]], seed: int) -> None:
    """Put the table between the two marks of the report."""
    text = file.read_text(encoding="utf-8")
    whole = sum(outcome.survived for _, outcome in found)
    said = f"{len(found):,} tries from seed {seed}, of which {whole:,} held."
    untried = [kind.name for kind in kinds() if kind.name not in {name for name, _ in found}]
    if untried:
        said += f" It was broken off: not tried are {', '.join(untried)}."
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
    parser.add_argument("--again", action="store_true", help="try anew what fell short")
    parser.add_argument("--kind", action="append", choices=[kind.name for kind in kinds()])
    given = parser.parse_args()
    began = time.monotonic()
    for number in (signal.SIGINT, signal.SIGHUP):
        # Begun by nohup or by a script's `&`, the soak ignores them, and so would what it starts.
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    wanted = {
        kind.name: range(given.seed, given.seed + max(1, round(kind.count * given.scale)))
        for kind in kinds()
        if not given.kind or kind.name in given.kind
    }
    found = run(wanted, given.state.absolute(), given.again)
    print(table(found))
    print(f"{(time.monotonic() - began) / 60:.0f} minutes")
    if given.report:
        write_report(given.report, found, given.seed)
    return 0 if all(outcome.survived for _, outcome in found) else 1


def run(wanted: Mapping[str, range], state: Path, again: bool) -> list[tuple[str, Outcome]]:
    """Try what is wanted and not in the state file yet; return all of it."""
    before = Path.cwd()
    work = Path(tempfile.mkdtemp(prefix="soak-runs-"))
    work.chmod(0o755)  # another user's tries read it
    try:
        os.chdir(work)
        commands.prepare(work / hostile.RUNS)
        in_two_lanes(wanted, read_state(state, again), state)
    finally:
        os.chdir(before)
        shutil.rmtree(work, ignore_errors=True)
    known = read_state(state, again=False)
    return [
        (name, known[name, seed])
        for name, seeds in wanted.items()
        for seed in seeds
        if (name, seed) in known
    ]


def import_all() -> None:
    """Load what the children need, once."""
    import duckdb  # noqa: F401
    import PIL.Image  # noqa: F401
    import scipy.stats  # noqa: F401

    from mnistbench.analysis import comparison, sides  # noqa: F401
    from mnistbench.cli import benchmark, compare, config, data, evaluate, train  # noqa: F401
    from mnistbench.cli import export, merge, report  # noqa: F401  # isort: skip
    from mnistbench.config import loading  # noqa: F401
    from mnistbench.data import readers  # noqa: F401
    from mnistbench.report import comparison as shown  # noqa: F401


if __name__ == "__main__":
    sys.exit(main())
