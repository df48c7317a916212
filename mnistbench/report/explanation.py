"""An explanation on the terminal: the table of the parts, their bar, and the settings tried."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, fields

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mnistbench.config.frameworks import BACKENDS
from mnistbench.machine.workloads import BYTES, FLOPS
from mnistbench.report.terminal import seconds_text
from mnistbench.report.values import seconds_text as precise_text
from mnistbench.report.values import unit_text
from mnistbench.results.rows import PartRow, SettingRow, to_csv
from mnistbench.session.explain import LEAST_REPEATS, Explanation
from mnistbench.session.one_image import OneImage
from mnistbench.session.parts import COMPUTING

_COLORS = (
    "bright_black", "bright_blue", "cyan", "white", "yellow", "green", "magenta", "red",
    "bright_yellow", "blue", "bright_green",
)  # fmt: skip
_LETTERS = "ABCDEFGHIJK"
_MANY_REPEATS = 10
_MOST_REPEATS = 100


def print_explanation(console: Console, explanation: Explanation) -> None:
    """Print where the time goes, what was tried, and what helps most."""
    console.print(_parts_table(explanation))
    console.print(_bar(explanation.parts, min(console.width, 100)))
    for line in _use(explanation):
        console.print(line, soft_wrap=True, highlight=False)
    console.print(_waited(explanation), soft_wrap=True, highlight=False)
    if explanation.one_image is not None:
        console.print(_one_image(explanation.one_image), soft_wrap=True, highlight=False)
    if explanation.trials:
        console.print(_settings_table(explanation))
    for line in _advice(explanation):
        console.print(line, soft_wrap=True, highlight=False)
    console.print(f"Files: {explanation.run.folder.path}", soft_wrap=True, highlight=False)


def as_csv(explanation: Explanation) -> str:
    """Return the parts, as explain.csv has them."""
    return to_csv(explanation.parts, PartRow)


def as_json(explanation: Explanation) -> str:
    """Return everything known of the parts and the settings."""
    content = {
        "config": explanation.run.config.model_dump(mode="json"),
        "device": explanation.run.device,
        "folders": [str(run.folder.path) for run in explanation.result.runs],
        "parts": [asdict(part) for part in explanation.parts],
        "use": asdict(explanation.use) if explanation.use else None,
        "before_the_first_phase": asdict(explanation.waited),
        "one_image": _one_image_as_json(explanation.one_image),
        "test_accuracy": explanation.accuracy,
        "settings": [asdict(trial) for trial in explanation.trials],
        "advice": [trial.setting for trial in explanation.advice],
        "not_tried": list(explanation.not_tried),
    }
    return json.dumps(content, indent=2)


def _parts_table(explanation: Explanation) -> Table:
    config = explanation.run.config
    title = f"{config.name} on {explanation.run.device}, epochs {config.training.epochs}"
    table = Table("", "Part", title=title, title_justify="left")
    for name in ("Seconds", "Share"):
        table.add_column(name, justify="right")
    table.add_column("Measured by")
    for letter, color, part in zip(_LETTERS, _COLORS, explanation.parts, strict=False):
        share = f"{part.share:.1%}"
        mark = Text(letter, style=color)
        # A difference that came out below 0 is written down as 0, and 0.0000 would claim too much.
        seconds = seconds_text(part.seconds) if part.seconds > 0 else "about 0"
        table.add_row(mark, part.part, seconds, share, part.measured_by)
    return table


def _bar(parts: Sequence[PartRow], width: int) -> Text:
    """Return one line of letters, as many of each as its share of the width."""
    bar = Text()
    begun = 0.0
    for letter, color, part in zip(_LETTERS, _COLORS, parts, strict=False):
        # Rounded from the start of the line, so that the letters add up to its width.
        cells = round((begun + part.share) * width) - round(begun * width)
        bar.append(letter * cells, style=f"{color} reverse")
        begun += part.share
    return bar


def _use(explanation: Explanation) -> list[str]:
    use = explanation.use
    if use is None:
        return []
    flops, peak = use.flops_per_second, use.peak_flops_per_second
    moved, copied = use.bytes_per_second, use.peak_bytes_per_second
    return [
        f"Computing ({_letter(explanation)}) does {unit_text(flops, FLOPS)}, {flops / peak:.1%} of "
        f"the measured matrix product ({unit_text(peak, FLOPS)}), and moves at least "
        f"{unit_text(moved, BYTES)}, {moved / copied:.1%} of the measured memory copy "
        f"({unit_text(copied, BYTES)})"
    ]


def _waited(explanation: Explanation) -> str:
    waited, title = explanation.waited, BACKENDS[explanation.run.config.backend].title
    parts = [
        ("the command itself", waited.command_seconds),
        (title, waited.framework_seconds),
        ("the machine's calibration (--no-calibrate)", waited.calibration_seconds),
        ("the first process", waited.process_seconds),
    ]
    listed = ", ".join(f"{name} {precise_text(s)}" for name, s in parts if s is not None)
    return f"Before its first phase a benchmark waits {precise_text(waited.seconds)}: {listed}"


def _one_image(one: OneImage) -> str:
    share = f"{one.share:.1%}"
    if one.low is not None and one.high is not None:
        share += f" ({one.low:.1%} to {one.high:.1%})"
    wait = ""
    if one.teardown_seconds is not None:
        title = BACKENDS[one.run.config.backend].title
        wait = (
            f"; {precise_text(one.teardown_seconds)} of it is the wait until {title} has released "
            "its pipeline"
        )
    return (
        f"A predict of one image takes {precise_text(one.predict_seconds)}, as one program "
        f"{precise_text(one.compiled_seconds)}: {share} of it is Python and what Keras sets up for "
        f"each call, not the network{wait}"
    )


def _one_image_as_json(one: OneImage | None) -> dict[str, object] | None:
    if one is None:
        return None
    figures = {field.name: getattr(one, field.name) for field in fields(one) if field.name != "run"}
    return {**figures, "folder": str(one.run.folder.path)}


def _letter(explanation: Explanation) -> str:
    return _LETTERS[[part.part for part in explanation.parts].index(COMPUTING)]


def _settings_table(explanation: Explanation) -> Table:
    table = Table("Setting", title="Tried", title_justify="left")
    for name in ("n", "Train (s)", "Times faster", "95 % interval", "Test accuracy"):
        table.add_column(name, justify="right")
    for trial in explanation.trials:
        table.add_row(
            trial.setting,
            str(trial.n),
            seconds_text(trial.train_seconds),
            f"{trial.times_faster:.2f}",
            _interval(trial),
            f"{trial.test_accuracy:.4f}",
        )
    table.caption = f"as it is: test accuracy {explanation.accuracy:.4f}"
    return table


def _interval(trial: SettingRow) -> str:
    if trial.low is None or trial.high is None:
        return "too few to tell"
    return f"{trial.low:.2f} to {trial.high:.2f}"


def _advice(explanation: Explanation) -> list[str]:
    lines = [
        f"Faster: --set {trial.setting.replace(' ', ' --set ')}: the train phase "
        f"{trial.times_faster:.2f} times faster ({_interval(trial)}), "
        f"test accuracy {trial.test_accuracy:.4f} against {explanation.accuracy:.4f}"
        for trial in explanation.advice
    ]
    if not lines and explanation.trials:
        lines = [_doubt(explanation)]
    if explanation.untold:
        more = f": --repeats {_MANY_REPEATS}" if explanation.repeats < _MANY_REPEATS else ""
        names = _list(explanation.untold)
        lines.append(f"Not told apart from 0 in {_of(explanation.repeats)}: {names}{more}")
    return lines + [f"Not tried: {reason}" for reason in explanation.not_tried]


def _doubt(explanation: Explanation) -> str:
    """Return why nothing is advised, and the repeats that would tell."""
    if explanation.repeats < LEAST_REPEATS:
        are = "is" if explanation.repeats == 1 else "are"
        few = f"{_of(explanation.repeats)} {are} too few"
        return f"{few} to tell whether a setting is faster: --repeats 5"
    text = "No setting that was tried is faster beyond doubt"
    likely = next((trial for trial in explanation.trials if trial.times_faster > 1), None)
    needed = None if likely is None else _repeats_needed(likely)
    if likely is None or needed is None:
        return text
    if needed > _MOST_REPEATS:
        return f"{text}; more than {_MOST_REPEATS} repeats would be needed for {likely.setting}"
    return f"{text}; to tell of {likely.setting} takes about --repeats {needed}"


def _repeats_needed(trial: SettingRow) -> int | None:
    """Return the repeats whose interval would just exclude 1, if the figures stayed as they are."""
    if trial.low is None or trial.low <= 0:
        return None
    width, change = math.log(trial.times_faster / trial.low), math.log(trial.times_faster)
    ratio = min(width / change, 1000.0) if change else 1000.0
    return max(trial.n + 1, math.ceil(trial.n * ratio**2))


def _of(repeats: int) -> str:
    return "1 repeat" if repeats == 1 else f"{repeats} repeats"


def _list(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
