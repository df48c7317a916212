"""A comparison as people and programs read it: a terminal table, Markdown, JSON, CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mnistbench.analysis.comparison import Comparison, ConfigComparison, PhaseComparison, Rules
from mnistbench.analysis.identity import PARTS, Difference, Identity, Values
from mnistbench.analysis.normalization import Prediction

if TYPE_CHECKING:
    from rich.console import Console


NOT_COMPARABLE = "not comparable"

_HEADER = ("Config", "Phase", "n", "BASE median", "NEW median", "NEW is", "Interval", "Verdict")
_NORMALIZED = ("Normalised", "Normalised interval")
_RIGHT = ("n", "BASE median", "NEW median", "NEW is", "Normalised")
_MOST_VALUES = 3

_CSV_HEADER = (
    "base", "new", "config", "phase", "paired", "unit", "n_base", "n_new", "base_median_seconds",
    "new_median_seconds", "ratio", "low", "high", "confidence", "verdict", "reason",
    "normalized_ratio", "normalized_low", "normalized_high", "normalization_refused",
)  # fmt: skip


def change_text(ratio: float | None) -> str:
    """Return a ratio NEW / BASE in words: `1.33x slower`, `1.10x faster`, `unchanged`."""
    if ratio is None:
        return ""
    times = max(ratio, 1 / ratio)
    number = f"{times:.2f}" if times < 10 else f"{times:.3g}"
    if number == "1.00":
        return "unchanged"
    return f"{number}x {'slower' if ratio > 1 else 'faster'}"


def interval_text(low: float | None, high: float | None) -> str:
    """Return an interval of ratios in words: `1.28x to 1.38x slower`."""
    if low is None or high is None:
        return "unknown"
    # The end nearer to no change comes first, as in "1.10x to 1.25x faster".
    ends = (high, low) if high < 1 else (low, high)
    first, last = map(change_text, ends)
    if first == last:
        return first
    if first.split(" ")[1:] == last.split(" ")[1:]:
        first = first.split(" ")[0]
    return f"{first} to {last}"


def print_table(console: Console, comparisons: Sequence[Comparison], rules: Rules) -> None:
    """Print a table for each NEW, and below it what a reader must know of it."""
    from rich.table import Table
    from rich.text import Text

    # Text, as a glob's [0-9] would be taken for a colour.
    for comparison in comparisons:
        table = Table(title=Text(_title(comparison)), title_justify="left")
        for name in _header(comparison):
            table.add_column(name, justify="right" if name in _RIGHT else "left")
        for config in comparison.configs:
            for row in _rows(config, comparison):
                table.add_row(*map(Text, row))
        console.print(table)
        for line in _remarks(comparison):
            console.print(f"- {line}", highlight=False, markup=False)
    console.print(_legend(comparisons, rules), highlight=False, markup=False)


def as_markdown(comparisons: Sequence[Comparison], rules: Rules) -> str:
    """Return tables and remarks that paste into a pull request."""
    lines = []
    for comparison in comparisons:
        lines += [f"**{_escaped(_title(comparison))}**", ""]
        header = _header(comparison)
        lines.append(f"| {' | '.join(header)} |")
        rules_of_columns = ("---:" if name in _RIGHT else "---" for name in header)
        lines.append(f"| {' | '.join(rules_of_columns)} |")
        for config in comparison.configs:
            lines += [f"| {' | '.join(map(_escaped, row))} |" for row in _rows(config, comparison)]
        lines += ["", *(f"- {_escaped(line)}" for line in _remarks(comparison)), ""]
    lines.append(_legend(comparisons, rules))
    return "\n".join(lines)


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


def as_csv(comparisons: Sequence[Comparison]) -> str:
    """Return one row for each phase of each config of each NEW."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_CSV_HEADER)
    for comparison in comparisons:
        for config in comparison.configs:
            writer.writerows(_csv_rows(comparison, config))
    return text.getvalue()


def _title(comparison: Comparison) -> str:
    return f"BASE {comparison.base.name}, NEW {comparison.new.name}"


def _header(comparison: Comparison) -> tuple[str, ...]:
    return (*_HEADER[:-1], *(_NORMALIZED if _has_two_machines(comparison) else ()), _HEADER[-1])


def _has_two_machines(comparison: Comparison) -> bool:
    return any(config.machines is not None for config in comparison.configs)


def _rows(config: ConfigComparison, comparison: Comparison) -> Iterator[tuple[str, ...]]:
    two_machines = _has_two_machines(comparison)
    if not config.phases:
        empty = [""] * (len(_header(comparison)) - 2)
        yield (config.name, *empty, NOT_COMPARABLE)
    for number, phase in enumerate(config.phases):
        yield (
            "" if number else config.name,
            phase.phase,
            _count_text(config, phase),
            _seconds_text(phase.base_median_seconds),
            _seconds_text(phase.new_median_seconds),
            change_text(phase.ratio),
            interval_text(phase.low, phase.high),
            *(_normalized_texts(config, phase) if two_machines else ()),
            f"{phase.verdict}: {phase.reason}" if phase.reason else phase.verdict,
        )


