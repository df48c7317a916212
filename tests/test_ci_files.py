"""The gates of docs/ci, as they stand: their shell steps are run on a repository with a change.

One job really measures, one repeat. That a gate closes and opens is tried with runs whose times are
known, which a command gives that stands in for `mnistbench benchmark` (ci_benchmark.py).
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from doc_pages import ROOT
from hand_written_runs import NOISE, OTHER_NOISE, times, write_run

CI = ROOT / "docs" / "ci"
GITHUB = yaml.safe_load((CI / "github.yml").read_text("utf-8"))
GITLAB = yaml.safe_load((CI / "gitlab.yml").read_text("utf-8"))

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or not shutil.which("git"), reason="needs a Unix shell and git"
)

CONFIG = """\
name: train
dataset: {train_samples: 128, test_samples: 64}
model: {family: dense, hidden_units: [32]}
training: {batch_size: 32, epochs: 1}
"""
QUICK = "--no-calibrate"
"""An option in the place of `--duet`, which spares seconds."""
SLOWER = CONFIG.replace("epochs: 1", "epochs: 2")


@dataclass(frozen=True)
class Repository:
    """A clone whose branch has a change that its origin's main has not."""

    path: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, script: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a step as GitHub and GitLab do: it ends at the first command that fails."""
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.path, env={**os.environ, **self.environment, **more},
            capture_output=True, text=True, timeout=250,
        )  # fmt: skip


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def tools(tmp_path_factory) -> Path:
    """Commands that a runner has: Python, whose environments have here what this one has."""
    folder = tmp_path_factory.mktemp("tools")
    site = sysconfig.get_paths()["purelib"]
    _executable(
        folder / "python",
        f"""\
if [ "$1 $2" = "-m venv" ]; then
    {sys.executable} -m venv --without-pip "$3"
    printf '%s\\n' {ROOT} {site} > "$(echo "$3"/lib/python*/site-packages)/here.pth"
else
    exec {sys.executable} "$@"
fi
""",
    )
    shutil.copy(folder / "python", folder / "python3")
    _executable(folder / "mnistbench", f'exec {sys.executable} -m mnistbench "$@"\n')
    return folder


def _executable(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/bash\nset -e\n{script}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def repository(folder: Path, tools: Path, changed: str = SLOWER) -> Repository:
    """Make a repository with a main and a change of its config."""
    origin, clone = folder / "origin", folder / "clone"
    origin.mkdir(parents=True)
    git(origin, "init", "--quiet", "--initial-branch", "main")
    (origin / "train.yaml").write_text(CONFIG)
    (origin / "requirements.txt").write_text("tensorflow\n")
    git(origin, "add", ".")
    git(origin, "commit", "--quiet", "-m", "base")
    git(folder, "clone", "--quiet", str(origin), str(clone))
    (clone / "train.yaml").write_text(changed)
    return Repository(
        clone,
        {
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "PIP_NO_INDEX": "1",  # what a runner fetches is here already
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "GITHUB_BASE_REF": "main",
            "GITHUB_STEP_SUMMARY": str(clone / "summary.md"),
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        },
    )


def github_steps(job: str, repository: Repository, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the steps of a job until one fails; return the last one that ran."""
    variables = {**GITHUB["env"], **more}
    for step in GITHUB["jobs"][job]["steps"]:
        if "run" in step and step["name"] != more.get("LEAVE_OUT"):
            done = repository.run(step["run"], **variables)
            if done.returncode:
                break
    return done


def gitlab_job(job: str, repository: Repository, **more: str) -> subprocess.CompletedProcess[str]:
    return repository.run("\n".join(GITLAB[job]["script"]), **{**GITLAB["variables"], **more})


@pytest.fixture
def with_results(tmp_path, tools):
    """Return what makes a repository in which `benchmark` takes so many seconds for each side."""

    def make(base: float, change: float) -> Repository:
        made = repository(tmp_path, tools)
        shims, kept = tmp_path / "shims", tmp_path / "kept"
        shims.mkdir()
        for name, seconds, noise in (("base", base, NOISE), ("change", change, OTHER_NOISE)):
            phases = {"train": times(seconds, noise), "test": times(1)}
            write_run(kept / f"time-{name}-host-1", phases, session="s", config="mnist-dense")
        stand_in = f"exec {sys.executable} {Path(__file__).with_name('ci_benchmark.py')} {kept}"
        _executable(
            shims / "mnistbench",
            f'[ "$1" != benchmark ] || {stand_in} "$@"\nexec {sys.executable} -m mnistbench "$@"\n',
        )
        path = f"{shims}{os.pathsep}{made.environment['PATH']}"
        return Repository(made.path, {**made.environment, "PATH": path})

    return make


