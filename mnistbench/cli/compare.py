"""`mnistbench compare`: is NEW slower than BASE?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mnistbench.cli import options
from mnistbench.cli.completing import complete_metrics, complete_paths, complete_phases
from mnistbench.cli.parameters import Share, Word
from mnistbench.errors import INCONCLUSIVE, NOT_COMPARABLE, OK, SLOWER

if TYPE_CHECKING:
    from mnistbench.analysis.comparison import Comparison

FAILURES = {"slower": SLOWER, "inconclusive": INCONCLUSIVE, "not-comparable": NOT_COMPARABLE}
"""What can fail and its exit code, the worst first."""


_WORSE = {"slower", "worse"}
"""Verdicts of a change for the worse: of what has a pace, and of any other metric."""
_READERS = 2


class _FailOn(click.ParamType[tuple[str, ...]]):
    """A list of what fails, by commas."""

    name = "LIST"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        words = tuple(word.strip() for word in str(value).split(",") if word.strip())
        for word in words:
            if word not in (*FAILURES, "none"):
                self.fail(f"{word!r} is none of {', '.join(FAILURES)}, none", param, ctx)
        return words


@click.command("compare")
@click.argument("base", shell_complete=complete_paths)
@click.argument("new", nargs=-1, required=True, shell_complete=complete_paths)
@click.option(
    "--margin",
    type=Share(0.0001, 1.0),
    default="5%",
    show_default=True,
    help="The smallest change of time, or of a metric, that matters.",
)
@click.option(
    "--accuracy-margin",
    type=Share(0.0, 1.0),
    default="0.5%",
    show_default=True,
    help="The loss of test accuracy above which nothing is called faster; of metrics that are "
    "shares, the smallest difference that matters.",
)
@click.option(
    "--confidence",
    type=Share(0.5, 0.9999),
    default="95%",
    show_default=True,
    help="Of the intervals, for all phases of a config together.",
)
@click.option(
    "--phase",
    "phases",
    multiple=True,
    type=Word(),
    metavar="PHASE",
    shell_complete=complete_phases,
    help="Compare this phase, several times for several; `all` for all.  [default: train and "
    "test; where neither is there, all; of runs of infer the metrics of latency and throughput]",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    type=Word(),
    metavar="NAME",
    shell_complete=complete_metrics,
    help="Compare this number of metrics.csv, as peak_rss_bytes or test_accuracy; several times "
    "for several. Then phases only with --phase.",
)
@options.format_of("compare")
@click.option(
    "--fail-on",
    type=_FailOn(),
    default="slower,inconclusive,not-comparable",
    show_default=True,
    help="What ends in an exit code that is not 0; `none` for nothing.",
)
@click.option(
    "--without-contended",
    is_flag=True,
    help="Leave out repeats that something else on the machine disturbed, by their evidence.",
)
@click.option("--force", is_flag=True, help="Compare even what was measured on different data.")
@options.verbose
def command(
    base: str, new: tuple[str, ...], margin: float, accuracy_margin: float, confidence: float,
    phases: tuple[str, ...], metrics: tuple[str, ...], output_format: str, fail_on: tuple[str, ...],
    without_contended: bool, force: bool, verbose: bool,
) -> int:  # fmt: skip
    """Say of each NEW whether it is faster or slower than BASE, the same, or not to be told.

    BASE and NEW are run folders, folders of them, timings.csv files, globs in quotes, or cloudmesh
    logs. What `mnistbench benchmark A B` measured is compared pair by pair, which is the surest.

    Exit code: 3 if any phase is slower, or any metric worse; else 5 if any config cannot be
    compared; else 4 if anything is inconclusive; else 0. Wrong input is 2. See --fail-on.
    """
    from concurrent.futures import ThreadPoolExecutor

    from mnistbench.analysis.inference import usual_metrics
    from mnistbench.analysis.sides import read_side
    from mnistbench.report.exports import export

    names = (base, *new)
    metrics = metrics if phases or metrics else usual_metrics(names)
    with ThreadPoolExecutor(_READERS) as pool:
        sides = pool.map(
            lambda name: read_side(name, phases, without_contended, metrics, _READERS), names
        )
        # Imported while the files are read: SciPy takes a third of a second.
        from mnistbench.analysis.comparison import Rules, compare_sides

        rules = Rules(margin, accuracy_margin, confidence, phases, metrics, force)
        base_side = next(sides)
        comparisons = [compare_sides(base_side, side, rules) for side in sides]
    export("compare", output_format, comparisons, rules)
    return exit_code(comparisons, fail_on)


def exit_code(comparisons: Sequence[Comparison], fail_on: Sequence[str]) -> int:
    """Return the exit code of the worst that counts: slower, not comparable, inconclusive."""
    configs = [config for comparison in comparisons for config in comparison.configs]
    verdicts: set[str] = {phase.verdict for config in configs for phase in config.phases}
    verdicts |= {metric.verdict for config in configs for metric in config.metrics}
    incomparable = any(not config.is_judged or config.incomparable for config in configs)
    incomparable |= any(not comparison.configs for comparison in comparisons)
    if verdicts & _WORSE and "slower" in fail_on:
        return SLOWER
    if incomparable and "not-comparable" in fail_on:
        return NOT_COMPARABLE
    if "inconclusive" in verdicts and "inconclusive" in fail_on:
        return INCONCLUSIVE
    return OK