def _normalized_texts(config: ConfigComparison, phase: PhaseComparison) -> tuple[str, str]:
    if config.machines is None:
        return "", ""
    if config.machines.refusal:
        return "refused", ""
    interval = interval_text(phase.normalized_low, phase.normalized_high)
    return change_text(phase.normalized_ratio), interval


def _count_text(config: ConfigComparison, phase: PhaseComparison) -> str:
    if config.design.paired:
        return str(phase.n_base)
    return f"{phase.n_base}, {phase.n_new}"


def _seconds_text(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.4f} s" if seconds < 1 else f"{seconds:.3f} s"


def _remarks(comparison: Comparison) -> list[str]:
    several = len(comparison.configs) > 1
    lines = [] if comparison.configs else ["no config that both sides have"]
    for config in comparison.configs:
        name = f"{config.name}: " if several else ""
        lines += [f"{name}apples and oranges: {why}" for why in config.obstacles]
        if config.obstacles and not config.phases:
            lines.append(f"{name}no verdict; --force compares all the same")
        lines += [f"{name}differs in {_difference_text(d)}" for d in config.differences]
        lines.append(f"{name}{config.design.text}")
        lines += [f"{name}{note}" for note in config.notes]
        lines += [f"{name}{line}" for line in _machine_lines(config.machines)]
    return list(dict.fromkeys([*lines, *comparison.unmatched]))


def _machine_lines(machines: Prediction | None) -> list[str]:
    """Return what the calibrations say of the two machines, and what is made of it."""
    if machines is None:
        return []
    each = ", ".join(f"{name} {change_text(ratio)}" for name, ratio in machines.ratios.items())
    measured = f"; measured: {each}" if each else ""
    if machines.refusal:
        return [f"no normalised ratio: {machines.refusal}{measured}"]
    low, high = (machines.ratio * machines.factor(0.95) ** side for side in (-1, 1))
    return [
        f"the calibration would have NEW {change_text(machines.ratio)} "
        f"({interval_text(low, high)}, 95 %){measured}",
        "normalised: what is left of the ratio then; the verdict is on the ratio itself",
    ]


def _difference_text(difference: Difference) -> str:
    base, new = _values_text(difference.base), _values_text(difference.new)
    return f"{difference.part}: {difference.field} {base} -> {new}"


def _values_text(values: Values) -> str:
    if not values:
        return "(not set)"
    if len(values) > _MOST_VALUES:
        return f"({len(values)} different values)"
    return " and ".join(value if len(value) <= 40 else f"{value[:12]}..." for value in values)


def _legend(comparisons: Sequence[Comparison], rules: Rules) -> str:
    several = any(len(c.phases) > 1 for comparison in comparisons for c in comparison.configs)
    together = " or more, so that a config's phases hold together" if several else ""
    return (
        f"Intervals: {_percent(rules.confidence)}{together}. Same: the whole interval is within "
        f"{_percent(rules.margin)} of unchanged. Faster, slower: the interval excludes unchanged, "
        f"and the change is more than {_percent(rules.margin)}."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _escaped(text: str) -> str:
    for character in ("\\", "|", "*", "_", "<"):
        text = text.replace(character, "\\" + character)
    return text


def _config_as_json(config: ConfigComparison) -> dict[str, Any]:
    return {
        "config": config.name,
        "comparable": not config.obstacles,
        "obstacles": list(config.obstacles),
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
        "base_test_accuracy": config.base_accuracy,
        "new_test_accuracy": config.new_accuracy,
        "contended_repeats": {"base": config.base.contended, "new": config.new.contended},
        "notes": list(config.notes),
        "calibration": _machines_as_json(config.machines),
        "phases": [{**vars(phase), "change": change_text(phase.ratio)} for phase in config.phases],
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


def _csv_rows(comparison: Comparison, config: ConfigComparison) -> Iterator[tuple[object, ...]]:
    start = (comparison.base.name, comparison.new.name, config.name)
    design = (str(config.design.paired).lower(), config.design.unit)
    refusal = config.machines.refusal if config.machines else ""
    if not config.phases:
        why = "; ".join(config.obstacles)
        yield (*start, "", *design, *[""] * 8, NOT_COMPARABLE, why, *[""] * 3, refusal)
    for phase in config.phases:
        yield (
            *start, phase.phase, *design, phase.n_base, phase.n_new, phase.base_median_seconds,
            phase.new_median_seconds, phase.ratio, phase.low, phase.high, phase.confidence,
            phase.verdict, phase.reason, phase.normalized_ratio, phase.normalized_low,
            phase.normalized_high, refusal,
        )  # fmt: skip
