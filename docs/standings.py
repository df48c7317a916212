"""The page of the published results and its chart: what lies below results/, row by row.

make docs
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from mnistbench.analysis.lessons import LESSONS
from mnistbench.analysis.submission import Submission, examine, machine_in_words
from mnistbench.config.frameworks import BACKENDS
from mnistbench.config.loading import load_config
from mnistbench.results.phases import TEST, TOTAL, TRAIN
from mnistbench.results.tables import METRICS, TIMINGS

RESULTS = Path(__file__).parents[1] / "results"
CHART = "train-seconds-{}.svg"
THEMES = {"light": ("#ffffff", "#1f2328", "#d0d7de"), "dark": ("#0d1117", "#e6edf3", "#3d444d")}
"""Background, ink and grid."""
_COLORS = {
    "light": ("#0a5aa8", "#b34a00", "#1a7f37", "#8250df", "#9a6700", "#0b7285", "#b8322c"),
    "dark": ("#6cb6ff", "#f0883e", "#56d364", "#d2a8ff", "#e3b341", "#56d4dd", "#ff7b72"),
}
_LESSON_COLOR = "#808890"

CONFIGS = tuple(LESSONS)
LESSON, VM, PEERS = "lesson-2019-colab", "two-core-cloud-vm", "two-core-cloud-vm-peers"
_BUSY = "a busy machine: other programs used both of its cores"
_BY_PEERS = "by `benchmarks/peers.py`, not `mnistbench benchmark`: the train phase alone"


@dataclass
class Measured:
    """One config in one row."""

    train: list[float]
    """Seconds of each finished repeat, as the next two."""
    test: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    contended: int | None = None
    """Repeats that something else disturbed; None if that is unknown."""
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Key:
    """What a row is of: repeats that agree in it are told together."""

    machine: str
    """Its folder below results/."""
    date: str
    execution: str
    framework: str
    """With its version."""
    device: str


@dataclass
class Row:
    """One machine on one day, in one execution and with one framework."""

    key: Key
    words: str
    """The machine."""
    remark: str = ""
    """On all of it."""
    configs: dict[str, Measured] = field(default_factory=dict)


def rows_of(results: Path = RESULTS) -> list[Row]:
    """Return the lessons' row, those of the reference runs, and those that were submitted."""
    reference = results / "reference"
    rows = [_lesson(reference / LESSON)]
    rows += _runs(sorted((reference / VM).glob(f"*/{TIMINGS}")), results, _BUSY)
    rows += [_peers(reference / PEERS, rows[-1])]
    rows += _runs(sorted((results / "machines").glob(f"*/*/*/{TIMINGS}")), results, "")
    return rows


def _runs(files: Iterable[Path], results: Path, remark: str) -> list[Row]:
    rows: dict[Key, Row] = {}
    for file in files:
        run = examine(file.parent)
        facts = run.facts
        below = file.relative_to(results).parts
        key = Key(
            "/".join(below[:2]), facts["started_utc"][:10], run.execution, _framework(facts),
            facts.get("device", ""),
        )  # fmt: skip
        row = rows.setdefault(key, Row(key, machine_in_words(facts), remark))
        _add(row.configs, run)
    return [
        rows[key] for key in sorted(rows, key=lambda key: (key.machine, key.date, key.execution))
    ]


def _framework(facts: Mapping[str, str]) -> str:
    backend = facts["backend"]
    return f"{BACKENDS[backend].title} {facts.get(f'{backend}_version', '')}".strip()


def _add(configs: dict[str, Measured], run: Submission) -> None:
    measured = configs.setdefault(run.config.name, Measured([], contended=0))
    measured.train += run.seconds(TRAIN)
    measured.test += run.seconds(TEST)
    measured.total += run.seconds(TOTAL)
    measured.accuracies += run.accuracies
    if run.contended is None or measured.contended is None:
        measured.contended = None
    else:
        measured.contended += run.contended
    measured.remarks += [line for line in run.remarks if line not in measured.remarks]


def _lesson(folder: Path) -> Row:
    """Return the row of the timing table that the benchmark lesson prints."""
    timings = _table(folder / TIMINGS)
    first = timings[0]
    seconds = {row["phase"]: [float(row["seconds"])] for row in timings}
    accuracies = [
        float(row["value"]) for row in _table(folder / METRICS) if row["metric"] == "test_accuracy"
    ]
    key = Key(f"reference/{folder.name}", first["start_utc"][:10], "fit", "TensorFlow", "")
    measured = Measured(seconds[TRAIN], seconds[TEST], [], accuracies)
    remark = "as the benchmark lesson prints it; its TensorFlow and processor are not told"
    return Row(key, "Google Colab, 2 threads", remark, {first["config"]: measured})


