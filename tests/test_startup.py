"""Commands that only talk must answer at once: they may not import what measures."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("tensorflow", "keras", "numpy", "pydantic", "scipy", "matplotlib", "cloudmesh", "duckdb")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["config", "list"],
        ["machine-info", "--help"],
        ["benchmark", "--help"],
    ],
)
def test_nothing_heavy_is_imported(arguments: list[str]) -> None:
    script = (
        "import sys\n"
        "from mnistbench.cli import main\n"
        f"sys.argv = ['mnistbench', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_checking_a_config_does_not_import_tensorflow() -> None:
    script = (
        "import sys\n"
        "from mnistbench.config.loading import load_config\n"
        "import mnistbench.session.benchmark, mnistbench.report.console\n"
        "load_config('mnist-cnn')\n"
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
