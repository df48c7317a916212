"""The points of a sweep: which ones a grid, a list or a draw gives, and what is refused how."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from conftest import failure_line, run_here
from fake_sweeps import plan_of
from hypothesis import given
from hypothesis import strategies as st

from mnistbench.config.files import known_configs, read_yaml
from mnistbench.config.loading import load_config, read_fields
from mnistbench.config.sweep_space import (
    points_of,
    settings_text,
    space_of_block,
    space_of_grid,
    value_text,
)
from mnistbench.errors import InputError
from mnistbench.session.sweep.plan_file import plan_text, read_plan


def points(*grids: str, drawn: int | None = None, seed: int = 42) -> list[dict[str, object]]:
    return [dict(point) for point in points_of(space_of_grid(grids, drawn), seed)]


def dry(*arguments: str) -> list[dict[str, object]]:
    """Return the settings of the points that the command would measure."""
    done = run_here("sweep", *arguments, "--dry-run", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    return [point["settings"] for point in json.loads(done.stdout)["points"]]


def refusal(*arguments: str) -> str:
    done = run_here("sweep", *arguments, "--dry-run")
    assert done.returncode == 2
    return failure_line(done).removeprefix("mnistbench: ")


def test_a_grid_is_every_value_with_every_other() -> None:
    assert points("training.batch_size=4,32", "training.epochs=1,5") == [
        {"training.batch_size": 4, "training.epochs": 1},
        {"training.batch_size": 4, "training.epochs": 5},
        {"training.batch_size": 32, "training.epochs": 1},
        {"training.batch_size": 32, "training.epochs": 5},
    ]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("model.hidden_units=[64],[32, 16],[]", [[64], [32, 16], []]),
        ("training.learning_rate=1e-3,.1,null", [0.001, 0.1, None]),
        ("model.activation=relu, tanh", ["relu", "tanh"]),
        ("training.jit=on,auto", [True, "auto"]),
        ("model={family: cnn},{family: dense}", [{"family": "cnn"}, {"family": "dense"}]),
    ],
)
def test_values_are_yaml(text: str, values: list[object]) -> None:
    field = text.partition("=")[0]
    assert points(text) == [{field: value} for value in values]


def test_draws_are_the_same_for_a_seed_and_within_their_range() -> None:
    grids = ("training.learning_rate=1e-4..1e-1:log", "training.batch_size=16..64",
             "training.epochs=1,5")  # fmt: skip
    drawn = points(*grids, drawn=200)
    assert drawn == points(*grids, drawn=200)
    assert drawn != points(*grids, drawn=200, seed=43)
    rates = [point["training.learning_rate"] for point in drawn]
    assert all(1e-4 <= rate <= 1e-1 for rate in rates)
    assert 60 < sum(rate < 10**-2.5 for rate in rates) < 140, "half of them, by the logarithm"
    assert {type(point["training.batch_size"]) for point in drawn} == {int}
    assert {point["training.epochs"] for point in drawn} == {1, 5}
    assert points(*grids, drawn=20) == drawn[:20]


def test_whole_numbers_are_drawn_evenly_by_their_logarithm_both_ends_included() -> None:
    drawn = points("training.batch_size=1..4:log", drawn=4)
    assert sorted(point["training.batch_size"] for point in drawn) == [1, 2, 3, 4]


def test_a_draw_of_a_whole_grid_is_all_of_it() -> None:
    drawn = points("training.batch_size=4,32", "training.epochs=1,2,3", drawn=6)
    whole = points("training.batch_size=4,32", "training.epochs=1,2,3")
    assert sorted(map(str, drawn)) == sorted(map(str, whole))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=8),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=5,
    )
)  # fmt: skip
def test_a_value_is_written_as_set_reads_it(value: object) -> None:
    assert read_yaml(value_text(value), "--set") == value
    assert " " not in value_text(value)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--grid", "training.epochs"), "--grid training.epochs: is not FIELD=VALUES; "),
        (("--grid", "training.epochs="), "--grid training.epochs=: is not FIELD=VALUES; "),
        (("--grid", "epochs!=1"), "--grid epochs!=1: 'epochs!' is no field; "),
        (("--grid", "training.epochs=1,,2"), "--grid training.epochs=1,,2: not valid YAML: "),
        (("--grid", "training.epochs=1,2,"), "--grid training.epochs=1,2,: an item is empty; "),
        (("--grid", "training.epochs=1,1"), "--grid training.epochs=1,1: 1 is there twice; "),
        (
            ("--grid", "training.epochs=1", "--grid", "training.epochs=2"),
            "--grid training.epochs=2: training.epochs is given twice; ",
        ),
        (("--grid", "training.epochs=1..5"), "--grid: training.epochs is a range, from which "),
        (
            ("--grid", "training.epochs=5..1", "--random", "2"),
            "--grid training.epochs=5..1: '5..1': the first number must be below the second",
        ),
        (
            ("--grid", "training.learning_rate=0..1:log", "--random", "2"),
            "--grid training.learning_rate=0..1:log: '0..1:log': the first number must be above 0",
        ),
        (
            ("--grid", "training.epochs=1..3", "--random", "9"),
            "--grid: only 3 different points were drawn, and 9 are asked for; ",
        ),
        (("--grid", "name=a,b"), "--grid name=a,b: name is no setting: "),
        (
            ("--grid", "training.epochs=1,0"),
            "point 2 (training.epochs=0): training.epochs: 0 must be at least 1; ",
        ),
        (
            ("--grid", "training.epochz=1,2"),
            "point 1 (training.epochz=1): training.epochz: unknown field, value 1; did you mean "
            "epochs?",
        ),
        (
            ("--grid", "model.hidden_units=64,128"),
            "point 1 (model.hidden_units=64): model.hidden_units: 64 must be a list, also where it "
            "has one item; write [64]",
        ),
        (
            ("--grid", "model.activation=relu,tanh", "--grid", "model={family: dense}"),
            'point 2 (model.activation=tanh model={"family":"dense"}): is the same training as '
            'point 1 (model.activation=relu model={"family":"dense"}); ',
        ),
        (
            ("--grid", "training.epochs=1,2", "--set", "training.epochs=3"),
            "--set training.epochs=3: the sweep sets training.epochs too; ",
        ),
        (
            ("--grid", f"training.batch_size={','.join(map(str, range(1, 102)))}",
             "--grid", f"training.epochs={','.join(map(str, range(1, 101)))}"),
            "--grid: 10,100 points are more than 10,000; ",
        ),
        (("mnist-cnn",), "mnist-cnn.yaml has no block `sweep`: say what to try, as --grid "),
        (("a", "b"), "b: a sweep is of one config; "),
        (("--grid", "training.epochs=1,2", "--list", "f"), "--list: --grid gives points too; "),
        (("--list", "nowhere.yaml"), "--list nowhere.yaml: cannot be read: "),
        (("--resume", "nowhere"), "nowhere: no such folder"),
        (("status",), "status: give the folder of one sweep"),
        (("stop", "nowhere"), "--dry-run: stop takes no such option; leave it out"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(arguments: tuple[str, ...], line: str) -> None:
    assert line in refusal(*arguments)


def test_a_mistake_of_a_point_that_it_does_not_set_names_the_point_and_the_file(
    tmp_path: Path,
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("model: {family: dense}\ntraining: {epochs: 0}\n")
    line = refusal(str(file), "--grid", "training.batch_size=4,8")
    assert line.startswith(
        f"point 1 (training.batch_size=4) of {file}: training.epochs: 0 must be at least 1"
    )


BLOCKS = {
    "grid: {training.epochs: 5}": "sweep.grid.training.epochs: 5 is no list of values",
    "grid: {training.epochs: []}": "sweep.grid.training.epochs: [] is no list of values",
    "grid: {training: {epochs: [1]}}": "sweep.grid.training: {'epochs': [1]} is no list of values",
    "grid: {training.epochs: 1..x}": "'1..x' is no list of values, and no range",
    "grid: [1]": "sweep.grid: [1] must be a group of fields",
    "list: [1]": "sweep.list: item 1: 1 must be fields with values",
    "list: [{name: x}]": "sweep.list: item 1: name is no setting",
    "list: 5": "sweep.list: 5 is not allowed",
    "{}": "sweep: names no points",
    "5": "sweep: 5 must be a group of fields; for example sweep: {grid: {training.epochs: [1, 5]}}",
    "gird: {}": "sweep.gird: unknown field, value {}; did you mean grid?",
    "{grid: {training.epochs: [1, 2]}, random: 0}": "sweep.random: 0 must be at least 1",
    "{grid: {training.epochs: [1, 2]}, repeats: x}": "sweep.repeats: 'x' must be a whole number",
    "{grid: {training.epochs: [1]}, list: [{}]}": "sweep: has a grid and a list",
}


@pytest.mark.parametrize("block", BLOCKS)
def test_a_wrong_block_is_one_line_of_every_command(block: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    text = block if block.startswith("{") or ":" not in block else f"{{{block}}}"
    file.write_text(f"model: {{family: dense}}\nsweep: {text}\n")
    for arguments in (("config", "validate"), ("benchmark",), ("sweep",)):
        done = run_here(*arguments, str(file))
        assert done.returncode == 2
        line = failure_line(done)
        assert line.startswith(f"mnistbench: {file}: ")
        assert BLOCKS[block] in line


def test_a_block_is_passed_over_by_other_commands_and_is_no_part_of_a_config(
    tmp_path: Path,
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("model: {family: dense}\nsweep: {grid: {training.epochs: [1, 2]}}\n")
    plain = tmp_path / "plain" / "mine.yaml"
    plain.parent.mkdir()
    plain.write_text("model: {family: dense}\n")
    assert load_config(str(file)) == load_config(str(plain))
    assert run_here("config", "validate", str(file)).returncode == 0
    assert "sweep" not in run_here("config", "show", str(file)).stdout


def test_options_take_the_place_of_a_block_or_of_a_part_of_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "model: {family: dense}\n"
        "sweep: {grid: {training.epochs: [1, 2, 3, 4]}, random: 3, repeats: 2}\n"
    )
    assert len(dry(str(file))) == 3
    assert len(dry(str(file), "--random", "2")) == 2
    assert dry(str(file), "--grid", "training.batch_size=4,8") == [
        {"training.batch_size": 4}, {"training.batch_size": 8},
    ]  # fmt: skip
    assert len(dry(str(file), "--set", "sweep.random=1")) == 1
    assert "3 points, each 2 times, round by round: 6 trainings; how long they take is known " in (
        run_here("sweep", str(file), "--dry-run").stdout
    )
    assert "3 points, each 5 times" in (
        run_here("sweep", str(file), "--repeats", "5", "--dry-run").stdout
    )


def test_a_list_is_its_points_and_data_is_looked_for_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "points.yaml"
    file.write_text("- {}\n- {training.epochs: 5, dataset.path: own.npz}\n")
    assert dry("--list", str(file)) == [
        {}, {"training.epochs": 5, "dataset.path": str(tmp_path / "own.npz")},
    ]  # fmt: skip
    shown = run_here("sweep", "--list", str(file), "--dry-run").stdout
    assert "  1: as it is\n" in shown


def test_a_plan_is_yaml_and_is_read_back_as_it_was(tmp_path: Path) -> None:
    plan = plan_of(
        "training.learning_rate=1e-5..1e-1:log", "model.hidden_units=[64],[32,16]",
        drawn=20, repeats=3, tag='a "tag"', overrides=["training.seed=7"],
    )  # fmt: skip
    (tmp_path / "sweep.yaml").write_text(plan_text(plan), encoding="utf-8")
    again = read_plan(tmp_path)
    assert again.points == plan.points
    assert again.configs == plan.configs
    assert (again.sweep_id, again.repeats, again.tag) == (plan.sweep_id, 3, 'a "tag"')
    assert yaml.safe_load(plan_text(plan))["config"]["training"]["seed"] == 7
    assert len({plan.run_id(index) for index in range(20)}) == 20


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"training.epochs": 2', '"training.epochs": 3'),
        ("repeats: 1", "repeats: 2"),
        ("batch_size: 4", "batch_size: 8"),
        ('- {"training.epochs": 2}\n', ""),
    ],
)
def test_a_plan_that_was_changed_is_refused(before: str, after: str, tmp_path: Path) -> None:
    text = plan_text(plan_of("training.epochs=1,2"))
    assert before in text
    (tmp_path / "sweep.yaml").write_text(text.replace(before, after))
    with pytest.raises(InputError, match="is no longer the plan that the sweep began with"):
        read_plan(tmp_path)


@given(st.integers(0, 1000))
def test_a_plan_cut_short_is_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    text = plan_text(plan_of("training.epochs=1,2"))
    (folder / "sweep.yaml").write_text(text[: min(cut, len(text) - 2)])
    with pytest.raises(InputError) as caught:
        read_plan(folder)
    assert "\n" not in str(caught.value)


SHIPPED = [name for name in known_configs() if read_fields(name).sweep is not None]


def test_the_lessons_exercises_ship() -> None:
    assert sorted(SHIPPED) == [
        "cifar10-cnn", "mnist-dense", "mnist-dense-512", "mnist-dense-relu",
    ]  # fmt: skip


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_exercise_can_be_planned(name: str) -> None:
    base = read_fields(name)
    block = base.block()
    assert block is not None
    expected = points_of(space_of_block(block, "", {}), 42)
    assert dry(name) == [dict(point) for point in expected]
    assert len(expected) == {"cifar10-cnn": 3, "mnist-dense": 9, "mnist-dense-512": 5}.get(name, 12)


def test_a_point_without_a_setting_is_told_as_that() -> None:
    assert settings_text({}) == "as it is"
