"""A model's test, and its guesses of a user's pictures, as people and programs read them."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from mnistbench.report.console import remarks_on, timing_table
from mnistbench.report.summary import contention_text, json_value, phase_summaries
from mnistbench.results.rows import ClassRow, GuessRow, to_csv
from mnistbench.session.evaluate import Evaluation, EvaluationPlan, GuessedImages


def print_evaluation(console: Console, evaluation: Evaluation, plan: EvaluationPlan) -> None:
    """Print times, loss, accuracy and the figures of each class, and the folder."""
    run = evaluation.run
    console.print(timing_table(run))
    console.print(_class_table(evaluation))
    which = "Test" if plan.split == "test" else "Training"
    console.print(f"{which} loss: {evaluation.loss:.4f}", highlight=False)
    console.print(f"{which} accuracy: {evaluation.accuracy:.1%}", highlight=False)
    lines = (f"The model {remark}" for remark in evaluation.remarks)
    for line in filter(None, (*lines, *remarks_on(run), contention_text(run))):
        console.print(line, soft_wrap=True, highlight=False)
    console.print(f"Files: {run.folder.path}", soft_wrap=True, highlight=False)


def as_csv(evaluation: Evaluation, plan: EvaluationPlan) -> str:
    """Return the figures of each class."""
    return to_csv(evaluation.classes, ClassRow)


def as_json(evaluation: Evaluation, plan: EvaluationPlan) -> str:
    """Return everything that was found."""
    run = evaluation.run
    content = {
        "folder": str(run.folder.path),
        "model": str(plan.model),
        "split": plan.split,
        "loss": json_value(evaluation.loss),
        "accuracy": evaluation.accuracy,
        "remarks": list(evaluation.remarks),
        "classes": [asdict(row) for row in evaluation.classes],
        "phases": [asdict(summary) for summary in phase_summaries(run)],
    }
    return json.dumps(content, indent=2, allow_nan=False)


def guesses_as_text(guessed: GuessedImages) -> str:
    """Return a line for each picture, and the folder."""
    lines = [f"{row.file}: guess {row.guess}, probability {row.probability:.3f}"
             for row in guessed.rows]  # fmt: skip
    return "\n".join([*lines, f"Files: {guessed.folder}"])


def guesses_as_csv(guessed: GuessedImages) -> str:
    """Return the rows of guesses.csv."""
    return to_csv(guessed.rows, GuessRow)


def guesses_as_json(guessed: GuessedImages) -> str:
    """Return the guesses, and which pictures were passed over and why."""
    content = {
        "folder": str(guessed.folder),
        "guesses": [asdict(row) for row in guessed.rows],
        "passed_over": list(guessed.problems),
        "remarks": list(guessed.remarks),
    }
    return json.dumps(content, indent=2, allow_nan=False)


def _class_table(evaluation: Evaluation) -> Table:
    table = Table("Class", title="By class", title_justify="left")
    for name in ("Precision", "Recall", "F1", "Support"):
        table.add_column(name, justify="right")
    for row in evaluation.classes:
        shares = ("" if s is None else f"{s:.4f}" for s in (row.precision, row.recall, row.f1))
        table.add_row(row.name, *shares, str(row.support))
    return table
