"""How long a user waits for an answer: the talking commands against importing click and rich.

    python benchmarks/startup.py [--rounds 20]

Every round runs each command once, in turn; the figure is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from statistics import median

BASE = [sys.executable, "-c", "import click, rich.console"]
COMMANDS = (["--help"], ["config", "list"], ["machine-info", "--help"], ["benchmark", "--help"])


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    ours = {" ".join(words): [sys.executable, "-m", "mnistbench", *words] for words in COMMANDS}
    base: list[float] = []
    ratios: dict[str, list[float]] = {name: [] for name in ours}
    for _ in range(rounds):
        base.append(seconds(BASE))
        for name, command in ours.items():
            ratios[name].append(seconds(command) / base[-1])
    print(f"import click, rich.console: {median(base) * 1e3:.0f} ms (n = {rounds})")
    for name, values in ratios.items():
        print(f"mnistbench {name}: median ratio {median(values):.2f}, worst {max(values):.2f}")


if __name__ == "__main__":
    main()