def test_github_fails_for_slower_settings_and_says_so(with_results):
    made = with_results(10, 12)
    done = github_steps("settings", made)
    assert done.returncode == 3, done.stderr
    summary = (made.path / "summary.md").read_text()
    assert "slower" in summary
    assert "interleaved" in summary
    (upload,) = [step for step in GITHUB["jobs"]["settings"]["steps"] if "upload" in str(step)]
    kept = made.path / upload["with"]["path"]
    assert len(list(kept.glob("*/*/timings.csv"))) == 2


def test_gitlab_fails_for_slower_settings_and_says_so(with_results):
    made = with_results(10, 12)
    done = gitlab_job("settings", made)
    assert done.returncode == 3, done.stderr
    assert "slower" in (made.path / "verdict.md").read_text()


def test_make_fails_for_slower_settings_and_says_so(with_results):
    made = with_results(10, 12)
    done = made.run(f"make -f {CI / 'Makefile'} settings BASE=origin/main")
    assert done.returncode == 2, done.stderr
    assert "Error 3" in done.stderr
    assert "slower" in done.stdout


def test_a_faster_change_passes(with_results):
    made = with_results(12, 10)
    done = github_steps("settings", made, LEAVE_OUT="Install")
    assert done.returncode == 0, done.stderr
    assert "faster" in (made.path / "summary.md").read_text()


def test_a_config_that_the_base_has_not_is_told(with_results):
    made = with_results(10, 10)
    done = github_steps("settings", made, CONFIG="new.yaml", LEAVE_OUT="Install")
    assert done.returncode not in (0, 3)
    assert "new.yaml" in done.stderr


@pytest.mark.long
def test_github_judges_two_environments(tmp_path, tools):
    made = repository(tmp_path, tools, CONFIG)
    done = github_steps("versions", made, REPEATS="1", DUET=QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = (made.path / "summary.md").read_text()
    assert "against" in summary
    assert "interleaved" in summary


@pytest.mark.parametrize("job", ["settings", "versions", "machine"])
def test_the_three_files_measure_alike(job):
    """What was run of one is what stands in the others."""
    github = " ".join(step.get("run", "") for step in GITHUB["jobs"][job]["steps"])
    gitlab = " ".join(GITLAB[job]["script"])
    make = (CI / "Makefile").read_text().partition(f"\n{job}:")[2].partition("\n\n")[0]
    for text in (github, gitlab, make):
        assert " benchmark " in text
        assert " compare " in text
        assert ("--against" in text) == (job == "versions")
        assert ("--margin 20%" in text) == (job == "machine")


def test_a_night_is_judged_against_an_earlier_one(tmp_path, tools):
    made = repository(tmp_path, tools)
    for folder, seconds, noise in (("baseline", 10, NOISE), ("tonight", 13, OTHER_NOISE)):
        phases = {"train": times(seconds, noise), "test": times(1)}
        write_run(made.path / folder, phases, session=folder, run_id=folder)
    install, _, judge = [s["run"] for s in GITHUB["jobs"]["machine"]["steps"] if "run" in s]
    done = made.run(install, **GITHUB["env"])
    assert done.returncode == 0, done.stderr
    done = made.run(judge, **GITHUB["env"])
    assert done.returncode in (0, 3), done.stderr
    assert "not paired" in (made.path / "summary.md").read_text()


def test_actionlint_finds_nothing():
    tool = shutil.which("actionlint")
    if tool is None:
        pytest.skip("no actionlint here")
    done = subprocess.run([tool, str(CI / "github.yml")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("schema", "name"),
    [("vendor.github-workflows", "github.yml"), ("vendor.gitlab-ci", "gitlab.yml")],
)
def test_the_files_are_what_their_services_take(schema: str, name: str) -> None:
    pytest.importorskip("check_jsonschema", reason="pip install check-jsonschema")
    words = ["-m", "check_jsonschema", "--builtin-schema", schema, str(CI / name)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
