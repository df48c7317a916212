"""The first line of a report: what the results say, in words, by the verdicts of `compare`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from mnistbench.analysis import stats
from mnistbench.analysis.comparison import (
    Comparison,
    ConfigComparison,
    PhaseComparison,
    Rules,
)
from mnistbench.analysis.groups import By, Groups
from mnistbench.analysis.inference import applied_in
from mnistbench.analysis.pairing import words_of
from mnistbench.analysis.sides import ConfigRuns, Side
from mnistbench.report.comparison import NOT_COMPARABLE, other_work_in
from mnistbench.report.values import change_text, interval_text, seconds_text, times_text
from mnistbench.results.inference import PREDICT
from mnistbench.results.phases import INFER, TEST, TRAIN

_MOST_DETAILS = 24
_MOST_NAMED = 6
_DOES = {TRAIN: "trains", TEST: "tests"}
_ORDER = ("slower", "faster", "same", "inconclusive", NOT_COMPARABLE)

Told = tuple[str, str]
"""What is said of one config of one NEW: its verdict, and the sentence."""


def answer(
    groups: Groups, comparisons: Sequence[Comparison], rules: Rules
) -> tuple[str, tuple[str, ...]]:
    """Return the first line, and the sentences below it."""
    if not comparisons:
        return _of_one_side(groups.sides[0])
    work = [line for comparison in comparisons for line in other_work_in(comparison)]
    told = [
        (comparison, verdict, sentence)
        for comparison in comparisons
        for verdict, sentence in _told(comparison, groups.by, rules)
    ]
    if len(told) == 1:
        first, details = told[0][2], list[str]()
    else:
        first, details = _counted(told, groups), [sentence for _, _, sentence in told]
    is_judged = any(verdict != NOT_COMPARABLE for _, verdict, _ in told)
    first += "; but it is not the same work" if work and is_judged else ""
    return f"{first}.", tuple(_some([*work, *details]))


def _some(lines: Sequence[str]) -> list[str]:
    more = len(lines) - _MOST_DETAILS
    rest = [f"{more} more are in the tables below"] if more > 0 else []
    return [*lines[:_MOST_DETAILS], *rest]


def _told(comparison: Comparison, by: By, rules: Rules) -> list[Told]:
    if not comparison.configs:
        names = comparison.new.name, comparison.base.name
        return [(NOT_COMPARABLE, f"{names[0]} and {names[1]} share no config")]
    return [_sentence(comparison, config, by, rules) for config in comparison.configs]


def _sentence(comparison: Comparison, config: ConfigComparison, by: By, rules: Rules) -> Told:
    base, new = comparison.base.name, comparison.new.name
    what = "" if by == "config" or config.name == "(no name)" else f" {config.name}"
    if not config.phases:
        why = [*config.obstacles, *config.incomparable.values()]
        text = f"{new} and {base} cannot be compared{' on' if what else ''}{what}: {'; '.join(why)}"
        return NOT_COMPARABLE, text
    main = _main_phase(config.phases)
    return main.verdict, _verdict_text(main, base, new, what, rules) + _others(config, main, rules)


def _main_phase(phases: Sequence[PhaseComparison]) -> PhaseComparison:
    """Return the phase that the first line is about: train; where there is none, test."""
    by_name = {phase.phase: phase for phase in phases}
    return by_name.get(TRAIN) or by_name.get(TEST) or phases[0]


def _verdict_text(phase: PhaseComparison, base: str, new: str, what: str, rules: Rules) -> str:
    does = _DOES.get(phase.phase, f"does {phase.phase} of")
    does = does if what else does.removesuffix(" of")
    interval = interval_text(phase.low, phase.high)
    change = change_text(phase.ratio)
    if phase.verdict == stats.SAME:
        margin = f"{100 * rules.margin:.4g} %"
        return f"{new} {does}{what} as fast as {base}, within {margin} ({interval})"
    if phase.verdict == stats.INCONCLUSIVE:
        why = f"; {phase.reason}" if phase.reason else ""
        measured = f"{change} ({interval})" if phase.low is not None else change
        either = "faster or slower than"
        return f"Whether {new} {does}{what} {either} {base} cannot be told: {measured}{why}"
    return f"{new} {does}{what} {change} than {base} ({interval})"


def _others(config: ConfigComparison, main: PhaseComparison, rules: Rules) -> str:
    """Return what became of the other phases, as the end of a sentence."""
    others = [phase for phase in config.phases if phase is not main]
    if not others and not config.incomparable:
        return ""
    if not config.incomparable and all(phase.verdict == stats.SAME for phase in others):
        return f"; nothing else differs beyond {100 * rules.margin:.4g} %"
    parts = [f"{phase.phase}: {_in_short(phase)}" for phase in others]
    parts += [f"{name}: {why}" for name, why in config.incomparable.items()]
    return f"; {', '.join(parts)}"


def _in_short(phase: PhaseComparison) -> str:
    if phase.verdict in (stats.SAME, stats.INCONCLUSIVE):
        return phase.verdict
    return change_text(phase.ratio)


def _counted(told: Sequence[tuple[Comparison, str, str]], groups: Groups) -> str:
    """Return how many of several verdicts are which; a place at the top is no verdict."""
    base = told[0][0].base.name
    several = len({comparison.new.name for comparison, _, _ in told}) > 1
    ordered = sorted(told, key=lambda each: _ORDER.index(each[1]))
    parts = []
    for verdict, each in groupby(ordered, key=lambda each: each[1]):
        names = list(dict.fromkeys(comparison.new.name for comparison, _, _ in each))
        count = sum(1 for _, other, _ in told if other == verdict)
        who = f" ({_listed(names)})" if several else ""
        parts.append(f"{count} {verdict}{who}")
    if several:
        configs = {config.name for comparison, _, _ in told for config in comparison.configs}
        on = f" on {configs.pop()}" if len(configs) == 1 and groups.by != "config" else ""
        of = "" if len(told) == len({c.new.name for c, _, _ in told}) else " verdicts"
        return f"Against {base}{on}, of {len(told)}{of}: {', '.join(parts)}"
    return f"{told[0][0].new.name} against {base}, {len(told)} configs: {', '.join(parts)}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _of_one_side(side: Side) -> tuple[str, tuple[str, ...]]:
    """Return what was measured where there is nothing to set it against."""
    sentences = [text for config in side.configs if (text := _measured(config))]
    if len(sentences) == 1:
        return f"{sentences[0]}.", ()
    if not sentences:
        return "No repeat of a training or a test finished.", ()
    nodes = sorted({run.node for config in side.configs for run in config.runs if run.node})
    where = nodes[0] if len(nodes) == 1 else side.name
    first = f"{where} measured {len(sentences)} configs; nothing here is set against another"
    return f"{first}.", tuple(_some(sentences))


def _applied(config: ConfigRuns) -> str:
    """Return how long one query of the smallest batch size takes, and one of `predict`."""
    folders = [run.folder for run in config.runs if run.folder is not None]
    ways = applied_in(folders[0]) if len(folders) == 1 else []
    if not ways:
        return f"{config.name} was applied: how fast, is below"
    size = min(way.batch_size for way in ways)
    ways = [way for way in ways if way.batch_size == size]
    fastest = min(ways, key=lambda way: way.latency_seconds)
    what = "1 image" if size == 1 else f"{size:,} images"
    text = f"{config.name} guesses {what} in {seconds_text(fastest.latency_seconds)}"
    predicts = [way for way in ways if way.execution == PREDICT and way is not fastest]
    if not predicts or fastest.times_faster is None:
        return f"{text} ({fastest.execution})"
    taken, times = seconds_text(predicts[0].latency_seconds), times_text(fastest.times_faster)
    return f"{text} ({fastest.execution}); {PREDICT} takes {taken}, {times} times as long"


def _measured(config: ConfigRuns) -> str:
    phase = next((name for name in (TRAIN, TEST, *config.phases) if name in config.phases), None)
    if phase is None:
        return ""
    if INFER in config.phases and phase not in _DOES:
        return _applied(config)
    seconds = config.phases[phase].amounts
    found = stats.typical_time(seconds, 0.95)
    does = _DOES.get(phase, f"does {phase}")
    nodes = sorted({run.node for run in config.runs if run.node})
    on = f" on {nodes[0]}" if len(nodes) == 1 else ""
    how = f"{len(seconds)} repeats"
    if np.isfinite(found.high):
        how = f"{seconds_text(float(found.low))} to {seconds_text(float(found.high))}, {how}"
    elif len(seconds) == 1:
        how = "1 repeat: how much it varies is not known"
    text = f"{config.name or 'What was measured'} {does} in {seconds_text(float(found.ratio))}{on}"
    designs = {run.design for run in config.runs if run.design}
    beside = "".join(f"; {words_of(design)}: no time of the machine" for design in sorted(designs))
    return f"{text} ({how}){beside}"
