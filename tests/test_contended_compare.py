"""What `compare` makes of contended repeats and of runs that drifted, on runs written by hand."""

from __future__ import annotations

import json
from pathlib import Path

from hand_written_runs import OTHER_NOISE, compare, times, verdicts, write, write_run

from mnistbench.results.rows import MachineRow, MetricRow, to_csv


def mark(folder: Path, *repeats: int) -> Path:
    """Mark some of ten repeats as contended, as `benchmark` does."""
    rows = [
        MetricRow(folder.name, number, "contended", number in repeats, "")
        for number in range(1, 11)
    ]
    file = folder / "metrics.csv"
    write(file, file.read_text() + to_csv(rows))
    return folder


def two_runs(tmp_path: Path) -> tuple[Path, Path]:
    """Equal runs, but three repeats of NEW were disturbed and took 3 times as long."""
    new = times(4.0, OTHER_NOISE)
    new[1:4] = [3 * seconds for seconds in new[1:4]]
    return (
        write_run(tmp_path / "base", {"train": times(4.0)}, session="s"),
        mark(write_run(tmp_path / "new", {"train": new}, session="s"), 2, 3, 4),
    )


def test_all_repeats_are_counted_and_the_contended_told(tmp_path: Path) -> None:
    base, new = two_runs(tmp_path)
    _, wrapped, _ = compare(base, new)
    output = " ".join(wrapped.split())
    assert f"contended repeats, 3 of 10 in {new}, are counted; --without-contended" in output
    assert output.count("contended repeats") == 1
    assert verdicts(base, new)[2][0]["n_new"] == "10"


def test_without_them_their_pairs_are_left_out(tmp_path: Path) -> None:
    base, new = two_runs(tmp_path)
    code, found, rows = verdicts(base, new, "--without-contended")
    assert (code, found) == (0, {"train": "same"})
    assert (rows[0]["n_base"], rows[0]["n_new"]) == ("7", "7")
    _, output, _ = compare(base, new, "--without-contended", "--format", "json")
    [config] = json.loads(output)["comparisons"][0]["configs"]
    assert config["contended_repeats"] == {"base": 0, "new": 3}
    assert f"contended repeats, 3 of 10 in {new}, are left out" in config["notes"]


def test_nothing_is_left_where_all_were_contended(tmp_path: Path) -> None:
    base, new = two_runs(tmp_path)
    mark(base, *range(1, 11))
    code, output, error = compare(base, new, "--without-contended")
    assert (code, output) == (2, "")
    assert error.startswith(f"mnistbench: {base}: every repeat was contended; compare them without")
    assert len(error.splitlines()) == 1


def test_one_line_for_both_sides_and_no_advice_that_leaves_nothing(tmp_path: Path) -> None:
    base, new = two_runs(tmp_path)
    mark(base, *range(1, 11))
    _, wrapped, _ = compare(base, new)
    output = " ".join(wrapped.split())
    assert f"contended repeats, 10 of 10 in {base} and 3 of 10 in {new}, are counted" in output
    assert output.count("contended repeats") == 1
    assert "--without-contended" not in output


def test_numbers_of_one_run_are_not_those_of_another(tmp_path: Path) -> None:
    base, new = two_runs(tmp_path)
    both = tmp_path / "both"
    both.mkdir()
    other = write_run(both / "other", {"train": times(4.0, OTHER_NOISE)})
    assert other.is_dir()
    new.rename(both / "new")
    _, _, rows = verdicts(base, both, "--without-contended")
    assert rows[0]["n_new"] == "17"


def test_a_drift_within_a_run_is_told(tmp_path: Path) -> None:
    base, new = two_runs(tmp_path)
    for folder, p_value in ((base, "0.02"), (new, "0.003")):
        rows = [
            MachineRow(folder.name, "drift_train_ratio", "1.25"),
            MachineRow(folder.name, "drift_train_p_value", p_value),
        ]
        file = folder / "machine.csv"
        write(file, file.read_text() + to_csv(rows))
    _, wrapped, _ = compare(base, new)
    output = " ".join(wrapped.split())
    assert f"{new}: the train phase drifted in 1 of 1 runs" in output
    assert "1.25 times as long as the first" in output
    assert output.count("drifted in") == 1
