"""A report on more machines than anyone compares one by one: how they spread, and five of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from mnistbench.analysis.groups import UNKNOWN, Groups, part_of
from mnistbench.analysis.identity import HARDWARE, NUMERICS, PARTS, SYSTEM
from mnistbench.analysis.pairing import machine_medians
from mnistbench.analysis.sides import ConfigRuns, side_of
from mnistbench.report.document.bars import MOST_CHARTS, Bar, Chart, figure_name, seconds_cell
from mnistbench.report.document.parts import (
    MOST_ROWS,
    Axis,
    Boxes,
    Cell,
    Figure,
    Section,
    Table,
    named_number,
    number,
    table,
)
from mnistbench.report.document.times import main_phase, phases_section, repeats_section, thinned
from mnistbench.report.values import seconds_text

_PLACES = (("fastest", 0.0), ("first quarter", 0.25), ("middle", 0.5),
           ("third quarter", 0.75), ("slowest", 1.0))  # fmt: skip
_MOST_VALUES = 4
_DOES = {"train": "train", "test": "test"}


Configs = tuple[ConfigRuns, ...]


def crowd(groups: Groups) -> tuple[str, tuple[str, ...], tuple[Section, ...]]:
    """Return the first line on many machines, further sentences, and the sections."""
    configs = tuple(config for config in side_of(groups.heap).configs if config.phases)
    if not configs:
        return "No repeat of a training or a test finished.", (), ()
    return (*_answer(configs), _sections(groups, configs))


def _answer(configs: Configs) -> tuple[str, tuple[str, ...]]:
    sentences = [_sentence(config, _sorted_medians(config)) for config in configs]
    no_verdict = (
        "No machine is judged against another here: of so many verdicts some would be wrong by "
        "chance. `mnistbench compare A B` judges two."
    )
    return f"{sentences[0]}.", (*sentences[1:], no_verdict)


Medians = list[tuple[str, float]]
"""Machines with their median seconds, the fastest first."""


def _sorted_medians(config: ConfigRuns) -> Medians:
    medians = machine_medians(config, config.phases[main_phase(config)])
    return sorted(medians.items(), key=lambda each: each[1])


def _sentence(config: ConfigRuns, medians: Medians) -> str:
    seconds = np.array([each for _, each in medians])
    phase = main_phase(config)
    does = _DOES.get(phase, f"do {phase} of")
    quarter, middle, three = (
        seconds_text(float(s)) for s in np.quantile(seconds, (0.25, 0.5, 0.75))
    )
    (fast, fastest), (slow, slowest) = medians[0], medians[-1]
    return (
        f"{len(medians):,} machines {does} {config.name} in {middle} in the middle; half of them "
        f"between {quarter} and {three}; the fastest, {fast or UNKNOWN}, in {seconds_text(fastest)}"
        f", the slowest, {slow or UNKNOWN}, in {seconds_text(slowest)}"
    )


def _sections(groups: Groups, configs: Configs) -> tuple[Section, ...]:
    """Return how the machines spread, what they are, and the charts of five of them."""
    several = len(configs) > 1
    charts = [_five(groups, config, several) for config in configs[:MOST_CHARTS]]
    of_five = "Five of the machines: the fastest, the slowest, and those a quarter apart between."
    return (
        Section(
            "spread", "How the machines spread", (),
            tuple(_machines(config, several) for config in configs[:MOST_CHARTS]),
            tuple(_spread(config, several) for config in configs[:MOST_CHARTS]),
        ),
        _facts(groups, configs),
        *(
            replace(section, lines=(of_five, *section.lines))
            for section in (phases_section(charts), repeats_section(charts))
            if section.figures
        ),
    )  # fmt: skip


def _five(groups: Groups, config: ConfigRuns, several: bool) -> Chart:
    medians = _sorted_medians(config)
    chosen: dict[str, str] = {}
    for words, share in _PLACES:
        node = medians[round(share * (len(medians) - 1))][0]
        chosen.setdefault(node, f"{words}: {node or UNKNOWN}")
    facts = groups.heap.loaded.facts
    bars = list[Bar]()
    for node, label in chosen.items():
        numbers = [
            number_of_run
            for number_of_run, run in enumerate(facts)
            if run.get("node", "") == node and run.get("config", "") == config.name
        ]
        part = side_of(part_of(groups.heap, numbers, label))
        bars.append(Bar(label, part.configs[0], len(bars)))
    name = config.name if several else ""
    return Chart(name, name, tuple(bars))


def _machines(config: ConfigRuns, several: bool) -> Table:
    """Return the machines by their time: the fastest and the slowest hundred."""
    medians = _sorted_medians(config)
    best = medians[0][1]
    rows = [
        (number(place), Cell(node or UNKNOWN), seconds_cell(seconds),
         number(seconds / best, f"{seconds / best:.2f}"))
        for place, (node, seconds) in enumerate(medians, start=1)
    ]  # fmt: skip
    half = MOST_ROWS // 2
    shown = rows if len(rows) <= MOST_ROWS else [*rows[:half], *rows[-half:]]
    columns = (
        named_number("Place"), "Machine", named_number(f"Median {main_phase(config)}"),
        named_number("Times the fastest"),
    )  # fmt: skip
    title = f"Machines by their time: {config.name}" if several else "Machines by their time"
    return replace(table(title, columns, shown), more=len(rows) - len(shown))


def _spread(config: ConfigRuns, several: bool) -> Figure:
    phase, medians = main_phase(config), _sorted_medians(config)
    seconds = np.array([each for _, each in medians])
    drawn = thinned(seconds)
    label = f"{len(seconds):,} machines"
    box = Boxes(label, (label,) * len(drawn), tuple(map(float, drawn)), 0)
    title = f"Median {phase} of each machine: {config.name}"
    says = "A dot is one machine's median; the box holds the middle half of the machines."
    if len(drawn) < len(seconds):
        says += f" {len(drawn)} dots are drawn, evenly spaced among them."
    shares = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    rows = [
        (number(share, f"{share:.0%}"), seconds_cell(float(value)))
        for share, value in zip(shares, np.quantile(seconds, shares), strict=True)
    ]
    chart = Chart(config.name if several else "", "", ())
    columns = (
        named_number("Share of machines that are faster"),
        named_number(f"Seconds of {phase}"),
    )
    return Figure(
        figure_name("spread", chart), title, says, Axis(""),
        Axis(f"Seconds of {phase}", unit="seconds"), (box,), table(title, columns, rows),
    )  # fmt: skip


def _facts(groups: Groups, configs: Configs) -> Section:
    """Return the facts in which the machines differ, each value with its number of machines."""
    by_machine = {run.get("node", ""): run for run in groups.heap.loaded.facts}
    identity = [config.identity for config in configs]
    rows = []
    for part in PARTS:
        names = {name for each in identity for name in each.parts[part]}
        for name in sorted(names) if part in (HARDWARE, SYSTEM, NUMERICS) else ():
            counts = Counter(run[name] for run in by_machine.values() if run.get(name))
            if len(counts) > 1:
                rows.append((Cell(name), Cell(_counts_text(counts)), number(len(counts))))
    if not rows:
        return Section("machines", "Machines")
    columns = ("Fact", "Values, with how many machines have them", named_number("Values"))
    return Section("machines", "Machines", (), (table("What differs", columns, rows),))


def _counts_text(counts: Counter[str]) -> str:
    parts = [f"{value} ({count:,})" for value, count in counts.most_common(_MOST_VALUES)]
    more = len(counts) - _MOST_VALUES
    return "; ".join(parts) + (f"; {more:,} more" if more > 0 else "")
