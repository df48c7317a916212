"""What Optuna draws by, from what, and what it ends trainings by.

Optuna is imported only where a search runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mnistbench.config.sweep_space import Range, Values, value_text


def samplers(seed: int) -> Mapping[str, Callable[[], Any]]:
    """Return what makes each sampler; a new one is an entry here and a word in `search.Sampler`."""
    import optuna

    return {
        "tpe": lambda: optuna.samplers.TPESampler(seed=seed),
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
        "gp": lambda: optuna.samplers.GPSampler(seed=seed),
    }


def pruners(epochs: int) -> Mapping[str, Callable[[], Any]]:
    """Return what makes each pruner; a new one is an entry here and a word in `search.Pruner`."""
    import optuna

    return {
        "none": optuna.pruners.NopPruner,
        "median": optuna.pruners.MedianPruner,
        "hyperband": lambda: optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs),
    }


def distribution_of(values: Values) -> Any:
    """Return what Optuna is to draw from."""
    from optuna import distributions

    if not isinstance(values, Range):
        return distributions.CategoricalDistribution([choice_of(value) for value in values])
    if values.whole:
        return distributions.IntDistribution(int(values.low), int(values.high), log=values.log)
    return distributions.FloatDistribution(values.low, values.high, log=values.log)


def choice_of(value: Any) -> bool | int | float | str | None:
    """Return a value as Optuna can keep it: lists and groups as text."""
    plain = value is None or isinstance(value, bool | int | float | str)
    return value if plain else value_text(value)


def value_chosen(values: Values, chosen: Any) -> Any:
    """Return the setting that a choice of Optuna's stands for."""
    if isinstance(values, Range):
        return chosen
    return next(
        value
        for value in values
        if (choice := choice_of(value)) == chosen and type(choice) is type(chosen)
    )


def rounding(inner: Any, grid: Mapping[str, Values]) -> Any:
    """Return a sampler that draws as another does, and numbers of four figures.

    So what the study holds is what was trained with, and a name of it can be read.
    """
    from optuna.samplers import BaseSampler

    def rounded(field: str, value: Any) -> Any:
        values = grid[field]
        if isinstance(values, Range) and not values.whole:
            return values.rounded(value)
        return value

    class Rounding(BaseSampler):  # type: ignore[misc]
        def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
            return inner.infer_relative_search_space(study, trial)

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Any:
            drawn = inner.sample_relative(study, trial, search_space)
            return {field: rounded(field, value) for field, value in drawn.items()}

        def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
            return rounded(name, inner.sample_independent(study, trial, name, distribution))

        def before_trial(self, study: Any, trial: Any) -> None:
            inner.before_trial(study, trial)

        def after_trial(self, study: Any, trial: Any, state: Any, values: Any) -> None:
            inner.after_trial(study, trial, state, values)

    return Rounding()
