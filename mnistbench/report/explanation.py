"""An explanation on the terminal: the table of the parts, their bar, and the settings tried."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mnistbench.machine.workloads import BYTES, FLOPS
from mnistbench.report.peak import rate_text
from mnistbench.report.terminal import seconds_text
from mnistbench.results.rows import PartRow, SettingRow, to_csv
from mnistbench.session.explain import COMPUTING, Explanation

_COLORS = (
    "bright_black", "bright_blue", "cyan", "white", "yellow", "green", "magenta", "red",
    "bright_yellow", "blue",
)  # fmt: skip
_LETTERS = "ABCDEFGHIJ"


def print_explanation(console: Console, found: Explanation) -> None:
    """Print where the time goes, what was tried, and what helps most."""
    console.print(_parts_table(found))
    console.print(_bar(found.parts, min(console.width, 100)))
    for line in _use(found):
        console.print(line, soft_wrap=True, highlight=False)
    if found.trials:
        console.print(_settings_table(found))
    for line in _advice(found):
        console.print(line, soft_wrap=True, highlight=False)
    console.print(f"Files: {found.run.folder.path}", soft_wrap=True, highlight=False)


def as_csv(found: Explanation) -> str:
    """Return the parts, as explain.csv has them."""
    return to_csv(found.parts, PartRow)


def as_json(found: Explanation) -> str:
    """Return everything known of the parts and the settings."""
    content = {
        "config": found.run.config.model_dump(mode="json"),
        "device": found.run.device,
        "folders": [str(run.folder.path) for run in found.result.runs],
        "parts": [asdict(part) for part in found.parts],
        "use": asdict(found.use) if found.use else None,
        "test_accuracy": found.accuracy,
        "settings": [asdict(trial) for trial in found.trials],
        "advice": [trial.setting for trial in found.advice],
        "not_tried": list(found.not_tried),
    }
    return json.dumps(content, indent=2)


def _parts_table(found: Explanation) -> Table:
    config = found.run.config
    title = f"{config.name} on {found.run.device}, epochs {config.training.epochs}"
    table = Table("", "Part", title=title, title_justify="left")
    for name in ("Seconds", "Share"):
        table.add_column(name, justify="right")
    table.add_column("Measured by")
    for letter, color, part in zip(_LETTERS, _COLORS, found.parts, strict=False):
        share = f"{part.share:.1%}"
        mark = Text(letter, style=color)
        table.add_row(mark, part.part, seconds_text(part.seconds), share, part.measured_by)
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


def _use(found: Explanation) -> list[str]:
    use = found.use
    if use is None:
        return []
    flops, peak = use.flops_per_second, use.peak_flops_per_second
    moved, copied = use.bytes_per_second, use.peak_bytes_per_second
    return [
        f"Computing ({_letter(found)}) does {rate_text(flops, FLOPS)}, {flops / peak:.1%} of the "
        f"measured matrix product ({rate_text(peak, FLOPS)}), and moves at least "
        f"{rate_text(moved, BYTES)}, {moved / copied:.1%} of the measured memory copy "
        f"({rate_text(copied, BYTES)})"
    ]


def _letter(found: Explanation) -> str:
    return _LETTERS[[part.part for part in found.parts].index(COMPUTING)]


def _settings_table(found: Explanation) -> Table:
    table = Table("Setting", title="Tried", title_justify="left")
    for name in ("n", "Train (s)", "Times faster", "95 % interval", "Test accuracy"):
        table.add_column(name, justify="right")
    for trial in found.trials:
        table.add_row(
            trial.setting,
            str(trial.n),
            seconds_text(trial.train_seconds),
            f"{trial.times_faster:.2f}",
            _interval(trial),
            f"{trial.test_accuracy:.4f}",
        )
    table.caption = f"as it is: test accuracy {found.accuracy:.4f}"
    return table


def _interval(trial: SettingRow) -> str:
    if trial.low is None or trial.high is None:
        return "unknown"
    return f"{trial.low:.2f} to {trial.high:.2f}"


def _advice(found: Explanation) -> list[str]:
    lines = [
        f"Faster: --set {trial.setting.replace(' ', ' --set ')}: the train phase "
        f"{trial.times_faster:.2f} times faster ({_interval(trial)}), "
        f"test accuracy {trial.test_accuracy:.4f} against {found.accuracy:.4f}"
        for trial in found.advice
    ]
    if not lines:
        lines = ["No setting that was tried is faster beyond doubt; --repeats makes doubt smaller"]
    return lines + [f"Not tried: {reason}" for reason in found.not_tried]
