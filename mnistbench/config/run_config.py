"""Run configs: YAML and overrides in, one frozen and fully checked RunConfig out.

Every check that needs no data ends here, before a framework is imported.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
)

from mnistbench.config.datasets import DATASETS, DatasetFacts
from mnistbench.config.network import Layer, Model, layer_table
from mnistbench.config.sweep_block import SweepBlock
from mnistbench.config.versions import left_out_of_digest, version_line

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
ImageType = Literal["float32", "float64"]
Execution = Literal["fit", "fused"]
Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]

_FROZEN = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)
_MOST = 1024
"""Devices of a training, threads of an operation."""
_Count = Annotated[int, Field(ge=1)]
SWEEP = "sweep"
"""The block of a config file that is for `mnistbench sweep` alone."""


def _on_or_off(value: object) -> object:
    # YAML reads a bare on or off as true or false.
    return ("on" if value else "off") if isinstance(value, bool) else value


Switch = Annotated[Literal["auto", "on", "off"], BeforeValidator(_on_or_off)]


def _validation(value: object) -> str | float:
    if value in ("none", "test") and isinstance(value, str):
        return value
    if isinstance(value, float | int) and not isinstance(value, bool) and 0 < value < 1:
        return float(value)
    raise ValueError("must be none, test, or a fraction of the training set between 0 and 1")


def _word_or_count(word: str) -> Callable[[object], str | int]:
    def checked(value: object) -> str | int:
        if value == word and isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST:
            return value
        raise ValueError(f"must be {word}, or a whole number from 1 to {_MOST}")

    return checked


def _word_or_count_schema(word: str) -> WithJsonSchema:
    count = {"type": "integer", "minimum": 1, "maximum": _MOST}
    return WithJsonSchema({"anyOf": [{"enum": [word]}, count]})


Threads = Annotated[
    int | str, PlainValidator(_word_or_count("auto")), _word_or_count_schema("auto")
]
Devices = Annotated[int | str, PlainValidator(_word_or_count("all")), _word_or_count_schema("all")]

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
    image_dtype: ImageType = "float32"
    """What a pixel becomes before `fit` gets it: `float32`; or `float64`, as bytes divided by a
    number are in NumPy, and so in some of the lessons: Keras then casts every batch, in the train
    phase. A `fused` epoch takes the bytes and knows float32 only."""
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
    """Images a training step, and a test step; with several `devices` those of all together."""
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
    jit: Switch = "auto"
    """Compile by XLA, with torch by `torch.compile`: `on`, `off`, or `auto`: with `fit` what Keras
    decides, with `fused` what is faster; with TensorFlow XLA on a GPU and for dense networks, none
    on a CPU for convolutions and for trainings too short to earn it back. A fused JAX epoch is
    always compiled."""
    onednn: Switch = "auto"
    """Compute on a CPU with oneDNN's kernels, which TensorFlow has beside its own: `on`, `off`, or
    `auto`: what the variable `TF_ENABLE_ONEDNN_OPTS` says where it is set; else on with `fused` and
    convolutions, and what TensorFlow decides without, which leaves it off on processors without
    AVX-512."""
    threads: Threads = "auto"
    """Threads that one operation may use on a CPU, on TensorFlow and PyTorch; `auto`: what the
    framework decides, one for each core, and with `fused` one where a step is too small for two."""
    precision: Precision = "float32"
    """`float32`, or compute in 16 bits and keep the weights in 32, the softmax too:
    `mixed_bfloat16` where the processor has it, `mixed_float16` on GPUs."""
    target_accuracy: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    """End the training after the first epoch whose test accuracy is at least this; needs
    `validation: test`. The time until then is recorded; `epochs` are the most."""
    devices: Devices = 1
    """Train data-parallel on so many devices, or `all` that the backend sees: each has a copy of
    the network and an equal share of every batch. With `fit`, on TensorFlow and JAX. On a CPU they
    are logical devices that share its cores: a test of the wiring, with no speed-up to expect."""
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    """Spread `devices` over so many processes of this machine: JAX on a CPU, in `benchmark` and
    `sweep`."""


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
    """The framework that Keras trains with; `jax` and `torch` are installed by
    packages of these names."""
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
        _leave_out_older(fields)
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_yaml(self) -> str:
        """Return the config with every field filled in, as YAML that loads to an equal one."""
        fields = self.model_dump(mode="json")
        text = yaml.dump(fields, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True)
        return f"{version_line()}# config_digest: {self.digest()}\n{text}"


def _leave_out_older(fields: dict[str, Any], group: str = "") -> None:
    """Delete the fields that say no more than a file of before them."""
    for name, value in list(fields.items()):
        if isinstance(value, dict):
            _leave_out_older(value, f"{group}{name}.")
        elif left_out_of_digest(group + name, value):
            del fields[name]


class _PlainDumper(yaml.SafeDumper):
    """Writes lists of numbers in one row; its own class, as cloudmesh changes PyYAML's."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> Any:
        return super().represent_sequence(tag, sequence, flow_style=True)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a config file, so that editors complete and check it."""
    schema = RunConfig.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["required"] = ["model"]
    # No field of a RunConfig: what one run is has nothing to do with what else is tried.
    schema["$defs"]["SweepBlock"] = SweepBlock.model_json_schema()
    schema["properties"][SWEEP] = {"$ref": "#/$defs/SweepBlock"}
    return schema
