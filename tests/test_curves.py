"""What each epoch taught: of runs whose metrics have its validation, and of those before."""

from __future__ import annotations

from pathlib import Path

from hand_written_runs import NOISE, times, write_run

from mnistbench.results.curves import load_curves
from mnistbench.results.rows import HistoryRow, to_csv
from mnistbench.results.tables import HISTORY


def test_validation_is_taken_once_from_metrics_else_from_the_history(tmp_path: Path) -> None:
    seconds = {"train": times(1.0, NOISE)}
    count = len(seconds["train"])
    newer, older = tmp_path / "newer", tmp_path / "older"
    write_run(newer, seconds, metrics={
        "epoch_1_validation_loss": ([0.5] * count, ""), "epoch_1_train_loss": ([0.7] * count, ""),
    })  # fmt: skip
    write_run(older, seconds, metrics={"epoch_1_train_loss": ([0.8] * count, "")})
    for folder, loss in ((newer, 0.4), (older, 0.25)):
        row = HistoryRow(1, 0.7, 0.9, loss, None, None, 1.0, None)
        (folder / HISTORY).write_text(to_csv([row], HistoryRow), encoding="utf-8")
    found = {each.figure: (each.n, each.low, each.high) for each in load_curves([newer, older])}
    assert found == {
        "train_loss": (2 * count, 0.7, 0.8), "validation_loss": (count + 1, 0.25, 0.5),
    }  # fmt: skip
