"""Stands in for `mnistbench benchmark`: checks what it is given, and leaves runs that are there.

python ci_benchmark.py KEPT benchmark BASE CHANGE OPTIONS...
"""

from __future__ import annotations

import shutil
import sys

from mnistbench.cli.benchmark import command
from mnistbench.config.loading import load_config


def main(kept: str, words: list[str]) -> None:
    given = command.make_context("benchmark", words).params
    names = [load_config(config).name for config in given["configs"]]
    assert names == ["base", "change"], names
    assert given["repeats"] == 10
    shutil.copytree(kept, given["output"])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[3:])
