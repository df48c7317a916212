"""`mnistbench explain`: the parts of a config's time, and settings that were really tried."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import failure_line, rows, run_here
from PIL import Image

from mnistbench.config.loading import load_config
from mnistbench.report.explanation import _advice
from mnistbench.results.rows import PartRow, SettingRow
from mnistbench.session.explain import Explanation
from mnistbench.session.parts import UNTOLD, is_told
from mnistbench.session.settings import candidates
from mnistbench.session.waiting import Waited

WAITED = Waited(0.5, 6.0, 1.0, 0.1)
FEW = ("--set", "dataset.train_samples=2000", "--set", "dataset.test_samples=500")


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], Path]:
    output = tmp_path_factory.mktemp("explained")
    done = run_here("explain", "mnist-dense", *FEW, "--repeats", "2", "--format", "json",
               "--output", str(output))  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return told, Path(told["folders"][0])


def test_the_parts_of_fit_add_up_to_its_phases(explained: tuple[dict, Path]) -> None:
    told, folder = explained
    seconds = {part["part"]: part["seconds"] for part in told["parts"]}
    assert list(seconds) == [
        "import", "data", "preprocess", "build", "trace and compile", "compute",
        "input pipeline", "Python dispatch", "releasing the input",
        "validation and rest", "test",
    ]  # fmt: skip
    assert all(value >= 0 for value in seconds.values())
    assert sum(part["share"] for part in told["parts"]) == pytest.approx(1)
    of_train = [
        float(row["seconds"]) for row in rows(folder / "timings.csv") if row["phase"] == "train"
    ]
    inside = sum(
        seconds[name]
        for name in (
            "trace and compile", "compute", "input pipeline", "Python dispatch",
            "releasing the input", "validation and rest",
        )
    )  # fmt: skip
    assert min(of_train) * 0.99 <= inside <= max(of_train) * 1.01
    # 500 steps of a network this small are nearly all Python.
    assert seconds["Python dispatch"] > seconds["compute"]


def test_what_one_waits_for_before_the_first_phase(explained: tuple[dict, Path]) -> None:
    told, folder = explained
    waited = told["before_the_first_phase"]
    [imported] = {row["seconds"] for row in rows(folder / "timings.csv")
                  if row["phase"] == "import" and row["seconds"]}  # fmt: skip
    # The framework's import is in its part, where this process has not imported it before.
    assert waited["framework_seconds"] > 0
    assert 0 < waited["process_seconds"] < float(imported)
    assert waited["calibration_seconds"] > 0.5  # 6 workloads, 4 samples of 50 ms each
    assert waited["command_seconds"] > 0


def test_what_is_advised_was_measured(explained: tuple[dict, Path]) -> None:
    told, _ = explained
    [setting, *_] = [s for s in told["settings"] if s["setting"] == "training.execution=fused"]
    assert setting["n"] == 2
    fused = Path(told["folders"][1])
    medians = [
        float(row["seconds"]) for row in rows(fused / "timings.csv") if row["phase"] == "train"
    ]
    assert setting["train_seconds"] == pytest.approx(sum(medians) / 2)
    assert 0 < setting["test_accuracy"] < 1


def test_the_table_and_the_picture_are_in_the_folder(explained: tuple[dict, Path]) -> None:
    told, folder = explained
    table = rows(folder / "explain.csv")
    assert [row["part"] for row in table] == [part["part"] for part in told["parts"]]
    assert [float(row["seconds"]) for row in table] == [p["seconds"] for p in told["parts"]]
    tried = [row["setting"] for row in rows(folder / "settings.csv")]
    assert tried == [setting["setting"] for setting in told["settings"]]
    assert "training.execution=fused" in tried
    with Image.open(folder / "explain.png") as picture:
        assert picture.size == (1200, 360)


def test_computing_is_set_against_the_measured_peak(explained: tuple[dict, Path]) -> None:
    told, folder = explained
    seconds = next(part["seconds"] for part in told["parts"] if part["part"] == "compute")
    metrics = {row["metric"]: row["value"] for row in rows(folder / "metrics.csv")}
    # Without validation the phase's operations are those of its steps.
    assert told["use"]["flops_per_second"] == pytest.approx(float(metrics["train_flops"]) / seconds)
    assert told["use"]["flops_per_second"] < told["use"]["peak_flops_per_second"]


def test_what_of_a_predict_of_one_image_is_python(explained: tuple[dict, Path]) -> None:
    told, folder = explained
    one = told["one_image"]
    assert Path(one["folder"]).parent == folder / "inference"
    table = rows(Path(one["folder"]) / "inference.csv")
    assert {(row["execution"], row["batch_size"]) for row in table} == {
        ("predict", "1"), ("compiled", "1")
    }  # fmt: skip
    assert len(table) == 4
    assert one["share"] > 0.9
    assert one["share"] == pytest.approx(
        1 - one["compiled_seconds"] / one["predict_seconds"], abs=0.1
    )
    assert one["low"] is None  # two processes of each are too few


def test_a_fused_config_has_no_python_between_its_steps(tmp_path: Path) -> None:
    done = run_here("explain", "mnist-dense", *FEW, "--repeats", "1", "--set",
               "training.execution=fused", "--output", str(tmp_path))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Python dispatch" not in done.stdout
    assert "the steps of the compiled epoch" in done.stdout
    assert "A predict of one image takes" in done.stdout


def test_settings_worth_a_trial() -> None:
    settings, _ = candidates(load_config("mnist-dense"))
    assert settings[0].text == "training.execution=fused"
    assert settings[0].config.training.execution == "fused"
    fused = load_config("mnist-dense", ["training.execution=fused", "training.jit=off"])
    assert candidates(fused)[0][0].text == "training.jit=auto"
    mixed = load_config(
        "mnist-dense", ["training.execution=fused", "training.precision=mixed_bfloat16"]
    )
    assert candidates(mixed) == ([], [])


def test_what_float64_images_cost_is_tried_and_fused_knows_none() -> None:
    doubled = load_config("mnist-mlp", ["dataset.image_dtype=float64"])
    settings, _ = candidates(doubled)
    assert [setting.text for setting in settings[:2]] == [
        "training.execution=fused dataset.image_dtype=float32", "dataset.image_dtype=float32",
    ]  # fmt: skip
    for setting in settings:
        others = "float32" not in setting.text
        assert setting.config.dataset.image_dtype == ("float64" if others else "float32")
        given = ["dataset.image_dtype=float64", *setting.text.split()]
        assert load_config("mnist-mlp", given).digest() == setting.config.digest()
    done = run_here(
        "benchmark", "mnist-mlp", "--execution", "fused", "--set", "dataset.image_dtype=float64"
    )
    assert done.returncode == 2
    assert "is not possible with training.execution fused" in failure_line(done)


def test_only_what_is_faster_beyond_doubt_is_advised() -> None:
    sure = SettingRow("a", 5, 1.0, 3.0, 2.5, 3.5, 0.9)
    unsure = replace(sure, setting="b", low=0.8)
    unknown = replace(sure, setting="c", low=None, high=None)
    found = Explanation(None, (), 0.9, (sure, unsure, unknown), (), None, WAITED)  # type: ignore[arg-type]
    assert found.advice == (sure,)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        ((0.2,), True),
        ((-0.1,), False),
        ((0.0, 0.0), False),
        ((0.25, 0.26), True),  # 0.255 and 12.7 times 0.005
        ((0.02, 0.16), False),
        ((0.1, 0.11, 0.12, 0.1), True),
        ((-0.01, 0.02, -0.02, 0.01), False),
    ],
)
def test_a_difference_is_told_apart_from_0_or_not(seconds: tuple[float, ...], told: bool) -> None:
    assert is_told(seconds) is told


def row(times_faster: float, low: float | None) -> SettingRow:
    high = None if low is None else times_faster**2 / low
    return SettingRow("training.jit=auto", 4, 1.0, times_faster, low, high, 0.9)


@pytest.mark.parametrize(
    ("repeats", "trial", "line"),
    [
        (1, row(1.2, None), "1 repeat is too few to tell whether a setting is faster: --repeats 5"),
        (2, row(1.2, None), "2 repeats are too few to tell whether a setting is faster: "
                            "--repeats 5"),
        # Twice as wide as the change is far from 1: four times the repeats.
        (4, row(1.1, 1 / 1.1), "No setting that was tried is faster beyond doubt; to tell of "
                               "training.jit=auto takes about --repeats 16"),
        (4, row(1.001, 0.9), "No setting that was tried is faster beyond doubt; more than 100 "
                             "repeats would be needed for training.jit=auto"),
        (4, row(0.8, 0.7), "No setting that was tried is faster beyond doubt"),
    ],
)  # fmt: skip
def test_doubt_says_what_would_end_it(repeats: int, trial: SettingRow, line: str) -> None:
    run = SimpleNamespace(repeats=[None] * repeats)
    result = SimpleNamespace(runs=[run])
    explanation = Explanation(result, (), 0.9, (trial,), (), None, WAITED)  # type: ignore[arg-type]
    assert _advice(explanation) == [line]


def test_parts_that_may_be_nothing_say_so() -> None:
    parts = (
        PartRow("import", 5.0, 0.9, "the import phase"),
        PartRow("Python dispatch", 0.0, 0.0, f"fit less these two; {UNTOLD}"),
        PartRow("validation and rest", 0.1, 0.1, f"the train phase less all of these; {UNTOLD}"),
    )
    result = SimpleNamespace(runs=[SimpleNamespace(repeats=[None, None])])
    explanation = Explanation(result, parts, 0.9, (), (), None, WAITED)  # type: ignore[arg-type]
    assert _advice(explanation) == [
        "Not told apart from 0 in 2 repeats: Python dispatch and validation and rest: --repeats 10"
    ]


def test_a_mistake_is_one_line() -> None:
    done = run_here("explain", "mnist-dens")
    assert done.returncode == 2
    assert "mnist-dense" in failure_line(done)
