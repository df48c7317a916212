"""Config files and runs of every version so far: what they lack stands for what was done then."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from hand_written_runs import OTHER_NOISE, compare, times, write, write_run

from mnistbench.analysis.identity import flattened
from mnistbench.config.loading import load_config
from mnistbench.config.versions import ADDED, BEFORE, CURRENT
from mnistbench.errors import InputError

SAMPLES = Path(__file__).parent / "samples"
REFERENCE = Path(__file__).parents[1] / "results" / "reference"
NAMES = ("mnist-dense", "mnist-cnn")
VERSIONS = range(1, CURRENT + 1)
DIGESTS = {
    "mnist-dense": "f7728bfd768ced42d7d057c61cc874b5c90cbaf877048e0a28fe5b1f49858810",
    "mnist-cnn": "a61c2a746e7e05074ece9953b6b3f05ecb36ab3730a2173a8e8f4566b13a567a",
}


def fields(text: str) -> set[str]:
    return set(flattened(yaml.safe_load(text)))


def sample(version: int, name: str) -> Path:
    return SAMPLES / f"schema-{version}" / f"{name}.yaml"


@pytest.mark.parametrize("name", NAMES)
def test_a_new_field_has_a_version_and_what_was_done_before_it(name: str) -> None:
    """A field of RunConfig that no version of ADDED names fails this: add a version, a sample."""
    first = fields(sample(1, name).read_text())
    for version in VERSIONS:
        added = {field for number in range(2, version + 1) for field in ADDED[number]}
        assert fields(sample(version, name).read_text()) == first | added
    assert fields(load_config(name).to_yaml()) == first | set(BEFORE)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_every_version_loads_to_the_same(version: int, name: str) -> None:
    config = load_config(str(sample(version, name)))
    assert config == load_config(name)
    assert config.digest() == DIGESTS[name]
    # The first field that came later, dataset.source, made all digests anew.
    assert (f"# config_digest: {DIGESTS[name]}" in sample(version, name).read_text()) == (
        version > 1
    )


def test_a_file_says_its_version() -> None:
    assert load_config("mnist-dense").to_yaml().startswith(f"# schema: {CURRENT}\n")


@pytest.mark.parametrize("version", VERSIONS)
def test_what_an_older_run_did_is_set_against_what_a_newer_one_did(tmp_path, version) -> None:
    old = write_run(tmp_path / "old", {"train": times(20.0)})
    shutil.copy(sample(version, "mnist-dense"), old / "config.yaml")
    changes = {
        "training.execution": ("fit", "fused"), "training.jit": ("auto", "on"),
        "training.precision": ("float32", "mixed_bfloat16"),
        "dataset.source": ("auto", "synthetic"),
    }  # fmt: skip
    new = write_run(
        tmp_path / "new",
        {"train": times(20.0, OTHER_NOISE)},
        settings=[f"{field}={value}" for field, (_, value) in changes.items()],
    )
    _, output, _ = compare(old, new)
    for field, (before, after) in changes.items():
        assert f"{field} {before} -> {after}" in output
    same = write_run(tmp_path / "same", {"train": times(20.0, OTHER_NOISE)})
    assert "differs" not in compare(old, same)[1]


def test_a_run_of_the_first_days_beside_one_of_today(tmp_path) -> None:
    [old] = REFERENCE.glob("*/*-mnist-dense-vm-*")
    new = write_run(tmp_path / "new", {"train": times(20.0)}, settings=["training.execution=fused"])
    _, output, error = compare(old, new)
    assert not error
    assert "differs in config: training.execution fit -> fused" in output


def test_a_newer_version_is_refused_in_one_line(tmp_path) -> None:
    base = write_run(tmp_path / "base", {"train": times(20.0)})
    new = write_run(tmp_path / "new", {"train": times(20.0)})
    file = new / "config.yaml"
    newer = file.read_text().replace(f"# schema: {CURRENT}", f"# schema: {CURRENT + 1}")
    write(file, newer + "telepathy: true\n")
    problem = f"its schema is {CURRENT + 1}, known here are 1 to {CURRENT}; update mnistbench"
    code, _, error = compare(base, new)
    assert code == 2
    assert error.count("\n") == 1
    assert f"{file}: was written by a newer mnistbench: {problem}" in error
    with pytest.raises(InputError, match="update mnistbench"):
        load_config(str(file))


SIZES = {
    "memory_total_bytes": ("8000000000", "8000004096", "16000000000"),
    "gpu_0_memory_bytes": ("17179869184", "17163091968", "25769803776"),
    "cpu_frequency_max_hz": ("3700000000.0", "3699000000.0", "3900000000.0"),
    "cgroup_memory_limit_bytes": ("4294967296", "4294963200", "8589934592"),
}


@pytest.mark.parametrize("field", SIZES)
def test_a_size_differs_beyond_what_a_kernel_changes(tmp_path, field) -> None:
    own, close, other = SIZES[field]
    base = write_run(tmp_path / "base", {"train": times(20.0)}, machine={field: own})
    for value, differs in ((close, False), (other, True)):
        new = write_run(
            tmp_path / value, {"train": times(20.0, OTHER_NOISE)}, machine={field: value}
        )
        _, output, _ = compare(base, new)
        assert ("different hardware" in output) == differs
        assert (f"differs in hardware: {field} {own} -> {value}" in output) == differs


@pytest.mark.parametrize(
    ("facts", "field"),
    [({"cpu_model": "AMD EPYC 2"}, "cpu_model"), ({"cpu_threads": "4"}, "cpu_threads")],
)
def test_another_processor_is_other_hardware(tmp_path, facts, field) -> None:
    base = write_run(tmp_path / "base", {"train": times(20.0)})
    new = write_run(tmp_path / "new", {"train": times(20.0, OTHER_NOISE)}, machine=facts)
    assert f"differs in hardware: {field}" in compare(base, new)[1]


@pytest.mark.parametrize(("last", "differs"), [("8000008192", False), ("16000000000", True)])
def test_sizes_of_several_machines(tmp_path, last, differs) -> None:
    for side, sizes in (("a", ("8000000000", "8000004096")), ("b", ("8000000000", last))):
        for number, size in enumerate(sizes):
            write_run(
                tmp_path / side / f"{side}{number}",
                {"train": times(20.0)},
                machine={"memory_total_bytes": size, "node": f"n{number}"},
            )
    _, output, _ = compare(tmp_path / "a", tmp_path / "b")
    assert ("different hardware" in output) == differs
