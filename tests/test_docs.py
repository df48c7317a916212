"""The documents say what the program does: what can rot is compared with it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from click import Command, Context, Group

from mnistbench.cli import command
from mnistbench.config.files import known_configs
from mnistbench.config.loading import load_config
from mnistbench.results.phases import PHASES
from mnistbench.results.rows import MachineRow, MetricRow, TimingRow, columns

ROOT = Path(__file__).parents[1]


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
    assert (ROOT / "docs" / "config.schema.json").read_text() == generator.schema_text()
    assert (ROOT / "docs" / "config.md").read_text() == generator.config_text(), "run: make docs"


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
    readme = (ROOT / "README.md").read_text()
    for phase in PHASES:
        assert f"| `{phase}` |" in readme


@pytest.mark.parametrize("name", sorted(known_configs()))
def test_every_config_is_in_the_readme_with_its_parameters(name: str) -> None:
    readme = (ROOT / "README.md").read_text()
    row = next(line for line in readme.splitlines() if line.startswith(f"| `{name}`"))
    assert f"{load_config(name).parameters:,}" in row


def test_no_registry_and_no_path_of_a_machine_is_named() -> None:
    for name in ("constraints.txt", "Makefile", ".ci/run"):
        text = (ROOT / name).read_text()
        assert "://" not in text, name
        assert "/tmp" not in text, name
