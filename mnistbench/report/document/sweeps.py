"""Sweeps in a report: what `sweep` tells of them, and accuracy against time as charts."""

from __future__ import annotations

from collections.abc import Sequence

from mnistbench.analysis.sweeps import Point
from mnistbench.report.document.bars import seconds_cell
from mnistbench.report.document.parts import (
    Axis,
    Cell,
    Cells,
    Column,
    Figure,
    Points,
    Section,
    Style,
    Table,
    named_number,
    number,
    table,
)
from mnistbench.report.sweep import (
    choice_lines,
    effect_cells,
    effect_columns,
    effect_lines,
    short_names,
    state_lines,
    title_of,
)
from mnistbench.report.values import seconds_text
from mnistbench.session.sweep.sweep import SweepResult

_MOST_DOTS = 2_000
_MOST_LINES = 300
_GREY = 7

Measured = tuple[Point, float, float]
"""A point, its median train seconds, and its median accuracy on the set that chooses."""


def sweep_answer(sweep: SweepResult, sweeps: int) -> list[str]:
    """Return what one of several sweeps shows: the best, and then the fastest."""
    best, *others = choice_lines(sweep) or ["no point has ended yet"]
    whose = f"{sweep.plan.base.fields.get('name')}: " if sweeps > 1 else ""
    return [
        f"{title_of(sweep).removesuffix(', medians')}. {best[0].upper()}{best[1:]}.",
        *(f"{whose}{line}" for line in others),
    ]


def sweep_sections(sweep: SweepResult, sweeps: int) -> tuple[Section, ...]:
    """Return the charts and tables of one of several sweeps."""
    suffix = f"-{sweep.plan.sweep_id}" if sweeps > 1 else ""
    measured = _measured(sweep)
    figures = [_against_time(sweep, measured, suffix)] if measured else []
    if measured and len(sweep.plan.fields) == 2:
        figures += _heat_maps(sweep, measured, suffix)
    elif measured and len(sweep.plan.fields) > 2:
        figures.append(_parallel(sweep, measured, suffix))
    tables = [table("What each setting does, all else equal", effect_columns(sweep), effects)] if (
        effects := [[*cells] for cells in effect_cells(sweep)]
    ) else []  # fmt: skip
    title = f"Sweep {sweep.plan.sweep_id}" if sweeps > 1 else "Sweep"
    lines = (*choice_lines(sweep), *effect_lines(sweep))
    notes = tuple(state_lines(sweep))
    return (Section(f"sweep{suffix}", title, lines, tuple(tables), tuple(figures), notes),)


def _measured(sweep: SweepResult) -> list[Measured]:
    accuracy = f"{sweep.findings.select_on}_accuracy"
    return [
        (point, seconds, right)
        for point in sweep.points
        if (seconds := point.median("train_seconds")) is not None
        and (right := point.median(accuracy)) is not None
    ]


def _accuracy_name(sweep: SweepResult) -> str:
    return f"{sweep.findings.select_on.capitalize()} accuracy"


