"""A comparison as people read it: a terminal table, or a list where it is too narrow; Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from mnistbench.analysis.comparison import (
    Comparison,
    ConfigComparison,
    MetricComparison,
    PhaseComparison,
    Rules,
)
from mnistbench.analysis.identity import Difference, Values
from mnistbench.analysis.normalization import Prediction
from mnistbench.analysis.other_work import of_the_work, per_image
from mnistbench.errors import in_line
from mnistbench.report.metrics import has_points, row_of
from mnistbench.report.values import change_text, interval_text, seconds_text

if TYPE_CHECKING:
    from rich.console import Console


NOT_COMPARABLE = "not comparable"

_HEADER = ("Config", "Phase", "n", "BASE typical", "NEW typical", "NEW is", "Interval", "Verdict")
_NORMALIZED = ("Normalised", "Normalised interval")
_AS_MEASURED = ("As measured", "Interval as measured")
RIGHT = ("n", "BASE typical", "NEW typical", "NEW is", "As measured", "Normalised")
_DISTURBED = (
    "other programs disturbed the two sides of the pairs unequally: ratio and interval are those "
    "of equal disturbance, by regression on their CPU time"
)
_MOST_VALUES = 3
_LONGEST_VALUE = 80
_DIGEST = re.compile(r"[0-9a-f]{40,}")


def print_table(console: Console, comparisons: Sequence[Comparison], rules: Rules) -> None:
    """Print a table for each NEW, and below it what a reader must know; other work comes first."""
    for comparison in comparisons:
        for line in other_work_in(comparison):
            console.print(in_line(line), highlight=False, markup=False)
        header, rows = header_of(comparison), rows_of(comparison)
        if _table_width(header, rows) <= console.width:
            _print_as_table(console, comparison, header, rows)
        else:
            _print_as_list(console, comparison, header, rows)
        for line in remarks_on(comparison):
            console.print(f"- {in_line(line)}", highlight=False, markup=False)
    console.print(legend_of(comparisons, rules), highlight=False, markup=False)


def _table_width(header: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Return the width in which a table breaks no word: verdicts wrap between words, no others."""
    cells = [[*column] for column in zip(header, *rows, strict=True)]
    words = [word for verdict in cells[-1] for word in verdict.split()]
    widths = [max(map(len, column)) for column in cells[:-1]] + [max(map(len, words))]
    return sum(width + 3 for width in widths) + 1


