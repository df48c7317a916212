"""A network applied: latency and throughput of each way, as people and programs read them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from mnistbench.analysis.inference import AppliedSummary, summaries
from mnistbench.machine.evidence import worst_signs
from mnistbench.measuring.answers import tolerance
from mnistbench.report.console import SYNTHETIC, remarks_on
from mnistbench.report.values import seconds_text, times_text
from mnistbench.results.inference import queries_needed
from mnistbench.results.tables import INFERENCE
from mnistbench.session.infer import Inference, results_of
from mnistbench.session.records import Run

_PERCENTILES = (90, 99)


def print_inference(console: Console, inference: Inference) -> None:
    """Print each run's ways, what is to be known of them, and the folder."""
    for run in inference.runs:
        found = summaries(inference.rows_of(run))
        console.print(_table(run, found, inference))
        for line in _lines(run, found, inference):
            console.print(line, soft_wrap=True, highlight=False)
        console.print(f"Files: {run.folder.path}", soft_wrap=True, highlight=False)


def as_csv(inference: Inference) -> str:
    """Return inference.csv of every run, under one header."""
    tables = [(run.folder.path / INFERENCE).read_text("utf-8") for run in inference.runs]
    return "".join([*tables[:1], *(table.partition("\n")[2] for table in tables[1:])])


def as_json(inference: Inference) -> str:
    """Return everything that was found."""
    plan = inference.plan
    content = {
        "interrupted": inference.interrupted,
        "seconds": plan.seconds,
        "rounds": plan.repeats,
        "runs": [_run_as_json(run, inference) for run in inference.runs],
    }
    return json.dumps(content, indent=2, allow_nan=False)


def _run_as_json(run: Run, inference: Inference) -> dict[str, object]:
    model, rows = inference.subject_of(run).model, inference.rows_of(run)
    return {
        "run_id": run.run_id,
        "folder": str(run.folder.path),
        "config": run.config.model_dump(mode="json"),
        "model": None if model is None else str(model),
        "trained": model is not None,
        "device": run.device,
        "remarks": _model_remarks(run),
        "ways": [asdict(summary) for summary in summaries(rows)],
        "processes": [asdict(row) for row in rows],
        "failures": [
            {"repeat": record.turn.repeat, "status": record.status, "reason": record.reason}
            for record in inference.failures
            if record in run.repeats
        ],
        "contended_repeats": [r.turn.repeat for r in run.repeats if r.is_contended],
    }


def _table(run: Run, found: Sequence[AppliedSummary], inference: Inference) -> Table:
    trained = "" if inference.subject_of(run).model else ", not trained"
    made = ", synthetic data" if run.identity.source == SYNTHETIC else ""
    title = f"{run.config.name} on {run.device} ({run.config.backend}){trained}{made}"
    table = Table("Execution", title=title, title_justify="left")
    headers = ("Batch", "n", "Queries", "Median", "p90", "p99", "Images/s", "Times predict")
    for name in headers:
        table.add_column(name, justify="right")
    for each in found:
        times = (each.latency_seconds, each.latency_p90_seconds, each.latency_p99_seconds)
        table.add_row(
            each.execution,
            str(each.batch_size),
            str(each.n),
            f"{each.queries:,}",
            *map(seconds_text, times),
            f"{each.samples_per_second:,.0f}",
            _faster_text(each),
        )
    table.caption = (
        f"latency of single queries, images/s offline, {inference.plan.seconds:g} s each in "
        "every process; n processes"
    )
    return table


def _faster_text(each: AppliedSummary) -> str:
    if each.times_faster is None:
        return ""
    if each.low is None or each.high is None:
        return times_text(each.times_faster)
    ends = f"{times_text(each.low)} to {times_text(each.high)}"
    return f"{times_text(each.times_faster)} ({ends})"


def _lines(run: Run, found: Sequence[AppliedSummary], inference: Inference) -> Iterable[str]:
    if inference.subject_of(run).model is None:
        yield (
            "Not trained: the weights are as drawn, which takes as long. To apply what was learnt: "
            f"mnistbench train {run.config.name}, then mnistbench infer RUN"
        )
    yield from (f"The model {remark}" for remark in _model_remarks(run))
    yield from _answers(run)
    yield from _too_few(found, inference.plan.seconds)
    yield from remarks_on(run)
    yield from _contention(run)


def _model_remarks(run: Run) -> list[str]:
    return [*dict.fromkeys(remark for result in results_of(run) for remark in result.remarks)]


def _answers(run: Run) -> list[str]:
    results = results_of(run)
    if not results:
        return []
    images = sorted({result.row.checked_images for result in results})
    count = f"{images[0]:,}" if len(images) == 1 else f"{images[0]:,} to {images[-1]:,}"
    largest = max(result.row.largest_difference for result in results)
    allowed = max(tolerance(result.precision, result.device) for result in results)
    return [
        f"Answers are those of evaluate, on {count} images in each process: probabilities differ "
        f"by {largest:.1g} at most, {allowed:g} is allowed"
    ]


def _too_few(found: Sequence[AppliedSummary], seconds: float) -> list[str]:
    """Return which percentiles the queries were too few for, and what would be enough."""
    lines = []
    for percentile in _PERCENTILES:
        needed = queries_needed(percentile)
        lacking = [each for each in found if each.queries < needed]
        if not lacking:
            continue
        names = "everywhere"
        if len(lacking) < len(found):
            names = ", ".join(f"{each.execution} at {each.batch_size}" for each in lacking)
        enough = max(needed / each.queries for each in lacking) * seconds
        lines.append(
            f"p{percentile} takes {needed} queries in one process; too few: {names}: "
            f"--seconds {math.ceil(1.2 * enough)}"
        )
    return lines


def _contention(run: Run) -> list[str]:
    marked = [record for record in run.repeats if record.is_contended]
    if not marked:
        return []
    signs = "; ".join(worst_signs([record.metrics for record in marked]))
    return [
        f"{len(marked)} of {len(run.repeats)} processes contended: {signs}: measure again when the "
        "machine is quieter"
    ]
