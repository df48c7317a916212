"""Metrics of two sides as samples that can be judged, and why some cannot."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from mnistbench.analysis.judging import Samples
from mnistbench.analysis.pairing import Design, samples_of
from mnistbench.analysis.remarks import Measured
from mnistbench.analysis.sides import Values
from mnistbench.errors import InputError
from mnistbench.results.metrics import KINDS, MetricKind, kind_of


def metric_samples(
    base: Measured, new: Measured, names: Sequence[str], design: Design
) -> tuple[list[Samples], dict[str, str]]:
    """Return the samples of each metric, and of those that cannot be compared the reason.

    Of a share, which has no ratio where it is 0, the exponentials: their ratio is the exponential
    of the difference.
    """
    samples, incomparable = [], {}
    for name in dict.fromkeys(names):
        obstacle = _obstacle(base, new, name)
        if obstacle:
            incomparable[name] = obstacle
            continue
        sides = [config.metrics[name] for config, _ in (base, new)]
        kind = kind_of(name, base[1].metrics.by_name[name].unit)
        before, after = (_above_zero(values, kind) for values in sides)
        pairs = samples_of(base[0], new[0], (before, after), design)
        samples.append(Samples(name, *pairs, metric=kind))
    return samples, incomparable


def _obstacle(base: Measured, new: Measured, name: str) -> str:
    """Return why a metric cannot be compared; empty if it can."""
    for config, side in (base, new):
        if name not in config.metrics:
            return f"no repeat of {side.name} has a value of it"
    units = [side.metrics.by_name[name].unit for _, side in (base, new)]
    if units[0] != units[1]:
        return f"in {units[0] or 'no unit'} on one side, in {units[1] or 'no unit'} on the other"
    if kind_of(name, units[0]).scale == "ratio":
        for config, side in (base, new):
            if (config.metrics[name].amounts <= 0).any():
                return f"{side.name} has a value that is not above 0, and no ratio"
    return ""


def _above_zero(values: Values, kind: MetricKind) -> Values:
    if kind.scale == "points":
        return replace(values, amounts=np.exp(values.amounts))
    return values


def unknown_metric(name: str, names: Iterable[str], phases: Iterable[str]) -> InputError:
    """Return the error of a metric that neither the files nor mnistbench know."""
    phase = name.removesuffix("_seconds")
    hint = f"it is a phase: --phase {phase}" if phase in phases else _meant(name, names)
    return InputError(f"no metric {name!r}", source="--metric", hint=hint)


def unknown_quantity(name: str, names: Iterable[str]) -> InputError:
    """Return the error of what is neither a metric nor a phase; `names` are those of the files."""
    return InputError(f"no metric or phase {name!r}", source="METRIC", hint=_meant(name, names))


def _meant(name: str, names: Iterable[str]) -> str:
    known = sorted({*names, *KINDS})
    phase = name.removesuffix("_seconds")  # as its column is called where a row is a repeat
    if phase in known:
        return f"did you mean {phase}?"
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
