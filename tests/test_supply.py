"""What is installed: locked by hash as CI has it, and listed with what the wheel bundles."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "constraints-hashed.txt"
PIN = re.compile(r"^([A-Za-z0-9_.-]+)==(\S+)(?: ; (.*?))? \\$", re.MULTILINE)


def pins(text: str) -> set[tuple[str, str]]:
    return {(name.lower().replace("_", "-"), version) for name, version, _ in PIN.findall(text)}


def test_the_lock_holds_what_ci_uses_and_every_hash() -> None:
    text = LOCK.read_text()
    assert "://" not in text
    locked = pins(text)
    # CI runs on Linux: what others need beside is as it was found when the lock was made.
    others = {(n.lower().replace("_", "-"), v) for n, v, marker in PIN.findall(text)
              if "win32" in marker or n in ("pip", "setuptools")}  # fmt: skip
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    used = [line.partition(";")[0].strip().partition("==") for line in lines if "==" in line]
    known = {(name.lower().replace("_", "-"), version) for name, _, version in used}
    assert {name for name, _ in locked} >= {"tensorflow", "keras", "numpy", "click", "pip"}
    assert locked - others <= known
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) == len(PIN.findall(text))
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)


def test_the_lock_holds_all_that_the_package_asks_for() -> None:
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {re.split("[>=<!;\\[ ]", each)[0].lower() for each in project["dependencies"]}
    assert asked <= {name for name, _ in pins(LOCK.read_text())}


def test_the_bill_of_materials_knows_what_the_wheel_bundles(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("sbom", ROOT / "supply" / "sbom.py")
    assert spec is not None
    assert spec.loader is not None
    sbom = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sbom)
    wheel = tmp_path / "mnistbench-0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in sbom.BUNDLED:
            archive.write(ROOT / file, file)
    bill = sbom.completed({"metadata": {"component": {}}, "components": []}, wheel)
    (digest,) = bill["metadata"]["component"]["hashes"]
    assert digest["content"] == hashlib.sha256(wheel.read_bytes()).hexdigest()
    plotly, mnist = bill["components"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", plotly["version"])
    assert mnist["licenses"] == [{"license": {"id": "CC-BY-SA-3.0"}}]


def test_all_that_others_made_is_in_it() -> None:
    """A file in the package that is neither ours nor listed."""
    text = (ROOT / "supply" / "sbom.py").read_text()
    for licence in (ROOT / "mnistbench").rglob("LICENSE*"):
        word = licence.stem.removeprefix("LICENSE-").lower()
        assert word in text.lower(), licence
