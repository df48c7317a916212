"""Run configs: YAML and overrides in, one frozen and fully checked RunConfig out.

Every check that needs no data ends here, before a framework is imported.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)

from mnistbench.architecture import Dropout, Layer, Model, ShapeError, layer_table
from mnistbench.catalog import DATASETS, DatasetFacts
from mnistbench.config_files import (
    find_config,
    known_configs,
    read_mapping,
    read_yaml,
    user_path,
)
from mnistbench.errors import InputError

DEFAULT_CONFIG = "mnist-dense"

Backend = Literal["tensorflow", "jax", "torch"]
Device = Literal["auto", "cpu", "gpu"]
Optimizer = Literal[
    "adam", "sgd", "rmsprop", "adamw", "adagrad", "adadelta", "adamax", "nadam", "ftrl", "lion"
]
Loss = Literal[
    "categorical_crossentropy", "sparse_categorical_crossentropy", "categorical_focal_crossentropy",
    "categorical_hinge", "kl_divergence", "mean_squared_error", "mean_absolute_error", "poisson",
]  # fmt: skip
DataSource = Literal["auto", "synthetic"]
Normalization = Literal["divide_255", "divide_max", "standardize", "none"]
Execution = Literal["fit", "fused"]
Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]

_SINCE_THE_FIRST: dict[str, Any] = {
    "backend": "tensorflow",
    "training": {
        "execution": "fit", "jit": "auto", "precision": "float32", "target_accuracy": None,
    },
}  # fmt: skip
"""Fields that came later, and what was done before them: a digest then says nothing of them."""

_FROZEN = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)
_Count = Annotated[int, Field(ge=1)]


def _on_or_off(value: object) -> object:
    # YAML reads a bare on or off as true or false.
    return ("on" if value else "off") if isinstance(value, bool) else value


Jit = Annotated[Literal["auto", "on", "off"], BeforeValidator(_on_or_off)]


def _validation(value: object) -> str | float:
    if value in ("none", "test") and isinstance(value, str):
        return value
    if isinstance(value, float | int) and not isinstance(value, bool) and 0 < value < 1:
        return float(value)
    raise ValueError("must be none, test, or a fraction of the training set between 0 and 1")


Validation = Annotated[
    str | float,
    PlainValidator(_validation),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["none", "test"]},
                {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            ]
        }
    ),
]


class DatasetConfig(BaseModel):
    """Which images, how many, and how their pixels become numbers."""

    model_config = _FROZEN

    name: str = Field(default="mnist", json_schema_extra={"enum": [*DATASETS]})
    """The data set."""
    path: str | None = None
    """A copy of your own: a Keras `.npz`; for MNIST a folder of the four IDX files, plain or
    `.gz`; for CIFAR-10 the official Python or binary files, as their folder or `.tar.gz`.
    Relative to the config file. Left out: mnistbench's own copy, or Keras's, or a download."""
    source: DataSource = "auto"
    """`auto`: the real images; `synthetic`: as many, made from the seed, for a machine that has
    neither them nor a network. Their accuracy says nothing of the real ones."""
    normalization: Normalization = "divide_255"
    """`divide_255`; `divide_max`: by the set's own largest value; `standardize`: mean 0,
    standard deviation 1, both of the training set; `none`: 0 to 255 as they are."""
    train_samples: _Count | None = None
    """Train on the first so many images; left out: all."""
    test_samples: _Count | None = None
    """Test on the first so many images; left out: all."""


class TrainingConfig(BaseModel):
    """How the network learns."""

    model_config = _FROZEN

    epochs: Annotated[int, Field(ge=1, lt=2**31)] = 1
    """Times the whole training set is seen."""
    batch_size: Annotated[int, Field(ge=1, lt=2**31)] = 4
    """Images a training step, and a test step."""
    optimizer: Optimizer = "adam"
    """Keras's optimizer of that name."""
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Left out: the optimizer's own default in Keras."""
    loss: Loss = "categorical_crossentropy"
    """Keras's loss of that name; all but the sparse one take one-hot labels."""
    validation: Validation = "none"
    """After each epoch: `none`, on the `test` set, or on a fraction cut off the training set."""
    shuffle: bool = True
    """Draw the order of the images from the seed. On TensorFlow Keras keeps that order in every
    epoch: only without a seed does it draw anew there."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    """The root; every repeat derives its own seed from it."""
    deterministic: bool = False
    """Ask the framework for bit-equal results also on a GPU; slower there."""
    execution: Execution = "fit"
    """`fit`: Keras's `model.fit`, step by step from Python, as the lessons do; `fused`: the images
    on the device as bytes and the batches of an epoch as one compiled program, shuffled anew each
    epoch."""
    jit: Jit = "auto"
    """Compile by XLA, with torch by `torch.compile`: `on`, `off`, or `auto`: with `fit` what Keras
    decides, with `fused` what is faster; with TensorFlow XLA on a GPU and for dense networks, none
    for convolutions on a CPU. A fused JAX epoch is always compiled."""
    precision: Precision = "float32"
    """`float32`, or compute in 16 bits and keep the weights in 32, the softmax too:
    `mixed_bfloat16` where the processor has it, `mixed_float16` on GPUs."""
    target_accuracy: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    """End the training after the first epoch whose test accuracy is at least this; needs
    `validation: test`. The time until then is recorded; `epochs` are the most."""


class RunConfig(BaseModel):
    """One network, its data and its training: what a benchmark repeats."""

    model_config = _FROZEN

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """Names the runs; left out: the file's name."""
    description: str = ""
    """One line for people."""
    dataset: DatasetConfig = DatasetConfig()
    model: Model
    training: TrainingConfig = TrainingConfig()
    backend: Backend = "tensorflow"
    """The framework that Keras trains with; `jax` and `torch` are extras of the installation."""
    device: Device = "auto"
    """`cpu`, `gpu` (an error where there is none), or `auto`: a GPU where the backend sees one."""

    @property
    def facts(self) -> DatasetFacts:
        """Return what is known of the data set."""
        return DATASETS[self.dataset.name]

    @property
    def dataset_label(self) -> str:
        """Return the data set's name in the results: synthetic data is another data set."""
        synthetic = self.dataset.source == "synthetic"
        return f"{self.dataset.name}-synthetic" if synthetic else self.dataset.name

    @property
    def parameters(self) -> int:
        """Return the number of parameters of the network."""
        table = layer_table(self.model, self.facts.image_shape, self.facts.classes)
        return sum(row.parameters for row in table)

    def has(self, kind: type[Layer]) -> bool:
        """Return whether the network has a layer of this kind."""
        return any(isinstance(layer, kind) for layer in self.model.layers(self.facts.classes))

    def digest(self) -> str:
        """Return a sha256 over every field that changes what is computed.

        Names, the data's place and the device are left out: the same training on another
        machine has the same digest. The data's own digest is recorded beside this one.
        """
        fields = self.model_dump(mode="json", exclude={"name", "description", "device"})
        del fields["dataset"]["path"]
        _leave_out(_SINCE_THE_FIRST, fields)
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_yaml(self) -> str:
        """Return the config with every field filled in, as YAML that loads to an equal one."""
        fields = self.model_dump(mode="json")
        text = yaml.dump(fields, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True)
        return f"# config_digest: {self.digest()}\n{text}"