def _print_as_table(
    console: Console, comparison: Comparison, header: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    from rich.table import Table
    from rich.text import Text

    # Text, as a glob's [0-9] would be taken for a colour.
    table = Table(title=Text(title_of(comparison)), title_justify="left")
    for name in header:
        justify: Literal["left", "right"] = "right" if name in RIGHT else "left"
        table.add_column(name, justify=justify, no_wrap=name != _HEADER[-1], overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _print_as_list(
    console: Console, comparison: Comparison, header: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Print what the table would hold, a verdict first and a line for each of the others."""
    console.print(title_of(comparison), highlight=False, markup=False)
    config = ""
    for row in rows:
        config = row[0] or config
        where = ", ".join(part for part in (config, row[1]) if part)
        console.print(f"\n{where}: {row[-1]}", highlight=False, markup=False)
        for name, cell in zip(header[2:-1], row[2:-1], strict=True):
            if cell:
                console.print(f"  {name}: {cell}", highlight=False, markup=False)
    console.print()


def as_markdown(comparisons: Sequence[Comparison], rules: Rules) -> str:
    """Return tables and remarks that paste into a pull request."""
    lines = []
    for comparison in comparisons:
        lines += [f"**{escaped(line)}**\n" for line in other_work_in(comparison)]
        lines += [f"**{escaped(title_of(comparison))}**", ""]
        header = header_of(comparison)
        lines.append(f"| {' | '.join(header)} |")
        rules_of_columns = ("---:" if name in RIGHT else "---" for name in header)
        lines.append(f"| {' | '.join(rules_of_columns)} |")
        lines += [f"| {' | '.join(map(escaped, row))} |" for row in rows_of(comparison)]
        lines += ["", *(f"- {escaped(line)}" for line in remarks_on(comparison)), ""]
    lines.append(legend_of(comparisons, rules))
    return "\n".join(lines)


def title_of(comparison: Comparison) -> str:
    """Return the names of both sides."""
    return in_line(f"BASE {comparison.base.name}, NEW {comparison.new.name}")


def header_of(comparison: Comparison) -> tuple[str, ...]:
    """Return the headings of a comparison's table; those in RIGHT hold numbers."""
    config, phase, *others, verdict = _HEADER
    normalized = _NORMALIZED if _has_two_machines(comparison) else ()
    as_measured = _AS_MEASURED if _has_disturbed(comparison) else ()
    return (config, _what(comparison, phase), *others, *as_measured, *normalized, verdict)


def _what(comparison: Comparison, phase: str) -> str:
    """Return the heading of what is compared: phases, metrics, or both."""
    has_metrics = any(config.metrics for config in comparison.configs)
    has_phases = any(config.phases for config in comparison.configs)
    if not has_metrics:
        return phase
    return f"{phase} or metric" if has_phases else "Metric"


def _has_two_machines(comparison: Comparison) -> bool:
    return any(config.machines is not None for config in comparison.configs)


def _has_disturbed(comparison: Comparison) -> bool:
    return any(phase.raw_ratio for config in comparison.configs for phase in config.phases)


def rows_of(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return the rows of a comparison's table; a config is named in its first one alone."""
    rows = (row for config in comparison.configs for row in _rows(config, comparison))
    return [tuple(map(in_line, row)) for row in rows]


def _rows(config: ConfigComparison, comparison: Comparison) -> Iterator[tuple[str, ...]]:
    two_machines, disturbed = _has_two_machines(comparison), _has_disturbed(comparison)
    empty = [""] * (len(header_of(comparison)) - 3)
    name = config.name
    if config.obstacles and not config.is_judged:
        yield (name, "", *empty, NOT_COMPARABLE)
        name = ""
    for phase in config.phases:
        yield (
            name,
            phase.phase,
            _count_text(config, phase),
            seconds_text(phase.base_typical_seconds),
            seconds_text(phase.new_typical_seconds),
            change_text(phase.ratio),
            interval_text(phase.low, phase.high),
            *(_raw_texts(phase) if disturbed else ()),
            *(_normalized_texts(config, phase) if two_machines else ()),
            f"{phase.verdict}: {phase.reason}" if phase.reason else phase.verdict,
        )
        name = ""
    for metric in config.metrics:
        yield (
            name,
            metric.kind.name,
            _count_text(config, metric),
            *row_of(metric),
            *(("", "") if disturbed else ()),
            *(("", "") if two_machines else ()),
            f"{metric.verdict}: {metric.reason}" if metric.reason else metric.verdict,
        )
        name = ""
    for phase_name, why in config.incomparable.items():
        yield (name, phase_name, *empty, f"{NOT_COMPARABLE}: {why}")
        name = ""


def _raw_texts(phase: PhaseComparison) -> tuple[str, str]:
    if phase.raw_ratio is None:
        return "", ""
    return change_text(phase.raw_ratio), interval_text(phase.raw_low, phase.raw_high)


def _normalized_texts(config: ConfigComparison, phase: PhaseComparison) -> tuple[str, str]:
    if config.machines is None:
        return "", ""
    if config.machines.refusal:
        return "refused", ""
    interval = interval_text(phase.normalized_low, phase.normalized_high)
    return change_text(phase.normalized_ratio), interval


def _count_text(config: ConfigComparison, judged: PhaseComparison | MetricComparison) -> str:
    if config.design.paired:
        return str(judged.n_base)
    return f"{judged.n_base}, {judged.n_new}"


def remarks_on(comparison: Comparison) -> list[str]:
    """Return what a reader must know beside the table, a line for each thing."""
    several = len(comparison.configs) > 1
    lines = [] if comparison.configs else ["no config that both sides have"]
    for config in comparison.configs:
        name = f"{config.name}: " if several else ""
        lines += [f"{name}apples and oranges: {why}" for why in config.obstacles]
        if config.force_helps:
            lines.append(f"{name}no verdict; --force compares all the same")
        lines += [f"{name}{phase}: {why}" for phase, why in config.incomparable.items()]
        lines += [f"{name}differs in {difference_text(d)}" for d in config.differences]
        lines.append(f"{name}{config.design.text}")
        lines += [f"{name}{note}" for note in config.notes]
        if any(phase.raw_ratio for phase in config.phases):
            lines.append(f"{name}{_DISTURBED}")
        lines += [f"{name}{line}" for line in _machine_lines(config.machines)]
    return list(dict.fromkeys([*lines, *comparison.unmatched]))


def other_work_in(comparison: Comparison) -> list[str]:
    """Return of each config that the two sides did not do the same work."""
    several = len(comparison.configs) > 1
    return [
        f"{config.name}: {line}" if several else line[0].upper() + line[1:]
        for config in comparison.configs
        for line in _work_lines(config)
    ]


def _work_lines(config: ConfigComparison) -> list[str]:
    """Return that NEW did other work than BASE, and the train phase an image; nothing if not."""
    other = of_the_work(config.differences)
    if not other:
        return []
    fields = ", ".join(f"{d.field} {' -> '.join(_in_short(d.base, d.new))}" for d in other)
    lines = [f"not the same work: {fields}"]
    each = per_image(config.base.identity, config.new.identity, config.phases)
    if each is not None:
        times = (f"{1e6 * seconds:.4g} us" for seconds in (each.base_seconds, each.new_seconds))
        lines.append(
            f"train per image trained on: {' -> '.join(times)}, NEW is {change_text(each.ratio)} "
            f"({interval_text(each.low, each.high)})"
        )
    return lines


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


def difference_text(difference: Difference) -> str:
    """Return a difference as `hardware: cpu_model A -> B`."""
    base, new = _in_short(difference.base, difference.new)
    return f"{difference.part}: {difference.field} {base} -> {new}"


def _in_short(base: Values, new: Values) -> tuple[str, str]:
    """Return both sides' values; of two long lists of words only the words that differ."""
    if len(base) == len(new) == 1 and max(len(base[0]), len(new[0])) > _LONGEST_VALUE:
        words = base[0].split(), new[0].split()
        own = [" ".join(word for word in words[i] if word not in words[1 - i]) for i in (0, 1)]
        if all(map(len, words)) and max(map(len, words)) > 1:
            first, second = (
                f"{some or 'nothing'} of {len(w)} words" for some, w in zip(own, words, strict=True)
            )
            return first, second
    return values_text(base), values_text(new)


def values_text(values: Values) -> str:
    """Return the different values of a fact, as far as a reader can take them in."""
    if not values:
        return "(not set)"
    if len(values) > _MOST_VALUES:
        return f"({len(values)} different values)"
    return " and ".join(
        f"{value[:12]}..." if _DIGEST.fullmatch(value) else value for value in values
    )


def legend_of(comparisons: Sequence[Comparison], rules: Rules) -> str:
    """Return what the words of a comparison's table mean."""
    configs = [config for comparison in comparisons for config in comparison.configs]
    several = any(len(c.phases) + len(c.metrics) > 1 for c in configs)
    together = " or more, so that a config's phases hold together" if several else ""
    text = (
        f"Typical: the mean of the logarithms, in which a far-out repeat (if paired, a far-out "
        "pair) weighs less; NEW / BASE of the typical times is the ratio. "
        f"Intervals: {_percent(rules.confidence)}{together}. Same: the whole interval is within "
        f"{_percent(rules.margin)} of unchanged. Faster, slower: the interval excludes unchanged, "
        f"and the change is more than {_percent(rules.margin)}."
    )
    if any(has_points(config.metrics) for config in configs):
        text += (
            " Shares are set against each other by their difference in points, and by "
            f"{100 * rules.accuracy_margin:.4g} of them in place of {_percent(rules.margin)}."
        )
    return text


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def escaped(text: str) -> str:
    """Return text that Markdown takes as it is."""
    text = in_line(text)
    for character in ("\\", "|", "*", "_", "<"):
        text = text.replace(character, "\\" + character)
    return text
