"""The documents say what the program does: what can rot is compared with it."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from click import Command, Context, Group
from doc_pages import blocks
from pydantic import BaseModel, ConfigDict

from mnistbench.cli import command
from mnistbench.config import datasets, network
from mnistbench.config.files import known_configs
from mnistbench.config.loading import load_config
from mnistbench.results.phases import PHASES
from mnistbench.results.rows import MachineRow, MetricRow, TimingRow, columns
from mnistbench.session.sweep.launchers import engine, settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def commands(group: Group, prefix: str = "") -> list[tuple[str, Command]]:
    found: list[tuple[str, Command]] = []
    for name in group.list_commands(Context(group)):
        inner = group.get_command(Context(group), name)
        assert inner is not None
        found.append((f"{prefix}{name}", inner))
        if isinstance(inner, Group):
            found += commands(inner, f"{prefix}{name} ")
    return found


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_documents_are_the_committed_ones(generator: ModuleType) -> None:
    for path, text in generator.generated().items():
        assert path.read_text("utf-8") == text, f"{path.name} is stale; run: make docs"


@pytest.mark.parametrize(("name", "told"), commands(command))  # type: ignore[arg-type]
def test_every_command_and_option_has_help_and_is_in_the_readme(name: str, told: Command) -> None:
    assert told.help, name
    for parameter in told.params:
        if parameter.param_type_name == "option":
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"
    assert name.split()[0] in (ROOT / "README.md").read_text()


def test_every_column_and_phase_is_documented() -> None:
    results = (ROOT / "docs" / "results.md").read_text()
    for row in (TimingRow, MetricRow, MachineRow):
        for column in columns(row):
            assert f"`{column}`" in results, column
    phases = (DOCS / "phases.md").read_text()
    for phase in PHASES:
        assert f"| `{phase}` |" in phases


@pytest.mark.parametrize("name", sorted(known_configs()))
def test_every_config_is_told_of_with_its_parameters(name: str) -> None:
    lessons = (DOCS / "lessons.md").read_text()
    row = next(line for line in lessons.splitlines() if line.startswith(f"| `{name}`"))
    assert f"{load_config(name).parameters:,}" in row


def test_the_readme_is_a_front_door() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 110
    for picture in ("benchmark.svg", "report.webp"):
        assert (DOCS / picture).stat().st_size <= 200_000
        assert any(f"](docs/{picture})" in line for line in lines)


_LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(#[^)\s]*)?\)")


OUTSIDE = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "results/README.md",
           "results/reference/README.md")  # fmt: skip


@pytest.mark.parametrize("page", OUTSIDE)
def test_links_of_pages_outside_the_site_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for target, anchor in _LINK.findall(path.read_text("utf-8")):
        other = path.parent / target if target else path
        assert other.exists(), f"{page}: {target}"
        if anchor:
            assert anchor[1:] in _anchors(other), f"{page}: {target}{anchor}"


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page as GitHub makes them of its headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_site_is_built_and_asks_nothing_of_the_network(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="pip install mkdocs-material")
    pytest.importorskip("material", reason="pip install mkdocs-material")
    site = tmp_path / "site"
    words = ["-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loads = re.compile(r"<(?:script|img|iframe)[^>]* src=.?https?:|<link[^>]* href=.?https?:")
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        assert not loads.search(page.read_text("utf-8")), page.name


def test_the_examples_of_the_page_on_extending_hold() -> None:
    family, layer, data_set, launcher, module = blocks(DOCS / "extend.md", "python")
    known = {**vars(datasets), **vars(network)}
    exec(compile(family + layer + data_set, "extend.md", "exec", dont_inherit=True), known)
    pyramid = known["PyramidModel"](family="pyramid")
    table = network.layer_table(pyramid, known["FASHION_MNIST"].image_shape, 10)
    assert [row.output_shape[0] for row in table][:3] == [512, 256, 128]
    assert known["BatchNormalization"]().parameters((28, 28, 3)) == 12
    assert launcher.startswith('LAUNCHERS["ssh"] = Launcher("ssh", ')
    assert "class Engine:" in module


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in for ssh")
def test_the_launcher_of_the_page_on_extending_starts_and_ends_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = tmp_path / "ssh"
    script = f'echo "$@" >> {tmp_path}/called\ncase "$*" in *" 2 "*) exit 1;; esac\n'
    ssh.write_text(f"#!/bin/sh\n{script}")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    known = {**vars(engine), **vars(settings), "ConfigDict": ConfigDict, "BaseModel": BaseModel,
             "shlex": shlex, "subprocess": subprocess, "__name__": "ssh"}  # fmt: skip
    module = blocks(DOCS / "extend.md", "python")[-1]
    exec(compile(module, "extend.md", "exec", dont_inherit=True), known)
    chosen = known["Settings"](host=["anna", "bert"])
    started = known["Engine"](tmp_path / "sweep", engine.Launched(engine.Launch("ssh")), chosen, ())
    assert started.submit([1, 2, 3]) == "3 points for 2 machines"
    while started.states():
        time.sleep(0.02)
    called = (tmp_path / "called").read_text().splitlines()
    assert len(called) == 3
    assert all("-m mnistbench sweep point" in line for line in called)
    assert sorted(ending.split(": ")[1] for ending in started.endings().values()) == [
        "exit code 0", "exit code 0", "exit code 1",
    ]  # fmt: skip
    started.close()


def test_no_registry_and_no_path_of_a_machine_is_named() -> None:
    for name in ("constraints.txt", "Makefile", ".ci/run"):
        text = (ROOT / name).read_text()
        assert "://" not in text, name
        assert "/tmp" not in text, name