def _peers(folder: Path, like: Row) -> Row:
    """Return what `fused` took beside its peers, of configs at their own epochs and images."""
    key = Key(f"reference/{folder.name}", like.key.date, "fused", like.key.framework, "cpu")
    row = Row(key, like.words, f"{_BUSY}; {_BY_PEERS}")
    for config in CONFIGS:
        epochs = str(load_config(config).training.epochs)
        found = [
            outcome
            for file in sorted(folder.glob("*.csv"))
            for outcome in _table(file)
            if (outcome["config"], outcome["peer"], outcome["epochs"], outcome["status"])
            == (config, "fused-tensorflow", epochs, "ok")
            and not outcome["train_samples"]
        ]
        if found:
            row.configs[config] = Measured(
                [float(outcome["train_seconds"]) for outcome in found],
                accuracies=[float(outcome["accuracy"]) for outcome in found],
            )
    return row


def _table(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


HEAD = """# Results

Generated by `make docs` from the files in these folders; `mnistbench submit` adds yours: [docs/submit.md](../docs/submit.md).
Runs of `mnistbench benchmark` land here too, a folder each ([docs/results.md](../docs/results.md)); Git ignores those.

<picture>
  <source media="(prefers-color-scheme: dark)" srcset="train-seconds-dark.svg">
  <img alt="Seconds of the train phase of each config, by machine and execution; the tables below say the same" src="train-seconds-light.svg">
</picture>

## Train phase

Seconds, the median over n finished repeats (n in brackets), of the seven configs as they ship, at their own epochs, in Keras's
`fit` and in `fused`. Empty: nobody measured it. In italics: fewer than five repeats, or a busy machine; such a figure says
little. Rows differ in machine, day and versions, so that a difference between two of them is a hint and no verdict:
`mnistbench compare results/MACHINE/DATE results/OTHER/DATE` gives one, with its interval and with what differs.
"""  # noqa: E501


def page(rows: Sequence[Row]) -> str:
    """Return results/README.md."""
    lines = [HEAD, *_train_table(rows), "", *_notes(rows), *_lessons(), "## Every figure", ""]
    lines += [_EVERY, *_every_table(rows)]
    return "\n".join(lines) + "\n"


_EVERY = """Medians over n finished repeats; of the train phase also the shortest and the longest. Disturbed: repeats beside which
other programs, or the host, took a share of the processor ([docs/contention.md](../docs/contention.md)); empty where that is
unknown.
"""  # noqa: E501


def _train_table(rows: Sequence[Row]) -> list[str]:
    names = ["machine", "date", "execution", "with", *(f"`{config}`" for config in CONFIGS)]
    lines = [_line([*names]), _line(["---"] * 4 + ["---:"] * len(CONFIGS))]
    for number, row in enumerate(rows, 1):
        cells = [_train_cell(row, config) for config in CONFIGS]
        lines.append(_line([f"{_link(row)} ({number})", row.key.date, *_how(row), *cells]))
    return lines


def _how(row: Row) -> tuple[str, str]:
    gpu = " on a GPU" if row.key.device == "gpu" else ""
    return f"`{row.key.execution}`", row.key.framework + gpu


def _link(row: Row) -> str:
    place = row.key.machine
    return f"[{row.words}]({place})"


def _train_cell(row: Row, config: str) -> str:
    measured = row.configs.get(config)
    if measured is None:
        return ""
    text = f"{_seconds(measured.train)} ({len(measured.train)})"
    return f"*{text}*" if len(measured.train) < 5 or row.remark.startswith(_BUSY) else text


def _notes(rows: Sequence[Row]) -> list[str]:
    lines = []
    for number, row in enumerate(rows, 1):
        by_remark: dict[str, list[str]] = {}
        for config, measured in row.configs.items():
            for remark in measured.remarks:
                by_remark.setdefault(remark, []).append(config)
        told = [row.remark] if row.remark else []
        for remark, configs in by_remark.items():
            everywhere = len(configs) == len(row.configs)
            told.append(remark if everywhere else f"{', '.join(configs)}: {remark}")
        if told:
            lines.append(f"{number}. {row.key.machine}: {'; '.join(told)}.")
    return [*_renumbered(lines), ""]


def _renumbered(lines: Sequence[str]) -> list[str]:
    """Return lines that no Markdown numbers anew."""
    return [f"- ({line.replace('. ', ') ', 1)}" for line in lines]


def _lessons() -> list[str]:
    """Return what the other lessons print of their times, on Colab in the years around 2019."""
    lines = [
        "What the lessons themselves print of their times, which no table of theirs holds:",
        "",
    ]
    for config, report in LESSONS.items():
        if config != "mnist-dense" and report.seconds:
            told = ", ".join(f"`{name}` {value:g} s" for name, value in report.seconds.items())
            lines.append(f"- `{config}` ({report.lesson}): {told}. {' '.join(report.notes)}")
    return [*lines, ""]


def _every_table(rows: Sequence[Row]) -> list[str]:
    names = [
        "config", "machine", "date", "execution", "with", "n", "disturbed", "train s", "shortest",
        "longest", "test s", "total s", "accuracy",
    ]  # fmt: skip
    lines = [_line(names), _line(["---"] * 5 + ["---:"] * (len(names) - 5))]
    for config in CONFIGS:
        for row in rows:
            measured = row.configs.get(config)
            if measured is not None:
                lines.append(_line([f"`{config}`", row.words, row.key.date, *_how(row),
                                    *_figures(measured)]))  # fmt: skip
    return lines


def _figures(measured: Measured) -> list[str]:
    accuracy = f"{median(measured.accuracies):.4f}" if measured.accuracies else ""
    return [
        str(len(measured.train)),
        "" if measured.contended is None else str(measured.contended),
        _seconds(measured.train),
        _seconds([min(measured.train)]),
        _seconds([max(measured.train)]),
        _seconds(measured.test),
        _seconds(measured.total),
        accuracy,
    ]


def _seconds(values: Sequence[float]) -> str:
    """Return the median with four figures; empty for none."""
    return f"{median(values):#.4g}".rstrip(".") if values else ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def chart(rows: Sequence[Row], theme: str) -> str:
    """Return the SVG: a line for each config, a mark for each row that has it, on a log axis."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    background, ink, grid = THEMES[theme]
    settings = {"svg.fonttype": "none", "svg.hashsalt": "mnistbench", "font.size": 11,
                "text.color": ink, "axes.labelcolor": ink, "xtick.color": ink,
                "ytick.color": ink, "axes.edgecolor": grid}  # fmt: skip
    with mpl.rc_context(settings):
        figure = Figure(figsize=(9, 4.8), layout="constrained", facecolor=background)
        axes = figure.add_subplot(facecolor=background)
        _draw(axes, rows, theme)
        axes.grid(color=grid, linewidth=0.6)
        text = io.StringIO()
        figure.savefig(text, format="svg", facecolor=background, metadata={"Date": None})
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _draw(axes, rows: Sequence[Row], theme: str) -> None:
    machines = list(dict.fromkeys(row.words for row in rows[1:]))
    step = 0.7 / max(len(rows), 1)
    for number, row in enumerate(rows):
        shift = (number - (len(rows) - 1) / 2) * step
        place = machines.index(row.words) % len(_COLORS[theme]) if number else 0
        color = _COLORS[theme][place] if number else _LESSON_COLOR
        marker = "X" if not number else {"fit": "o", "fused": "D"}[row.key.execution]
        for config, measured in row.configs.items():
            height = CONFIGS.index(config) + shift
            axes.plot([min(measured.train), max(measured.train)], [height] * 2, color=color)
        axes.plot(
            [median(measured.train) for measured in row.configs.values()],
            [CONFIGS.index(config) + shift for config in row.configs],
            marker, color=color, markersize=7,
            label=f"({number + 1}) {row.words}, {row.key.execution}, {row.key.date}",
        )  # fmt: skip
    axes.set_yticks(range(len(CONFIGS)), CONFIGS)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("Train phase in seconds, median, from the shortest to the longest repeat")
    axes.figure.legend(loc="outside upper left", frameon=False, fontsize=9, ncols=2)


def write(results: Path = RESULTS) -> None:
    """Write the page and its chart in both themes."""
    rows = rows_of(results)
    (results / "README.md").write_text(page(rows), encoding="utf-8")
    for theme in THEMES:
        (results / CHART.format(theme)).write_text(chart(rows, theme), encoding="utf-8")
