"""The house: each room knows only those before it, and a framework lives in one of them alone.

The imports of every module are read from its text, those inside functions and those for types
too. `python tests/test_rooms.py` draws them.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mnistbench"
ROOMS = (
    "errors", "config", "data", "results", "machine", "analysis", "measuring", "session", "report",
    "api", "cli",
)  # fmt: skip
FRAMEWORKS = ("keras", "tensorflow", "jax", "jaxlib", "torch")
INSIDE = "measuring.inside"
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 350, 40


@functools.cache
def modules() -> dict[str, ast.Module]:
    """Return every module of the package by its name below it, parsed."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imported(tree: ast.Module) -> Iterator[str]:
    """Give every absolute name that a module imports, wherever in it, names of modules first."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def graph() -> Mapping[str, set[str]]:
    """Return for each module of ours those of ours that it imports."""
    trees = modules()
    arrows: dict[str, set[str]] = {name: set() for name in trees}
    for name, tree in trees.items():
        for full in imported(tree):
            if full.split(".")[0] == "mnistbench":
                target = full.removeprefix("mnistbench").lstrip(".")
                while target not in trees:  # a name in a module
                    target = target.rpartition(".")[0]
                if target:
                    arrows[name].add(target)
    return arrows


def room(module: str) -> str:
    return module.split(".")[0]


def test_no_room_knows_a_later_one() -> None:
    upward = [
        f"{module} -> {target}"
        for module, targets in graph().items()
        for target in targets
        if room(module) in ROOMS and ROOMS.index(room(target)) > ROOMS.index(room(module))
    ]
    assert not upward


def test_measuring_knows_no_analysis() -> None:
    assert not [
        f"{module} -> {target}"
        for module, targets in graph().items()
        for target in targets
        if (room(module), room(target)) == ("measuring", "analysis")
    ]


def test_no_circle() -> None:
    arrows = {name: set(targets) for name, targets in graph().items()}
    while leaves := [name for name, targets in arrows.items() if not targets]:
        for leaf in leaves:
            del arrows[leaf]
        for targets in arrows.values():
            targets.difference_update(leaves)
    assert not arrows


def test_few_names_at_the_top() -> None:
    tops = {path.name for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert len(tops - {"__pycache__"}) <= 13


def test_frameworks_are_imported_by_measuring_processes_alone() -> None:
    strangers = {
        f"{name} imports {full}"
        for name, tree in modules().items()
        for full in imported(tree)
        if full.split(".")[0] in FRAMEWORKS and not name.startswith(INSIDE)
    }
    assert not strangers


def test_only_tasks_and_the_preload_reach_inside() -> None:
    """What measures is loaded by what a measuring process runs, and by nothing else."""
    assert {
        name
        for name, targets in graph().items()
        for target in targets
        if target.startswith(INSIDE) and not name.startswith(INSIDE)
    } <= {"measuring.tasks"}


@pytest.mark.parametrize("name", modules())
def test_files_and_functions_are_short(name: str) -> None:
    path = PACKAGE / (name.replace(".", "/") + ".py" if name else "__init__.py")
    path = path if path.is_file() else PACKAGE / name.replace(".", "/") / "__init__.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    long = {
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(modules()[name])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MOST_LINES_OF_A_FUNCTION
    }
    assert not long


def test_the_reading_of_imports_sees_what_is_hidden() -> None:
    tree = ast.parse(
        "import os.path\n"
        "if True:\n"
        "    def f():\n"
        "        from mnistbench.report import console as c\n"
    )
    assert list(imported(tree)) == ["os.path", "mnistbench.report.console"]


def drawing() -> str:
    """Return the rooms in order, each with its modules and the rooms they look into."""
    arrows = graph()
    lines = []
    for name in ROOMS:
        own = [module for module in arrows if room(module) == name]
        seen = sorted({room(t) for m in own for t in arrows[m]} - {name}, key=ROOMS.index)
        lines.append(f"{name:<10} knows {', '.join(seen) or 'nothing'}")
        lines += [f"    {m.removeprefix(name + '.')}" for m in own if m != name]
    return "\n".join(lines)


if __name__ == "__main__":
    print(drawing())
