"""What a search is: how each point is chosen by those before it, and by what it is judged."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from mnistbench.analysis.sweeps import Point, SelectOn
from mnistbench.config.frameworks import BACKENDS, install_command
from mnistbench.config.run_config import RunConfig
from mnistbench.config.sweep_search import as_written, read_space, size
from mnistbench.config.sweep_space import Space, value_text
from mnistbench.errors import InputError

Sampler = Literal["tpe", "random", "gp"]
Pruner = Literal["none", "median", "hyperband"]
Aim = Literal["accuracy", "time"]

REQUIREMENT = "optuna>=4"
"""What a search needs from pip."""


@dataclass(frozen=True)
class SearchOptions:
    """How points are chosen."""

    trials: int
    """Points to measure."""
    sampler: Sampler = "tpe"
    pruner: Pruner = "none"
    """What ends a training after an epoch that promises too little."""
    optimize: Aim = "accuracy"
    """The most accurate, or the fastest: to the target accuracy, where there is one."""


@dataclass(frozen=True)
class Search:
    """A search: its options, its space, and the seed of all that is drawn."""

    options: SearchOptions
    space: Space
    seed: int
    """The same values and the same results give the same points."""

    @property
    def text(self) -> str:
        """Return who chooses the points, and who ends trainings, in words."""
        options = self.options
        pruner = "" if options.pruner == "none" else f", pruned by {options.pruner}"
        return f"{options.sampler} for {options.optimize}, seed {self.seed}{pruner}"

    @property
    def lines(self) -> list[str]:
        """Return the space, a field a line."""
        return [
            f"{field}={values if isinstance(values, str) else ','.join(map(value_text, values))}"
            for field, values in as_written(self.space).items()
        ]

    def as_written(self) -> dict[str, Any]:
        """Return it as sweep.yaml has it."""
        return {**asdict(self.options), "seed": self.seed, "grid": as_written(self.space)}


_KINDS: Mapping[str, Any] = {
    "trials": int, "sampler": str, "pruner": str, "optimize": str, "seed": int, "grid": dict,
}  # fmt: skip
_WORDS = {"sampler": Sampler, "pruner": Pruner, "optimize": Aim}


def read_search(content: object, file: str) -> Search:
    """Return a search from sweep.yaml; raise ValueError for what is none, and InputError."""
    if not isinstance(content, dict) or set(content) != set(_KINDS):
        raise ValueError(content)
    if not all(isinstance(content[name], kind) for name, kind in _KINDS.items()):
        raise ValueError(content)
    if any(content[name] not in get_args(words) for name, words in _WORDS.items()):
        raise ValueError(content)
    options = SearchOptions(content["trials"], *(content[name] for name in _WORDS))
    return Search(options, read_space(content["grid"], file), content["seed"])


def checked_search(
    options: SearchOptions, space: Space, seed: int, configs: Sequence[RunConfig]
) -> Search:
    """Return a search if it is possible over these ends of its space; raise InputError."""
    points = size(space)
    if points is not None and points < options.trials:
        raise InputError(
            f"only {points:,} different points there are, and {options.trials:,} are asked for",
            source="--trials", hint="ask for fewer, or leave it out: all of a grid",
        )  # fmt: skip
    if options.pruner != "none":
        _check_pruner(options, configs)
    return Search(options, space, seed)


def _check_pruner(options: SearchOptions, configs: Sequence[RunConfig]) -> None:
    source = f"--pruner {options.pruner}"
    if options.optimize == "time":
        raise InputError(
            "compares accuracies, and --optimize time asks for the fastest", source=source,
            hint="leave out either",
        )  # fmt: skip
    if all(config.training.epochs == 1 for config in configs):
        raise InputError(
            "ends trainings between two epochs, and all have one", source=source,
            hint="leave it out, or add --set training.epochs=10",
        )  # fmt: skip
    if any(config.training.validation == "none" for config in configs):
        raise InputError(
            "compares the accuracy after each epoch, and no part of the training set is held out",
            source=source, hint="leave out --select-on test, or the pruner",
        )  # fmt: skip


def check_installed(search: Search) -> None:
    """Raise InputError for what a search needs and Python does not find; nothing is imported."""
    wanted = {"optuna": (REQUIREMENT, "--trials")}
    if search.options.sampler == "gp":
        wanted["torch"] = (BACKENDS["torch"].requirement, "--sampler gp")
    for package, (requirement, source) in wanted.items():
        if importlib.util.find_spec(package) is None:
            raise InputError(
                f"needs {package}, which is not installed", source=source,
                hint=f"install it with: {install_command(requirement)}",
            )  # fmt: skip


def figure_of(search: Search, select_on: SelectOn, with_target: bool) -> str:
    """Return the name of the figure that a search is for."""
    if search.options.optimize == "accuracy":
        return f"{select_on}_accuracy"
    return "seconds_to_accuracy" if with_target else "train_seconds"


def value_of(point: Point, figure: str) -> float | None:
    """Return the figure of a point: infinite for a target not reached, None where none ended."""
    if not point.finished:
        return None
    if figure != "seconds_to_accuracy":
        return point.median(figure)
    seconds = point.seconds_to_accuracy
    return float("inf") if seconds is None else seconds
