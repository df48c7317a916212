"""`mnistbench completion SHELL`: its script in the shell itself, which asks the real command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import failure_line, run_here

from mnistbench.cli.main import COMMANDS
from mnistbench.config.files import known_configs

BIN = Path(sys.executable).parent
pytestmark = pytest.mark.skipif(
    not (BIN / "mnistbench").is_file(), reason="mnistbench is not installed beside this Python"
)
BASH = """
eval "$(mnistbench completion bash)"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
compopt() { echo "option $2"; }
_mnistbench_completion mnistbench
printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """
autoload -U compinit && compinit -D
eval "$(mnistbench completion zsh)"
words=("$@"); CURRENT=$#
compadd() { local name=$argv[-1]; print -l -- "${(@P)name}" }
_describe() { local name=$argv[3]; print -l -- "${(@P)name}" }
_path_files() { print option default }
_mnistbench_completion
"""
FISH = 'mnistbench completion fish | source; complete --do-complete "$argv"'


def offered(shell: str, *words: str, cwd: Path | None = None) -> list[str]:
    """Return what the shell offers for the last word of a line."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    commands = {
        "bash": ["bash", "--norc", "-c", BASH, "bash", *words],
        "zsh": ["zsh", "-f", "-c", ZSH, "zsh", *words],
        "fish": ["fish", "--no-config", "-c", FISH, " ".join(words)],
    }
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        commands[shell], capture_output=True, text=True, env=environment, cwd=cwd, timeout=60
    )
    assert done.stderr == ""
    return [line.replace("\t", ":").partition(":")[0] for line in done.stdout.split("\n") if line]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_it_completes_commands_configs_and_metrics(shell):
    assert offered(shell, "mnistbench", "com") == ["compare", "completion"]
    configs = [name for name in known_configs() if name.startswith("mnist-")]
    assert sorted(offered(shell, "mnistbench", "benchmark", "mnist-")) == sorted(configs)
    metrics = offered(shell, "mnistbench", "compare", "a", "b", "--metric", "peak_")
    assert metrics == ["peak_rss_bytes"]


def test_it_completes_what_bash_knows_best_by_bash(tmp_path):
    assert offered("bash", "mnistbench", "report", "res", cwd=tmp_path) == ["option default"]
    assert offered("bash", "mnistbench", "benchmark", "mine", cwd=tmp_path) == ["option default"]
    assert {"test", "total", "train", "test_accuracy", "trace_compile_seconds"} <= {
        *offered("bash", "mnistbench", "plot", "t")
    }


def test_a_slip_before_the_word_is_silent():
    assert offered("bash", "mnistbench", "benhcmark", "mnist-") == []


def test_nothing_is_offered_that_is_not_there():
    from click.testing import CliRunner

    from mnistbench.cli import command

    asked = {
        "_MNISTBENCH_COMPLETE": "bash_complete",
        "COMP_WORDS": "mnistbench ",
        "COMP_CWORD": "1",
    }
    done = CliRunner().invoke(command, [], prog_name="mnistbench", env=asked)
    assert [line.partition(",")[2] for line in done.output.splitlines()] == list(COMMANDS)


def test_another_shell_is_refused_in_one_line():
    done = run_here("completion", "tcsh")
    assert done.returncode == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in failure_line(done)