def _leave_out(defaults: Mapping[str, Any], fields: dict[str, Any]) -> None:
    for name, default in defaults.items():
        if isinstance(default, dict):
            _leave_out(default, fields[name])
        elif fields[name] == default:
            del fields[name]


class _PlainDumper(yaml.SafeDumper):
    """Writes lists of numbers in one row; its own class, as cloudmesh changes PyYAML's."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> Any:
        return super().represent_sequence(tag, sequence, flow_style=True)


def load_config(name_or_path: str, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a shipped config by its bare name, or any by its path, and apply `FIELD=VALUE`s.

    Raises InputError, naming the file, the field, the value and what is allowed.
    """
    path = find_config(name_or_path)
    fields = {"name": path.stem, **read_mapping(path)}
    _resolve_data_path(fields, path)
    set_by = {}
    for override in overrides:
        field, value = _split_override(override)
        _set_field(fields, field, value, override)
        set_by[field] = f"--set {override}"
    return _checked(fields, str(path), set_by)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a config file, so that editors complete and check it."""
    schema = RunConfig.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["required"] = ["model"]
    return schema


def _resolve_data_path(fields: Mapping[str, Any], file: Path) -> None:
    dataset = fields.get("dataset")
    if isinstance(dataset, dict) and isinstance(dataset.get("path"), str):
        dataset["path"] = _absolute(dataset["path"], file.parent, f"{file}: dataset.path")


def _absolute(path: str, folder: Path, source: str) -> str:
    # The config that a run leaves lies elsewhere, and must still find the data.
    return str((folder / user_path(path, source)).absolute())


def _split_override(override: str) -> tuple[str, Any]:
    field, equals, text = override.partition("=")
    field = field.strip()
    if not equals or not re.fullmatch(r"\w+(\.\w+)*", field):
        raise InputError(
            f"{override!r} is not FIELD=VALUE", source="--set", hint="try training.batch_size=128"
        )
    return field, read_yaml(text, f"--set {override}")


def _set_field(fields: dict[str, Any], field: str, value: Any, override: str) -> None:
    *groups, last = field.split(".")
    for group in groups:
        inner = fields.setdefault(group, {})
        if not isinstance(inner, dict):
            raise InputError(
                f"{group} has no fields below it", source=f"--set {override}", field=field
            )
        fields = inner
    if field == "dataset.path" and isinstance(value, str):
        value = _absolute(value, Path(), f"--set {override}: {field}")
    fields[last] = value


def _checked(fields: Mapping[str, Any], file: str, set_by: Mapping[str, str]) -> RunConfig:
    try:
        config = RunConfig.model_validate(fields)
    except ValidationError as error:
        raise _as_input_error(error, file, set_by) from None
    _check_dataset(config, file, set_by)
    _check_validation(config, file, set_by)
    _check_target(config, file, set_by)
    _check_network(config, file, set_by)
    _check_jit(config, file, set_by)
    return config


def _check_dataset(config: RunConfig, file: str, set_by: Mapping[str, str]) -> None:
    name = config.dataset.name
    if name not in DATASETS:
        field = "dataset.name"
        raise InputError(
            f"{name!r} is no data set of mnistbench; allowed: {', '.join(sorted(DATASETS))}",
            source=_source(field, file, set_by),
            field=field,
            hint=_nearest(name, DATASETS),
        )
    if config.dataset.path is not None:
        if config.dataset.source == "synthetic":
            raise InputError(
                f"{config.dataset.path!r} is given, and synthetic data is asked for",
                source=_source("dataset.path", file, set_by),
                field="dataset.path",
                hint="leave out either",
            )
        return
    counts = {
        "train_samples": (config.dataset.train_samples, config.facts.train_count),
        "test_samples": (config.dataset.test_samples, config.facts.test_count),
    }
    for key, (wanted, available) in counts.items():
        if wanted is not None and wanted > available:
            field = f"dataset.{key}"
            raise InputError(
                f"{wanted} is more than the {available} images of {config.facts.title}",
                source=_source(field, file, set_by),
                field=field,
                hint="leave it out for all",
            )


def _check_validation(config: RunConfig, file: str, set_by: Mapping[str, str]) -> None:
    fraction = config.training.validation
    samples = config.dataset.train_samples or config.facts.train_count
    if isinstance(fraction, float) and not 0 < int(samples * (1 - fraction)) < samples:
        field = "training.validation"
        raise InputError(
            f"{fraction} of {samples} images leaves none to train on, or none to validate on",
            source=_source(field, file, set_by),
            field=field,
        )


def _check_target(config: RunConfig, file: str, set_by: Mapping[str, str]) -> None:
    target, validation = config.training.target_accuracy, config.training.validation
    if target is not None and validation != "test":
        field = "training.target_accuracy"
        raise InputError(
            f"{target} is of the test set, but training.validation is {validation}",
            source=_source(field, file, set_by),
            field=field,
            hint="set training.validation=test, or use --until",
        )


def _check_network(config: RunConfig, file: str, set_by: Mapping[str, str]) -> None:
    try:
        layer_table(config.model, config.facts.image_shape, config.facts.classes)
    except ShapeError as error:
        field = f"model.{error.field}"
        raise InputError(
            f"the network cannot be built: {error}",
            source=_source(field, file, set_by),
            field=field,
        ) from None


def _check_jit(config: RunConfig, file: str, set_by: Mapping[str, str]) -> None:
    if config.training.execution != "fused":
        return
    refused = {
        ("jax", "off"): "a fused epoch on jax, which compiles ahead; allowed: auto, on",
        ("torch", "on"): "a fused epoch on torch with dropout; allowed: auto, off",
    }
    wanted = config.backend, config.training.jit
    if wanted in refused and (config.backend != "torch" or config.has(Dropout)):
        field = "training.jit"
        raise InputError(
            f"{config.training.jit!r} is not possible for {refused[wanted]}",
            source=_source(field, file, set_by),
            field=field,
            hint="leave it out, or use training.execution=fit",
        )


def _as_input_error(error: ValidationError, file: str, set_by: Mapping[str, str]) -> InputError:
    problems = error.errors(include_url=False)
    # An unknown field explains the others: a misspelt `modle` also makes `model` missing.
    first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    location = [part for part in first["loc"] if part not in ("dense", "cnn")]
    field = ".".join(str(part) for part in location)
    problem, hint = _problem_and_hint(dict(first), field)
    if len(problems) > 1:
        hint = f"{hint}; {len(problems) - 1} more after this one"
    return InputError(problem, source=_source(field, file, set_by), field=field, hint=hint)


def _problem_and_hint(problem: Mapping[str, Any], field: str) -> tuple[str, str]:
    kind, value = problem["type"], problem["input"]
    *groups, last = field.split(".")
    if kind == "extra_forbidden":
        allowed = _fields_of(groups, problem["loc"])
        where = f" of {'.'.join(groups)}" if groups else ""
        return f"unknown field, value {value!r}", _nearest(last, allowed, f"the fields{where} are")
    if kind == "missing":
        return "is missing", _example(field)
    if kind == "union_tag_not_found":
        return "model.family is missing", "allowed: dense, cnn"
    if kind == "union_tag_invalid":
        tag = value.get("family") if isinstance(value, dict) else value
        return f"family {tag!r} is not known", "allowed: dense, cnn"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{value!r} must be a group of fields", _example(field)
    message = str(problem["msg"]).removeprefix("Value error, ")
    message = message.replace("Input should be", "must be").replace(
        "String should match pattern", "must match"
    )
    message = message.replace("tuple should have", "must have").replace("tuple", "list")
    message = message.removesuffix(" after validation, not 0")
    message = message[0].lower() + message[1:]
    return f"{value!r} {message}", "see: mnistbench config schema"


def _example(field: str) -> str:
    examples = {"model": "for example model: {family: dense, hidden_units: [64]}"}
    return examples.get(field, "see: mnistbench config show mnist-dense")


def _fields_of(groups: Sequence[str], location: Sequence[object]) -> list[str]:
    schema = json_schema()
    family = next((part for part in location if part in ("dense", "cnn")), None)
    if not groups:
        return list(schema["properties"])
    names = {"dataset": "DatasetConfig", "training": "TrainingConfig"}
    models = {"dense": "DenseModel", "cnn": "CnnModel"}
    name = models[str(family)] if groups[0] == "model" and family else names.get(groups[0])
    return list(schema["$defs"][name]["properties"]) if name else []


def _nearest(word: str, known: Iterable[str], listing: str = "known are") -> str:
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return f"{listing} {', '.join(known)}" if known else "see: mnistbench config schema"


def _source(field: str, file: str, set_by: Mapping[str, str]) -> str:
    """Return who set the field: the `--set` that did, or else the file."""
    for prefix, override in set_by.items():
        if f"{field}.".startswith(f"{prefix}.") or f"{prefix}.".startswith(f"{field}."):
            return override
    return file


__all__ = [
    "DEFAULT_CONFIG",
    "DatasetConfig",
    "RunConfig",
    "TrainingConfig",
    "json_schema",
    "known_configs",
    "load_config",
]
