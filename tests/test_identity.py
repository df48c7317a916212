"""What was measured, in parts: which fact belongs where, and which values are the same."""

from __future__ import annotations

import hashlib

import pytest

from mnistbench.analysis.identity import Difference, differences, flattened, identify_runs


def of(*facts, settings=None):
    return identify_runs(facts, settings)


def differing(base, new):
    return [(found.part, found.field) for found in differences(of(base), of(new))]


def test_facts_of_several_runs_are_sets_and_the_unknown_is_left_out():
    found = of(
        {"cpu_model": "b", "kernel": "6.1", "load_1min": "3", "backend": ""},
        {"cpu_model": "a", "kernel": "6.1", "dataset": "mnist"},
    )
    assert found.parts == {
        "config": {}, "data": {"dataset": ("mnist",)}, "code": {}, "numerics": {},
        "system": {"kernel": ("6.1",)}, "hardware": {"cpu_model": ("a", "b")},
    }  # fmt: skip
    assert found.digest("config") is None
    assert found.digest("system") == hashlib.sha256(b'{"kernel":["6.1"]}').hexdigest()


def test_without_a_config_file_the_rows_of_a_run_say_what_it_was():
    row = {"config_digest": "d", "model": "dense", "epochs": "2", "batch_size": ""}
    known = of(row).parts["config"]
    assert known == {"config_digest": ("d",), "model": ("dense",), "training.epochs": ("2",)}
    assert of({"config_digest": ""}).parts["config"] == {}
    whole = of(row, settings={"name": "n", "training": {"epochs": 3}, "dataset": {"name": "mnist"}})
    assert whole.parts["config"]["training.epochs"] == ("3",)
    assert "model" not in whole.parts["config"]
    assert "name" not in whole.parts["config"]
    assert whole.parts["data"]["dataset.name"] == ("mnist",)


def test_nested_fields_are_dotted_names():
    fields = {"a": {"b": {"c": 1}, "d": None}, "e": [1, 2], "f": True, "g": "x"}
    assert flattened(fields) == {"a.b.c": "1", "a.d": "null", "e": "[1, 2]", "f": "true", "g": "x"}


@pytest.mark.parametrize(
    ("field", "base", "new", "same"),
    [
        ("memory_total_bytes", "100", "99", True),
        ("memory_total_bytes", "99", "100", True),
        ("memory_total_bytes", "100", "98.9", False),
        ("memory_total_bytes", "100", "200", False),
        ("memory_total_bytes", "unknown", "100", False),
        ("gpu_0_memory_bytes", "1000", "995", True),
        ("cpu_threads", "200", "199", False),
        ("cpu_model", "a", "a", True),
    ],
)
def test_a_size_is_the_same_within_what_a_kernel_changes(field, base, new, same):
    assert differing({field: base}, {field: new}) == ([] if same else [("hardware", field)])


def test_every_size_of_one_side_must_be_one_of_the_other():
    two = of({"memory_total_bytes": "1000"}, {"memory_total_bytes": "2000"})
    one, near = of({"memory_total_bytes": "1000"}), of({"memory_total_bytes": "1001"})
    expected = Difference("hardware", "memory_total_bytes", ("1000", "2000"), ("1000",))
    assert differences(two, one) == [expected]
    assert len(differences(one, two)) == 1
    both = of({"memory_total_bytes": "1001"}, {"memory_total_bytes": "1999"})
    assert differences(two, both) == differences(one, near) == []


def test_what_only_one_side_knows_is_no_difference_unless_it_is_a_variable():
    base = {"backend": "jax", "env_A": "1", "env_C": "3"}
    new = {"backend": "jax", "env_B": "2", "env_C": "3", "jax_version": "1"}
    found = differences(of(base), of(new))
    assert [(each.field, each.base, each.new) for each in found] == [
        ("env_A", ("1",), ()), ("env_B", (), ("2",)),
    ]  # fmt: skip
    # Of a side that says nothing of its numerics, whether it set one is unknown.
    assert differing(base, {"kernel": "6.1"}) == []


def test_a_digest_says_nothing_more_where_both_sides_tell_every_field():
    digests = {"config_digest": "1"}, {"config_digest": "2"}
    assert differing(*digests) == [("config", "config_digest")]
    settings = {"model": {"family": "dense"}, "training": {"epochs": 1}}
    longer = {"model": {"family": "dense"}, "training": {"epochs": 2}}
    base, new = of(digests[0], settings=settings), of(digests[1], settings=longer)
    assert differences(base, new) == [Difference("config", "training.epochs", ("1",), ("2",))]
    unknown = of(digests[1], settings={"training": {"epochs": 1}})
    assert [each.field for each in differences(base, unknown)] == ["config_digest"]
