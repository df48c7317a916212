"""A comparison as programs read it: JSON and CSV, with everything known."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from mnistbench.analysis.comparison import Comparison, ConfigComparison, MetricComparison, Rules
from mnistbench.analysis.identity import PARTS, Identity
from mnistbench.analysis.normalization import Prediction
from mnistbench.analysis.other_work import of_the_work, per_image
from mnistbench.report.comparison import NOT_COMPARABLE
from mnistbench.report.values import change_text
from mnistbench.results.cells import defused

_CSV_HEADER = (
    "base", "new", "config", "phase", "paired", "unit", "n_base", "n_new", "base_median_seconds",
    "new_median_seconds", "ratio", "low", "high", "confidence", "verdict", "reason",
    "normalized_ratio", "normalized_low", "normalized_high", "normalization_refused",
    "base_typical_seconds", "new_typical_seconds", "metric", "metric_unit", "better", "base_median",
    "new_median", "base_typical", "new_typical", "difference", "difference_low", "difference_high",
    "raw_ratio", "raw_low", "raw_high",
)  # fmt: skip


def as_json(comparisons: Sequence[Comparison], rules: Rules) -> str:
    """Return everything known of the comparisons."""
    content = {
        "margin": rules.margin,
        "accuracy_margin": rules.accuracy_margin,
        "confidence": rules.confidence,
        "comparisons": [
            {
                "base": comparison.base.name,
                "new": comparison.new.name,
                "unmatched": list(comparison.unmatched),
                "configs": [_config_as_json(config) for config in comparison.configs],
            }
            for comparison in comparisons
        ],
    }
    return json.dumps(content, indent=2, allow_nan=False)


def as_csv(comparisons: Sequence[Comparison], rules: Rules) -> str:
    """Return one row for each phase of each config of each NEW."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_CSV_HEADER)
    for comparison in comparisons:
        for config in comparison.configs:
            writer.writerows(_csv_rows(comparison, config))
    return text.getvalue()


def _config_as_json(config: ConfigComparison) -> dict[str, Any]:
    each = per_image(config.base.identity, config.new.identity, config.phases)
    return {
        "config": config.name,
        "comparable": not config.obstacles,
        "obstacles": list(config.obstacles),
        "incomparable_phases": dict(config.incomparable),
        "paired": config.design.paired,
        "unit": config.design.unit,
        "design": config.design.text,
        "digests": {
            "base": _digests(config.base.identity),
            "new": _digests(config.new.identity),
        },
        "differences": [
            {"part": d.part, "field": d.field, "base": list(d.base), "new": list(d.new)}
            for d in config.differences
        ],
        "other_work": [d.field for d in of_the_work(config.differences)],
        "train_per_image": asdict(each) if each else None,
        "base_test_accuracy": config.accuracies.base,
        "new_test_accuracy": config.accuracies.new,
        "contended_repeats": {"base": config.base.contended, "new": config.new.contended},
        "notes": list(config.notes),
        "calibration": _machines_as_json(config.machines),
        "phases": [{**vars(phase), "change": change_text(phase.ratio)} for phase in config.phases],
        "metrics": [_metric_cells(metric) for metric in config.metrics],
    }


def _machines_as_json(machines: Prediction | None) -> dict[str, Any] | None:
    if machines is None:
        return None
    known = not machines.refusal
    factor = machines.factor(0.95) if machines.ratios else None
    return {
        "predicted_ratio": machines.ratio if known else None,
        "low": machines.ratio / factor if known and factor else None,
        "high": machines.ratio * factor if known and factor else None,
        "confidence": 0.95,
        "refusal": machines.refusal,
        "workload_ratios": dict(machines.ratios),
    }


def _digests(identity: Identity) -> dict[str, str | None]:
    return {part: identity.digest(part) for part in PARTS}


def _csv_rows(comparison: Comparison, config: ConfigComparison) -> Iterator[list[object]]:
    design = config.design
    every = {
        "base": comparison.base.name,
        "new": comparison.new.name,
        "config": config.name,
        "paired": str(design.paired).lower(),
        "unit_of_n": design.unit,
        "normalization_refused": config.machines.refusal if config.machines else "",
    }
    for cells in _judged_cells(config):
        row = {**every, **cells}
        written = (row.get(_SOURCE.get(name, name), "") for name in _CSV_HEADER)
        yield [defused(cell) if isinstance(cell, str) else cell for cell in written]


_SOURCE = {"unit": "unit_of_n", "metric_unit": "unit"}


def _judged_cells(config: ConfigComparison) -> Iterator[dict[str, object]]:
    """Return the cells of each verdict, by their columns' names."""
    if config.obstacles and not config.is_judged:
        yield {"verdict": NOT_COMPARABLE, "reason": "; ".join(config.obstacles)}
    zeros = config.base.zeros | config.new.zeros
    for name, why in config.incomparable.items():
        yield {
            "phase" if name in zeros else "metric": name,
            "verdict": NOT_COMPARABLE,
            "reason": why,
        }
    for phase in config.phases:
        yield vars(phase)
    for metric in config.metrics:
        yield {**_metric_cells(metric), **_change_cells(metric)}


def _metric_cells(metric: MetricComparison) -> dict[str, object]:
    """Return all that is known of a metric, what it is among it."""
    kind, judged = metric.kind, {**vars(metric)}
    del judged["kind"]
    what = {"metric": kind.name, "unit": kind.unit, "better": kind.better, "scale": kind.scale}
    return {**what, **judged}


def _change_cells(metric: MetricComparison) -> dict[str, object]:
    """Return the change where its scale belongs: a ratio, or a difference."""
    if metric.kind.scale == "ratio":
        return {"ratio": metric.change}
    return {
        "low": None,
        "high": None,
        "difference": metric.change,
        "difference_low": metric.low,
        "difference_high": metric.high,
    }
