"""`benchmark --against PYTHON`: one config by two interpreters, each with packages of its own."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from conftest import FEW, failure_line, rows, run_here
from hand_written_runs import compare

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="paths of a Unix environment")


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Path:
    """Return the Python of an environment of its own: packages of this one, but not all."""
    folder = tmp_path_factory.mktemp("other")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    purelib = Path(
        subprocess.run(
            [python, "-I", "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()
    )  # fmt: skip
    (purelib / "shared.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    # What the command needs and a measuring process does not, this environment has not.
    for name in ("click", "cloudmesh", "cpuinfo", "duckdb"):
        (purelib / f"{name}.py").write_text("raise ImportError('not here')\n")
    return python


def test_each_side_is_measured_by_its_own_python(tmp_path, other):
    done = run_here(
        "benchmark", "mnist-dense-512", *FEW, "--against", str(other), "--repeats", "2",
        "--no-calibrate", "--output", str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    base, new = sorted(tmp_path.iterdir(), key=lambda folder: "-against-" in folder.name)
    facts = [
        {row["attribute"]: row["value"] for row in rows(folder / "machine.csv")}
        for folder in (base, new)
    ]
    assert facts[1]["python_executable"] == str(other)
    assert facts[0]["python_executable"] != str(other)
    assert facts[0]["session"] == facts[1]["session"]
    for name in ("python_version", "tensorflow_version", "keras_version", "numpy_version"):
        assert facts[1][name]
    code, output, _ = compare(base, new, "--fail-on", "none")
    assert code == 0
    assert "paired: measured interleaved" in output
    assert "mnist-dense-512 -> mnist-dense-512-against" in output


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("no/such/python", "is no program that can be run; give the Python of another"),
        ("/bin/true", "is no Python"),
    ],
)
def test_what_is_no_python_is_refused(given, words):
    done = run_here("benchmark", "mnist-dense", "--against", given)
    assert done.returncode == 2
    assert f"--against {given}: {words}" in failure_line(done)


def test_an_environment_without_the_framework_is_told_what_to_install(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path)], check=True)
    python = tmp_path / "bin" / "python"
    done = run_here("benchmark", "mnist-dense", "--against", str(python))
    assert done.returncode == 2
    line = failure_line(done)
    assert f"{python}: has no tensorflow, keras" in line
    assert f"{python} -m pip install tensorflow keras" in line


def test_two_configs_are_refused(other):
    done = run_here("benchmark", "mnist-dense", "mnist-mlp", "--against", str(other))
    assert done.returncode == 2
    assert "--against: measures one config by two Pythons, and 2 were given" in done.stderr
