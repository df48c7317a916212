"""The public Python API, as a notebook would use it."""

import importlib.util
import json
import subprocess
import sys

import pytest
from conftest import FEW, HEAVY, run_here
from hand_written_runs import compare, times, write_run

import mnistbench
from mnistbench import compare_results, load_config, read_results, run_benchmark

SETTINGS = FEW[1::2]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    events = []
    config = load_config("mnist-dense", SETTINGS)
    output = tmp_path_factory.mktemp("api")
    found = run_benchmark(
        config, repeats=2, output=output, tag="<script>", calibrate=False, progress=events.append
    )
    assert events
    return found


def test_a_benchmark_gives_what_its_folder_holds(results):
    assert len(results.folders) == 1
    assert results == read_results(results.folders[0].parent)
    assert len(results.seconds("train")) == len(results.seconds("test", "mnist-dense")) == 2
    assert results.seconds("train", "another") == []
    assert all(seconds > 0 for seconds in results.seconds())
    assert results.failures == ()
    assert {row.tag for row in results.timings} == {"<script>"}


def test_frames_have_the_rows_and_columns_of_the_tables(results):
    timings = results.frame("timings")
    assert len(timings) == len(results.timings)
    assert timings.groupby("phase")["seconds"].count()["train"] == 2
    accuracy = results.frame("metrics").query("metric == 'test_accuracy'")["value"]
    assert list(accuracy.astype(float).between(0, 1)) == [True, True]
    assert set(results.frame("machine").columns) == {"run_id", "attribute", "value"}
    with pytest.raises(mnistbench.InputError, match="no table 'peak'"):
        results.frame("peak")


def test_an_interpreter_measures_with_two_backends_one_after_the_other(results, tmp_path):
    if importlib.util.find_spec("jax") is None:
        pytest.skip("needs jax")
    config = load_config("mnist-dense", [*SETTINGS, "backend=jax"])
    other = run_benchmark(
        config, repeats=1, warmup=0, output=tmp_path, calibrate=False, progress=lambda event: None
    )
    assert {row.backend for row in other.timings} == {"jax"}
    assert {row.backend for row in results.timings} == {"tensorflow"}


def test_it_says_what_the_command_says(tmp_path):
    base = write_run(tmp_path / "base", {"train": times(10.0), "test": times(1.0)})
    new = write_run(tmp_path / "new", {"train": times(13.0), "test": times(1.0)})
    found = compare_results(base, new)
    _, text, _ = compare(base, new, "--format", "json")
    said = json.loads(text)["comparisons"][0]["configs"][0]["phases"]
    assert found.verdicts == {("mnist-dense", one["phase"]): one["verdict"] for one in said}
    assert found.verdicts["mnist-dense", "train"] == "slower"
    frame = found.frame().set_index("phase_or_metric")
    assert frame.loc["train", "change"] == pytest.approx(said[0]["ratio"])
    assert found.markdown().splitlines()[0].startswith("**BASE")
    again = compare_results(read_results(base), read_results(new), metrics=["test_accuracy"])
    assert again.verdicts == {("mnist-dense", "test_accuracy"): "same"}


def test_a_notebook_shows_tables_in_which_text_is_text(tmp_path):
    base = write_run(tmp_path / "base", {"train": times(10.0)}, session="one")
    for folder in (base, write_run(tmp_path / "new", {"train": times(10.0)}, session="one")):
        table = folder / "timings.csv"
        table.write_text(table.read_text().replace("mnist-dense", "<script>alert(1)</script>"))
    for shown in (read_results(base), compare_results(base, tmp_path / "new")):
        page = shown._repr_html_()
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "<script" not in page


def test_a_notebook_tells_a_share_in_points_and_a_size_as_more_or_less(tmp_path):
    size = {"peak_rss_bytes": ([1e9] * 10, "bytes")}
    more = {"peak_rss_bytes": ([2e9] * 10, "bytes")}
    base = write_run(tmp_path / "base", {"train": times(10.0)}, metrics=size, accuracy=0.9)
    new = write_run(tmp_path / "new", {"train": times(10.0)}, metrics=more, accuracy=0.8)
    names = ["test_accuracy", "peak_rss_bytes"]
    page = compare_results(base, new, metrics=names)._repr_html_()
    assert "<td>test_accuracy</td><td>-10.00 points</td>" in page
    assert "<td>peak_rss_bytes</td><td>2.00x more</td>" in page


def test_what_is_wrong_is_an_input_error(tmp_path):
    with pytest.raises(mnistbench.InputError, match=r"no timings\.csv"):
        read_results(tmp_path)
    with pytest.raises(mnistbench.InputError, match="no results were named"):
        read_results()
    with pytest.raises(mnistbench.InputError, match="no config to measure"):
        run_benchmark([])
    with pytest.raises(mnistbench.InputError, match="batch_size"):
        load_config("mnist-dense", ["training.batch_size=0"])
    with pytest.raises(AttributeError, match="no attribute 'trane'"):
        _ = mnistbench.trane


def test_reading_and_comparing_import_no_framework(tmp_path):
    base = write_run(tmp_path / "base", {"train": times(10.0)})
    new = write_run(tmp_path / "new", {"train": times(10.0)})
    code = (
        "import sys, mnistbench; mnistbench.compare_results(*sys.argv[1:]); "
        "mnistbench.read_results(sys.argv[1]); "
        f"print({HEAVY} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, base, new], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_the_command_reads_no_more_for_it():
    code = "import sys, mnistbench; print('mnistbench.api' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert run_here("--version").returncode == 0
