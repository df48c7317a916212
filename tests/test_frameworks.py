"""Nothing asks which framework it is: what differs between them is a field of the registry."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from mnistbench.config.frameworks import BACKENDS, MACHINE_BACKEND
from mnistbench.config.loading import load_config
from mnistbench.errors import InputError

PACKAGE = Path(__file__).parents[1] / "mnistbench"


def asked(tree: ast.Module) -> list[int]:
    """Return the lines that compare something with a framework's name."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        for side in (node.left, *node.comparators)
        for constant in ast.walk(side)
        if isinstance(constant, ast.Constant) and constant.value in tuple(BACKENDS)
    ]


def test_a_question_is_seen() -> None:
    assert asked(ast.parse("x = 1\nif config.backend == 'jax':\n    pass")) == [2]


def test_nothing_asks_which_framework_it_is() -> None:
    questions = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in PACKAGE.rglob("*.py")
        # A process that has imported one framework is the place to know which.
        if "inside" not in path.parts
        for line in asked(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert questions == []


def test_one_backend_measures_the_machine() -> None:
    assert [name for name, entry in BACKENDS.items() if entry.measures_the_machine] == [
        MACHINE_BACKEND
    ]


@pytest.mark.parametrize(
    ("backend", "jit", "dropout", "refused"),
    [
        ("jax", "off", 0.0, True),
        ("jax", "on", 0.5, False),
        ("torch", "on", 0.5, True),
        ("torch", "on", 0.0, False),
        ("torch", "off", 0.5, False),
        ("tensorflow", "off", 0.5, False),
        ("tensorflow", "on", 0.5, False),
    ],
)
def test_what_a_fused_epoch_cannot_be_compiled_as(
    backend: str, jit: str, dropout: float, refused: bool
) -> None:
    fields = (
        f"backend={backend}", f"training.jit={jit}", f"model.dropout={dropout}",
    )  # fmt: skip
    assert load_config("mnist-dense", fields).training.jit == jit
    if refused:
        with pytest.raises(
            InputError, match=r"training\.jit: .* is not possible for a fused epoch"
        ):
            load_config("mnist-dense", (*fields, "training.execution=fused"))
    else:
        assert load_config("mnist-dense", (*fields, "training.execution=fused"))