def _against_time(sweep: SweepResult, measured: Sequence[Measured], suffix: str) -> Figure:
    front = sorted(
        (each for each in measured if each[0].number in sweep.findings.front),
        key=lambda each: each[1],
    )
    others = [each for each in measured if each[0].number not in sweep.findings.front]
    step = max(1, -(-len(others) // _MOST_DOTS))
    says = (
        "No point is both faster and at least as accurate as one on the line. Choosing the best of "
        f"{len(measured)} is partly luck: on new images expect less."
    )
    if step > 1:
        says += f" Of the other points every {step}th is drawn."
    marks = (
        _dots("points", others[::step], "dots", 0),
        _dots("none faster and as accurate", front, "both", 1),
    )
    return Figure(
        f"sweep{suffix}", "Accuracy against time", says,
        Axis("Seconds of train, median", unit="seconds", is_log=_spans(measured)),
        Axis(_accuracy_name(sweep), unit="share"), marks, _points_table(sweep),
    )  # fmt: skip


def _spans(measured: Sequence[Measured]) -> bool:
    seconds = [each for _, each, _ in measured]
    return max(seconds) > 20 * min(seconds)


def _dots(name: str, points: Sequence[Measured], style: Style, color: int) -> Points:
    return Points(
        name,
        tuple(seconds for _, seconds, _ in points),
        tuple(right for _, _, right in points),
        tuple(f"point {point.number}: {point.settings}" for point, _, _ in points),
        style,
        color,
    )


def _points_table(sweep: SweepResult) -> Table:
    figures = map(named_number, ("n", "Train", _accuracy_name(sweep)))
    columns: tuple[Column | str, ...] = (
        named_number("Point"),
        *short_names(sweep.plan.fields),
        *figures,
        "Front",
    )
    rows = []
    for point in sweep.points:
        right = point.median(f"{sweep.findings.select_on}_accuracy")
        rows.append(
            (number(point.number), *(Cell(value, _order(value)) for value in point.values),
             number(len(point.finished)), seconds_cell(point.median("train_seconds")),
             number(right, None if right is None else f"{right:.4f}"),
             Cell("on it" if point.number in sweep.findings.front else ""))
        )  # fmt: skip
    # What is cut off are the last ones: the front stays.
    rows.sort(key=lambda row: row[-1].text == "")
    return table("Points", columns, rows)


def _order(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _heat_maps(sweep: SweepResult, measured: Sequence[Measured], suffix: str) -> list[Figure]:
    """Return accuracy, and train seconds, over the two settings."""
    across, up = (_sorted_values(measured, place) for place in (0, 1))
    names = short_names(sweep.plan.fields)
    kinds = (
        (f"heat-accuracy{suffix}", _accuracy_name(sweep), 2, "{:.4f}"),
        (f"heat-seconds{suffix}", "Seconds of train", 1, ""),
    )
    figures = []
    for name, title, figure, form in kinds:
        by_place = {(p[0].values[0], p[0].values[1]): float(p[figure]) for p in measured}  # type: ignore[arg-type]
        values = tuple(tuple(by_place.get((x, y)) for x in across) for y in up)
        rows = [
            [Cell(y, _order(y)), *(_value_cell(value, form) for value in row)]
            for y, row in zip(up, values, strict=True)
        ]
        heading = f"{title} over {names[0]} and {names[1]}"
        columns: tuple[Column | str, ...] = (
            names[1],
            *(named_number(f"{names[0]} {value}") for value in across),
        )
        figures.append(
            Figure(name, heading, "Empty places were not measured.", Axis(names[0]), Axis(names[1]),
                   (Cells(title, across, up, values),), table(heading, columns, rows))
        )  # fmt: skip
    return figures


def _value_cell(value: float | None, form: str) -> Cell:
    if value is None:
        return Cell("")
    return number(value, form.format(value) if form else seconds_text(value))


def _sorted_values(measured: Sequence[Measured], place: int) -> tuple[str, ...]:
    values = dict.fromkeys(point.values[place] for point, _, _ in measured)
    if all(_order(value) is not None for value in values):
        return tuple(sorted(values, key=lambda value: _order(value) or 0.0))
    return tuple(values)


def _parallel(sweep: SweepResult, measured: Sequence[Measured], suffix: str) -> Figure:
    """Return a line for each point across all settings, each axis from its least to its most."""
    names = (*short_names(sweep.plan.fields), "train seconds", _accuracy_name(sweep).lower())
    best_first = sorted(measured, key=lambda each: -each[2])
    shown = best_first[:_MOST_LINES]
    columns = [_places([point.values[place] for point, _, _ in shown])
               for place in range(len(sweep.plan.fields))]  # fmt: skip
    columns += [_scaled([each[1] for each in shown]), _scaled([each[2] for each in shown])]
    tenth = max(1, len(shown) // 10)
    marks = []
    for line, (point, seconds, right) in enumerate(shown):
        text = f"point {point.number}: {point.settings}; {seconds_text(seconds)}, {right:.4f}"
        marks.append(
            Points(f"point {point.number}", tuple(map(float, range(len(names)))),
                   tuple(column[line] for column in columns), (text,) * len(names),
                   "line", 1 if line < tenth else _GREY, line >= tenth)
        )  # fmt: skip
    says = (
        f"A line is a point; those in colour are the {tenth} most accurate. Each axis goes from "
        "its least value at the bottom to its most at the top."
    )
    if len(measured) > len(shown):
        says += f" The {len(shown)} most accurate of {len(measured)} are drawn."
    rows = [
        [Cell(name), Cell(least), Cell(most)]
        for name, (least, most) in zip(names, _ends(shown, len(sweep.plan.fields)), strict=True)
    ]
    return Figure(
        f"parallel{suffix}", "All settings side by side", says, Axis(""), Axis(""),
        tuple(reversed(marks)), table("Axes", ("Axis", "Bottom", "Top"), rows), names,
    )  # fmt: skip


def _places(values: Sequence[str]) -> list[float]:
    """Return where each value stands: numbers by size, words by their order."""
    numbers = [_order(value) for value in values]
    known = [value for value in numbers if value is not None]
    if len(known) == len(values):
        return _scaled(known)
    places = {value: place for place, value in enumerate(dict.fromkeys(values))}
    return _scaled([float(places[value]) for value in values])


def _scaled(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    return [0.5 if high == low else (value - low) / (high - low) for value in values]


def _ends(shown: Sequence[Measured], fields: int) -> list[tuple[str, str]]:
    ends = []
    for place in range(fields):
        values = [point.values[place] for point, _, _ in shown]
        order = sorted(zip(_places(values), values, strict=True))
        ends.append((order[0][1], order[-1][1]))
    seconds, right = [each[1] for each in shown], [each[2] for each in shown]
    ends.append((seconds_text(min(seconds)), seconds_text(max(seconds))))
    return [*ends, (f"{min(right):.4f}", f"{max(right):.4f}")]
