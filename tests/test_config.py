"""Configs: what is allowed, what is refused and in which words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from conftest import MNIST_CONFIGS, failure_line, run_here
from hypothesis import given
from hypothesis import strategies as st

from mnistbench.config.files import known_configs
from mnistbench.config.loading import load_config
from mnistbench.config.run_config import RunConfig, json_schema
from mnistbench.errors import InputError

MINIMAL = "model: {family: dense}\n"


def write(folder: Path, text: str, name: str = "mine.yaml") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def refusal(name_or_path: str, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        load_config(name_or_path, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_five_lessons_ship_and_are_listed() -> None:
    assert set(MNIST_CONFIGS) <= set(known_configs())
    listed = run_here("config", "list").stdout
    for name in MNIST_CONFIGS:
        assert name in listed


def test_a_config_is_found_by_name_from_anywhere_and_by_path(tmp_path: Path) -> None:
    shown = run_here("config", "show", "mnist-cnn", cwd=tmp_path)
    assert shown.returncode == 0
    copy = write(tmp_path, shown.stdout, "copy.yaml")
    assert load_config(copy) == load_config("mnist-cnn")


def test_a_file_is_named_after_itself_and_has_defaults(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, MINIMAL))
    assert config.name == "mine"
    assert config.dataset.name == "mnist"
    assert config.training.batch_size == 4


def test_what_the_seeds_vary_is_one_field_each() -> None:
    config = load_config(
        "mnist-dense",
        [
            "training.epochs=3", "training.batch_size=128", "model.hidden_units=[512, 512]",
            "model.activation=relu", "training.optimizer=sgd", "training.learning_rate=1e-3",
            "training.loss=mean_squared_error", "dataset.normalization=standardize",
            "training.seed=7", "dataset.train_samples=1000",
        ],
    )  # fmt: skip
    assert config.training.learning_rate == 0.001
    assert config.model.family == "dense"
    assert config.parameters == 669_706


def test_a_digest_is_of_what_is_computed() -> None:
    plain = load_config("mnist-dense")
    renamed = load_config("mnist-dense", ["name=other", "description=words", "device=cpu"])
    assert renamed.digest() == plain.digest()
    for change in ("training.seed=1", "model.hidden_units=[65]", "dataset.test_samples=10"):
        assert load_config("mnist-dense", [change]).digest() != plain.digest()


@given(
    st.builds(
        lambda epochs, batch, units, dropout, rate, validation: {
            "training.epochs": epochs,
            "training.batch_size": batch,
            "model.hidden_units": units,
            "model.dropout": dropout,
            "training.learning_rate": rate,
            "training.validation": validation,
        },
        st.integers(1, 10**6),
        st.integers(1, 10**6),
        st.lists(st.integers(1, 4096), max_size=5),
        st.floats(0, 0.99),
        st.none() | st.floats(1e-12, 1e3),
        st.sampled_from(["none", "test"]) | st.floats(1e-6, 0.999),
    )
)
def test_a_resolved_config_loads_to_an_equal_one(
    tmp_path_factory: pytest.TempPathFactory, fields: dict[str, object]
) -> None:
    config = load_config("mnist-dense", [f"{key}={json.dumps(v)}" for key, v in fields.items()])
    file = tmp_path_factory.mktemp("config") / "again.yaml"
    file.write_text(config.to_yaml())
    assert load_config(str(file)) == config


@given(st.text(max_size=200))
def test_any_text_is_a_config_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.mktemp("any") / "any.yaml"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        load_config(str(file))
    except InputError as error:
        assert str(file) in str(error)
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("training.batchsize=3", ["training.batchsize", "unknown field", "batch_size?"]),
        ("modle.family=cnn", ["modle", "unknown field", "model?"]),
        ("model.kernel_size=3", ["model.kernel_size", "unknown field", "hidden_units"]),
        ("training.epochs=ten", ["training.epochs", "'ten'", "a whole number"]),
        ("training.epochs=1.5", ["training.epochs", "1.5", "a whole number"]),
        ("training.epochs=true", ["training.epochs", "true", "a whole number"]),
        ("training.batch_size=0", ["training.batch_size", "0", "at least 1"]),
        ("training.validation=1.5", ["training.validation", "1.5", "between 0 and 1"]),
        ("training.validation=tset", ["training.validation", "tset", "none, test"]),
        ("training.learning_rate=-1", ["training.learning_rate", "-1", "greater than 0"]),
        ("training.learning_rate=.nan", ["training.learning_rate", "nan", "finite"]),
        ("training.optimizer=adm", ["training.optimizer", "adm", "did you mean adam?"]),
        ("training.seed=-1", ["training.seed", "-1"]),
        ("model.dropout=1", ["model.dropout", "less than 1"]),
        ("model.hidden_units=[0]", ["model.hidden_units.0", "0"]),
        ("model.family=rnn", ["model", "'rnn'", "dense, cnn"]),
        ("dataset.name=mnits", ["dataset.name", "mnits", "mnist?"]),
        ("dataset.train_samples=70000", ["dataset.train_samples", "70000", "60000"]),
        ("device=tpu", ["device", "tpu", "auto, cpu, gpu"]),
        ("training=3", ["training", "3", "group of fields"]),
        ("name=../x", ["name", "../x"]),
        ("batch_size", ["--set", "batch_size", "FIELD=VALUE"]),
        ("training.epochs=[", ["--set training.epochs=[", "not valid YAML"]),
    ],
)
def test_a_wrong_value_is_told_in_one_line(override: str, parts: list[str]) -> None:
    line = refusal("mnist-dense", override)
    assert "--set" in line
    for part in parts:
        assert part in line


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["model.kernel_size=9"], ["model.kernel_size", "9x9", "3x3"]),
        (["model.pool_size=9"], ["model.pool_size", "9x9 pool"]),
        (["model.padding=[same, same]"], ["model.padding", "2 paddings for 4"]),
        (["model.filters=[]"], ["model.filters", "at least 1"]),
    ],
)
def test_a_network_that_cannot_be_built(overrides: list[str], parts: list[str]) -> None:
    line = refusal("mnist-cnn", *overrides)
    for part in parts:
        assert part in line


BOMB = "a0: &a0 [1, 2, 3]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
)
"""Half a kilobyte that stands for a hundred billion numbers."""


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["is empty"]),
        ("# nothing\n", ["is empty"]),
        ("- a\n- b\n", ["holds a list"]),
        ("just words", ["holds a str"]),
        ("model: {family: dense\n", ["mine.yaml:2", "not valid YAML"]),
        (
            "model: {family: dense}\nmodel: {family: cnn}\n",
            ["mine.yaml:2", "'model' is there twice"],
        ),
        ("training:\n  epochs: 1\n  epochs: 2\n" + MINIMAL, ["mine.yaml:3", "'epochs'"]),
        ("a: 1\n---\nb: 2\n", ["not valid YAML"]),
        ("training: {epochs: 1}\n", ["model", "is missing"]),
        ("model: {hidden_units: [3]}\n", ["model.family is missing"]),
        ("model: !!python/object/apply:os.system [id]\n", ["not valid YAML"]),
        ("1: 2\n" + MINIMAL, ["a field's name must be text"]),
        ("model: &m {family: *m}\n", ["mine.yaml:1", "the alias *m is inside what it stands for"]),
        ("a: &a [1, *a]\n", ["the alias *a is inside what it stands for"]),
        ("device: !!bool maybe\n", ["the tag tag:yaml.org,2002:bool is not read here"]),
        ("name: !!python/name:os.system x\n", ["is not read here"]),
        ("a: " + "[" * 30 + "]" * 30, ["is nested more than 20 levels deep"]),
        (BOMB, ["stands for more than 200,000 values"]),
        ("# " + "x" * (300 << 10), ["is longer than 256 KiB"]),
        ("model: {1: 2}\n", ["a field's name must be text"]),
    ],
)
def test_a_broken_file_is_told_in_one_line(tmp_path: Path, text: str, parts: list[str]) -> None:
    line = refusal(write(tmp_path, text))
    assert "mine.yaml" in line
    for part in parts:
        assert part in line


def test_files_that_are_not_there() -> None:
    assert "did you mean mnist-dense?" in refusal("mnist-dens")
    assert "no such file" in refusal("nowhere/mine.yaml")
    assert "is a folder" in refusal("tests/")


def test_a_relative_data_path_is_relative_to_the_config(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, MINIMAL + "dataset: {path: own.npz}\n"))
    assert config.dataset.path == str(tmp_path / "own.npz")


def test_validate_and_its_exit_codes(tmp_path: Path) -> None:
    good = run_here("config", "validate", write(tmp_path, MINIMAL))
    assert (good.returncode, "50,890 parameters" in good.stdout) == (0, True)
    bad = run_here("config", "validate", write(tmp_path, "model: {family: dense}\nepoch: 1\n"))
    assert bad.returncode == 2
    assert failure_line(bad).startswith("mnistbench: ")


def test_the_schema_describes_every_field_and_is_the_committed_one() -> None:
    schema = json_schema()
    for name, definition in {"RunConfig": schema, **schema["$defs"]}.items():
        for field, described in definition["properties"].items():
            told = "description" in described or field in ("dataset", "model", "training", "sweep")
            assert told, f"{name}.{field}"
    committed = Path(__file__).parents[1] / "docs" / "config.schema.json"
    assert json.loads(committed.read_text()) == schema, "run: make docs"
    assert json.loads(run_here("config", "schema").stdout) == schema


@pytest.mark.parametrize("name", MNIST_CONFIGS)
def test_a_shipped_config_holds_only_known_fields_and_round_trips(name: str) -> None:
    config = load_config(name)
    assert RunConfig.model_validate(yaml.safe_load(config.to_yaml())) == config
