"""oneDNN's kernels and the number of threads: chosen before the framework is imported, recorded."""

from __future__ import annotations

import pytest
from conftest import Session, benchmark_here, failure_line, rows, run_here

from mnistbench.config.loading import load_config
from mnistbench.measuring.startup import environment_of, wanted_onednn
from mnistbench.session.crews import may_gauge
from mnistbench.session.settings import candidates

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
LEFT_TO_IT = "auto: its convolutions are faster on a CPU"
TRAININGS = {
    "auto": "execution: fused",
    "off": "execution: fused, onednn: off",
    "switched": "execution: fit, onednn: on",
    "one": "execution: fit, threads: 1",
}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A small convolutional network in each of these ways, in one call."""
    folder = tmp_path_factory.mktemp("kernels")
    files = []
    for name, training in TRAININGS.items():
        file = folder / f"{name}.yaml"
        file.write_text(
            "dataset: {train_samples: 640, test_samples: 256}\n"
            "model: {family: cnn, filters: [16, 16], padding: [same]}\n"
            f"training: {{batch_size: 64, shuffle: false, {training}}}\n"
        )
        files.append(str(file))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(ONEDNN, raising=False)
        done = benchmark_here(folder / "results", *files, "--device", "cpu")
    assert done.done.returncode == 0, done.done.stderr
    return done


def test_what_computed_is_what_the_framework_says_and_why(session: Session) -> None:
    on = {name: session.metric(name, "onednn") for name in TRAININGS}
    assert on["auto"] == on["switched"] == ["true"]
    assert on["off"] == ["false"]
    assert {name: session.metric(name, "onednn_reason") for name in TRAININGS} == {
        "auto": [LEFT_TO_IT],
        "off": ["training.onednn is off"],
        "switched": ["training.onednn is on"],
        "one": ["TensorFlow's own choice"],
    }
    for name in TRAININGS:
        facts = {
            row["attribute"]: row["value"] for row in rows(session.folder(name) / "machine.csv")
        }
        assert [facts["tensorflow_onednn"]] == on[name]


def test_the_threads_are_those_of_the_config(session: Session) -> None:
    assert session.metric("one", "intra_op_threads") == ["1"]
    assert session.metric("auto", "intra_op_threads") == [""]


def test_other_kernels_learn_the_same(session: Session) -> None:
    [one], [other] = (session.metric(name, "test_loss") for name in ("auto", "off"))
    assert float(one) == pytest.approx(float(other), rel=0.005)


def test_the_machine_is_measured_by_one_measure(session: Session) -> None:
    """Not with the kernels or the threads of one config: all runs have the same rates."""
    tables = [rows(session.folder(name) / "calibration.csv") for name in TRAININGS]
    rates = [[(row["workload"], row["rate"]) for row in table] for table in tables]
    assert rates[0]
    assert all(each == rates[0] for each in rates)
    assert not may_gauge(load_config("mnist-cnn", ["training.execution=fused", "device=cpu"]))
    assert may_gauge(load_config("mnist-cnn", ["device=cpu"]))


@pytest.mark.parametrize(
    ("config", "settings", "is_on"),
    [
        ("mnist-cnn", ["training.execution=fused"], True),
        ("cifar10-cnn", ["training.execution=fused", "device=cpu"], True),
        ("mnist-cnn", ["training.execution=fused", "device=gpu"], None),
        ("mnist-cnn", [], None),
        ("mnist-dense", ["training.execution=fused"], None),
        ("mnist-dense", ["training.onednn=on"], True),
        ("mnist-cnn", ["training.execution=fused", "training.onednn=off"], False),
        ("mnist-cnn", ["training.execution=fused", "backend=jax"], None),
    ],
)
def test_it_is_on_where_it_was_measured_to_be_faster(
    config: str, settings: list[str], is_on: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ONEDNN, raising=False)
    loaded = load_config(config, settings)
    assert wanted_onednn(loaded).is_on is is_on
    told = environment_of(loaded).get(ONEDNN)
    assert told == (None if is_on is None else str(int(is_on)))


@pytest.mark.parametrize("value", ["0", "1"])
def test_the_variable_of_the_user_comes_first(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ONEDNN, value)
    fused = load_config("mnist-cnn", ["training.execution=fused"])
    assert wanted_onednn(fused).is_on is None
    assert wanted_onednn(fused).reason == f"the variable {ONEDNN} is {value}"
    assert ONEDNN not in environment_of(fused)
    asked = load_config("mnist-cnn", ["training.onednn=on"])
    assert environment_of(asked)[ONEDNN] == "1"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--backend", "jax", "--set", "training.onednn=on"),
         "--set training.onednn=on: training.onednn: 'on' is not possible on jax: JAX has no "
         "switch for oneDNN; leave it out"),
        (("--backend", "jax", "--set", "training.threads=2"),
         "--set training.threads=2: training.threads: 2 is not possible on jax: JAX has as many "
         "threads as it may use cores; leave it out"),
        (("--set", "training.threads=0"),
         "--set training.threads=0: training.threads: 0 must be auto, or a whole number from 1 to "
         "1024"),
        (("--set", "training.onednn=maybe"),
         "--set training.onednn=maybe: training.onednn: 'maybe' is none of auto, on, off"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(arguments: tuple[str, ...], expected: str) -> None:
    done = run_here("benchmark", "mnist-dense", *arguments)
    assert done.returncode == 2
    assert failure_line(done).removeprefix("mnistbench: ").startswith(expected)


def test_explain_tries_them_and_tells_the_parts_by_the_same_kernels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(ONEDNN, raising=False)
    monkeypatch.setattr("mnistbench.session.settings.affinity", lambda: [0, 1])
    config = load_config("mnist-cnn", ["device=cpu"])
    texts = [setting.text for setting in candidates(config, has_onednn=False)[0]]
    assert texts[:5] == [
        "training.execution=fused training.onednn=off",
        "training.execution=fused",
        "training.onednn=on",
        "training.threads=1",
        "training.jit=off",
    ]
    on_already = [setting.text for setting in candidates(config, has_onednn=True)[0]]
    assert on_already[:2] == ["training.execution=fused", "training.onednn=off"]
    for setting in candidates(config, has_onednn=False)[0]:
        given = load_config("mnist-cnn", ["device=cpu", *setting.text.split()])
        assert given.digest() == setting.config.digest()


def test_one_core_leaves_no_choice_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnistbench.session.settings.affinity", lambda: [0])
    texts = [each.text for each in candidates(load_config("mnist-dense"), has_onednn=False)[0]]
    assert "training.threads=1" not in texts


def test_what_fused_would_choose_anyway_is_not_tried_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ONEDNN, raising=False)
    on = ["training.execution=fused", "training.onednn=on"]
    of_convolutions = candidates(load_config("mnist-cnn", on))[0]
    of_dense_layers = candidates(load_config("mnist-dense", on))[0]
    assert "training.onednn=auto" not in [setting.text for setting in of_convolutions]
    assert "training.onednn=auto" in [setting.text for setting in of_dense_layers]
