"""A sweep as people read it: its plan, its points, and what they show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console, JustifyMethod
from rich.table import Table

from mnistbench.analysis.scaling import scalings_of
from mnistbench.analysis.sweep_rows import remark_on
from mnistbench.analysis.sweeps import (
    ACCURACY_DIFFERENCE,
    BEST,
    FASTEST,
    FASTEST_TO,
    TRAIN_RATIO,
    Choice,
    Effect,
    Point,
)
from mnistbench.report.console import SYNTHETIC
from mnistbench.report.terminal import seconds_text
from mnistbench.report.values import change_text, interval_text
from mnistbench.results.phrases import duration
from mnistbench.session.sweep.sweep import SweepResult

_MOST_POINTS = 60
"""More are told by points.csv: no reader looks through them on a terminal."""
_MOST_EFFECTS = 40
_MOST_COLUMNS = 4
_MOST_NAMED = 5
_INTERVAL = "95 % interval"
_WORDS_FIRST = 3
"""Columns of the effects before those of numbers."""


def print_sweep(console: Console, result: SweepResult) -> None:
    """Print the points, the best and the fastest, what each setting does, and what is missing."""
    console.print(_points_table(result))
    for line in (*_hidden(result), *choice_lines(result)):
        console.print(line, soft_wrap=True, highlight=False)
    if result.findings.effects:
        console.print(_effects_table(result))
    for line in (*effect_lines(result), *state_lines(result)):
        console.print(line, soft_wrap=True, highlight=False)


def _points_table(result: SweepResult) -> Table:
    plan, select_on = result.plan, result.findings.select_on
    with_target = any(point.seconds_to_accuracy is not None for point in result.points)
    names = short_names(plan.fields)
    columns = names if len(names) <= _MOST_COLUMNS else ("settings",)
    table = Table("Point", *columns, title=title_of(result), title_justify="left")
    for name in ("n", "Train (s)", f"{select_on.capitalize()} accuracy"):
        table.add_column(name, justify="right")
    if with_target:
        table.add_column("To the target (s)", justify="right")
    for point in _shown(result):
        values = point.values if len(names) <= _MOST_COLUMNS else (point.settings,)
        accuracy = point.median(f"{select_on}_accuracy")
        mark = " *" if point.number in result.findings.front else "  "
        cells = [str(point.number), *values, _ended(point, plan.repeats)]
        cells += [seconds_text(point.median("train_seconds"))]
        cells += [("" if accuracy is None else f"{accuracy:.4f}") + mark]
        table.add_row(*cells, *([seconds_text(point.seconds_to_accuracy)] if with_target else []))
    if len(result.findings.front) > 1:
        table.caption = "* none is both faster and as accurate"
    return table


def title_of(result: SweepResult) -> str:
    """Return what was measured: the config, the points and their repeats."""
    plan = result.plan
    name = plan.base.fields.get("name")
    points = _count(plan.planned, "point")
    if len(plan.points) < plan.planned:
        points = f"{len(plan.points):,} of {points}"
    return f"{name}: {points} x {_count(plan.repeats, 'repeat')}, medians"


def _shown(result: SweepResult) -> Sequence[Point]:
    if len(result.points) <= _MOST_POINTS:
        return result.points
    best = [point for point in result.points if point.number in result.findings.front]
    return best[:_MOST_POINTS] or result.points[:_MOST_POINTS]


def _hidden(result: SweepResult) -> list[str]:
    more = len(result.points) - len(_shown(result))
    return [f"{_count(more, 'more point')} in points.csv"] if more else []


def _ended(point: Point, planned: int) -> str:
    finished = len(point.finished)
    if point.is_pruned:
        return "pruned"
    return str(finished) if finished == planned else f"{finished} of {planned}"


def short_names(fields: Sequence[str]) -> tuple[str, ...]:
    """Return the last part of each field where that is enough to tell it from the others."""
    last = [field.rpartition(".")[2] for field in fields]
    counts = Counter(last)
    return tuple(
        name if counts[name] == 1 else field for name, field in zip(last, fields, strict=True)
    )


def choice_lines(result: SweepResult) -> list[str]:
    """Return the best and the fastest, each told as one of so many."""
    words = {
        BEST: _best_line,
        FASTEST: lambda result, choice: f"Fastest: train {seconds_text(choice.value)} s",
        FASTEST_TO: _target_line,
    }
    return [
        f"{words[choice.finding](result, choice)}, {_of(choice, result)}"
        for choice in result.findings.choices
    ]


def _best_line(result: SweepResult, choice: Choice) -> str:
    return f"Best {result.findings.select_on} accuracy: {choice.value:.4f}"


def _target_line(result: SweepResult, choice: Choice) -> str:
    target = result.plan.configs[choice.point.number - 1].training.target_accuracy
    return f"Fastest to test accuracy {target:g}: {seconds_text(choice.value)} s"


def _of(choice: Choice, result: SweepResult) -> str:
    remark = remark_on(choice, result.findings)
    text = f"point {choice.point.number} ({choice.point.settings}); {remark}"
    if choice.finding != BEST:
        return text
    if result.findings.select_on == "test":
        return f"{text}: on new images expect less"
    accuracy = choice.point.median("test_accuracy")
    return (
        text
        if accuracy is None
        else f"{text}; its test accuracy, the only one seen: {accuracy:.4f}"
    )


def _effects_table(result: SweepResult) -> Table:
    table = Table(title="What each setting does, all else equal", title_justify="left")
    for place, column in enumerate(effect_columns(result)):
        justify: JustifyMethod = "left" if place < _WORDS_FIRST else "right"
        table.add_column(column, justify=justify, overflow="fold")  # cut, two values look alike
    for cells in effect_cells(result):
        table.add_row(*cells)
    return table


def effect_columns(result: SweepResult) -> tuple[str, ...]:
    """Return the headings of what each setting does."""
    name = f"{result.findings.select_on.capitalize()} accuracy"
    return ("Setting", "From", "To", "Pairs", "Train time", _INTERVAL, name, _INTERVAL)


def effect_cells(result: SweepResult) -> list[tuple[str, ...]]:
    """Return what each setting does, a row for each of its values."""
    rows: dict[tuple[str, str, str], dict[str, Effect]] = {}
    for effect in result.findings.effects:
        rows.setdefault((effect.field, effect.base, effect.value), {})[effect.finding] = effect
    names = dict(zip(result.plan.fields, short_names(result.plan.fields), strict=True))
    cells = list[tuple[str, ...]]()
    for (field, base, value), effects in list(rows.items())[:_MOST_EFFECTS]:
        time, accuracy = effects.get(TRAIN_RATIO), effects.get(ACCURACY_DIFFERENCE)
        pairs = str(max(effect.pairs for effect in effects.values()))
        cells.append(
            (names[field], base, value, pairs, *_time_cells(time), *_accuracy_cells(accuracy))
        )
    return cells


def _time_cells(effect: Effect | None) -> tuple[str, str]:
    if effect is None:
        return "", ""
    if effect.low is None or effect.high is None:
        return change_text(effect.estimate), "too few to tell"
    return change_text(effect.estimate), interval_text(effect.low, effect.high)


def _accuracy_cells(effect: Effect | None) -> tuple[str, str]:
    if effect is None:
        return "", ""
    if effect.low is None or effect.high is None:
        return f"{effect.estimate:+.4f}", "too few to tell"
    return f"{effect.estimate:+.4f}", f"{effect.low:+.4f} to {effect.high:+.4f}"


def effect_lines(result: SweepResult) -> list[str]:
    """Return how well the training scales, and which settings nothing can be told of."""
    if result.plan.search is not None:
        return []
    scalings = scalings_of(result.points, result.plan.fields)
    return [*(each.text for each in scalings), *_untold(result)]


def _untold(result: SweepResult) -> list[str]:
    told = {effect.field for effect in result.findings.effects}
    untold = [field for field in result.plan.fields if field not in told]
    if not result.ended or not untold:
        return []
    return [f"No two points that were measured differ in one of these alone: {', '.join(untold)}"]


def state_lines(result: SweepResult) -> list[str]:
    """Return what a reader must know beside: failed, contended and missing repeats, the folder."""
    lines = []
    made_up = next((c for c in result.plan.configs if c.dataset.source == SYNTHETIC), None)
    if made_up is not None:
        lines.append(f"Data: synthetic; its accuracy is not that of {made_up.facts.title}")
    lines += _search_lines(result)
    if result.failed:
        lines.append(
            f"A repeat did not finish of {_numbers(result.failed)}: see log.txt of its folder"
        )
    contended = sum(repeat.contended for point in result.points for repeat in point.repeats)
    if contended:
        lines.append(f"{contended} of {result.ended} repeats were contended: see metrics.csv")
    if result.machines:
        lines.append(result.machines)
    if not result.is_whole:
        lines += _missing_lines(result)
    return [*lines, f"Files: {result.folder}"]


def _search_lines(result: SweepResult) -> list[str]:
    """Return what chose the points, and how many of them were not measured whole."""
    search, pruned = result.plan.search, len(result.pruned)
    if search is None:
        return []
    lines = [f"Each point was chosen by those before it: {search.text}"]
    if pruned:
        lines.append(
            f"{pruned} of {_count(len(result.points), 'point')} were pruned: a part of a training "
            "is no measurement, and in no figure"
        )
    return lines


def _missing_lines(result: SweepResult) -> list[str]:
    reasons = {
        "time-is-up": "Time is up", "stopped": "Stopped", "interrupted": "Interrupted",
        "running": "It is running", "planned": "It is not running", "finished": "Not whole",
        "detached": "It goes on",
    }  # fmt: skip
    line = f"{reasons[result.ending]}: {_what_is_there(result)}"
    lines = [line]
    if result.ending == "running":
        lines = [f"{line}; {_left(result)}", *_task_lines(result)]
    if result.uncollected:
        have = "has" if result.uncollected == 1 else "have"
        lines.append(
            f"{_count(result.uncollected, 'task')} {have} ended and can be collected: "
            f"mnistbench sweep collect {result.folder}"
        )
    if result.ending == "running":
        return lines
    return [*lines, f"To go on: mnistbench sweep --resume {result.folder}"]


def _what_is_there(result: SweepResult) -> str:
    if result.plan.search is not None:
        done = len(result.points) - len(result.missing)
        return f"{done} of {_count(result.plan.planned, 'point')} are done"
    ended = f"{result.ended} of {result.plan.turns} repeats have ended"
    return f"{ended}; missing are repeats of {_numbers(result.missing)}"


def _task_lines(result: SweepResult) -> list[str]:
    """Return what was given away and has not ended: how many, and of some where or why."""
    words = {"waits": "Waiting", "runs": "Running"}
    lines = []
    for state, word in words.items():
        tasks = [task for task in result.tasks.values() if task.state == state]
        if tasks:
            details = dict.fromkeys(task.details for task in tasks if task.details)
            shown = ", ".join([*details][:_MOST_NAMED])
            lines.append(
                f"{word}: {_count(len(tasks), 'point')}, from job {tasks[0].job}"
                + (f": {shown}" if shown else "")
            )
    return lines


def _left(result: SweepResult) -> str:
    seconds = result.expected_seconds
    return (
        "how long they take is not known yet"
        if seconds is None
        else f"about {duration(seconds)} left"
    )


def _numbers(points: Sequence[Point]) -> str:
    numbers = ", ".join(str(point.number) for point in points[:_MOST_NAMED])
    more = len(points) - _MOST_NAMED
    noun = "point" if len(points) == 1 else "points"
    return f"{noun} {numbers}{f' and {more} more' if more > 0 else ''}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
