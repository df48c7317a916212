"""What each field says of a wrong value: our words, and a remedy that works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mnistbench.config.loading import load_config
from mnistbench.config.run_config import json_schema
from mnistbench.errors import InputError


def refusal(name: str, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        load_config(name, overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("config", "override", "remedy"),
    [
        ("mnist-dense", "model.hidden_units=512", "write --set 'model.hidden_units=[512]'"),
        ("mnist-dense", 'model.hidden_units="512"', "write --set 'model.hidden_units=[512]'"),
        ("mnist-dense", "model.hidden_units=8,9", "write --set 'model.hidden_units=[8, 9]'"),
        ("mnist-dense", 'model.hidden_units=["512"]', "write 512 without quotes"),
        ("mnist-dense", "model.hidden_units=", "write --set 'model.hidden_units=[64]'"),
        (
            "mnist-dense",
            "model.hidden_units.0=5",
            "set the whole list: --set 'model.hidden_units=[64]'",
        ),
        ("mnist-cnn", "model.filters=64", "write --set 'model.filters=[64, 64, 64, 64]'"),
        ("mnist-cnn", "model.padding=Same", "write --set 'model.padding=[same]'"),
        ("mnist-cnn", "model.kernel_size=[3]", "write 3 without brackets"),
        ("mnist-dense", "training.epochs=1e3", "write 1000"),
        ("mnist-dense", 'training.epochs="3"', "write 3 without quotes"),
        ("mnist-dense", "training.batch_size=1,024", "write 1024"),
        ("mnist-dense", "training.learning_rate='1e-3'", "write 0.001 without quotes"),
        ("mnist-dense", "training.learning_rate=0,01", "write 0.01"),
        ("mnist-dense", "model.dropout=20%", "write 0.2"),
        ("mnist-dense", "model.dropout=20", "write 0.2 for 20 %"),
        ("mnist-dense", "training.validation=10%", "write 0.1"),
        ("mnist-dense", "training.validation=10", "write 0.1 for 10 %"),
        ("mnist-dense", "training.target_accuracy=97", "write 0.97 for 97 %"),
        ("mnist-dense", "training.shuffle=1", "write --set training.shuffle=true"),
        ("mnist-dense", "training.deterministic='no'", "write --set training.deterministic=false"),
        ("mnist-dense", "name=3", "write it in quotes: --set 'name=\"3\"'"),
        ("mnist-dense", "training.optimizer=Adam", "did you mean adam?"),
        ("mnist-dense", "training.loss=mse", "did you mean mean_squared_error?"),
        ("mnist-dense", "backend=pytorch", "did you mean torch?"),
        ("mnist-dense", "epochs=3", "did you mean training.epochs?"),
        ("mnist-dense", "training=fast", "for example --set training.epochs=1"),
        ("mnist-dense", "model=dense", "for example --set model.family=dense"),
        ("mnist-dense", "dataset.name=3", "allowed: cifar10, mnist"),
    ],
)
def test_a_wrong_value_has_its_remedy(config: str, override: str, remedy: str) -> None:
    line = refusal(config, override)
    assert line.endswith(f"; {remedy}")
    if "--set " in remedy:  # and it works, pasted into a shell
        _, fixed = shlex.split(remedy[remedy.index("--set") :])
        assert load_config(config, [fixed])


def test_the_remedy_in_a_file_is_as_a_file_has_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("model: {family: dense, hidden_units: 512}\n")
    line = refusal(str(file))
    assert line == (
        f"{file}: model.hidden_units: 512 must be a list, also where it has one item; "
        "write hidden_units: [512]"
    )


def fields() -> list[tuple[str, str]]:
    """Return every field of a config, with a shipped config that has it."""
    schema = json_schema()
    groups = {"": schema, **{name: schema["$defs"][name] for name in schema["$defs"]}}
    prefixes = {
        "": ("", "mnist-dense"),
        "DatasetConfig": ("dataset.", "mnist-dense"),
        "TrainingConfig": ("training.", "mnist-dense"),
        "DenseModel": ("model.", "mnist-dense"),
        "CnnModel": ("model.", "mnist-cnn"),
        "SweepBlock": ("sweep.", "mnist-dense"),
    }
    return [
        (config, prefix + field)
        for group, (prefix, config) in prefixes.items()
        for field in groups[group]["properties"]
    ]


def refused(config: str, override: str) -> str:
    try:
        load_config(config, [override])
    except InputError as error:
        return str(error)
    return ""


WRONG = ("{}", "[[]]", "-1.5", "{a: 1}", "'?!'", "2026-01-01")


@pytest.mark.parametrize(("config", "field"), fields())
def test_no_field_lets_a_library_speak(config: str, field: str) -> None:
    lines = [line for text in WRONG if (line := refused(config, f"{field}={text}"))]
    assert len(lines) >= 4
    for line in lines:
        assert not re.search(r"[Ii]nput|valid |tuple|pydantic|literal", line)
        assert f"{field}" in line
