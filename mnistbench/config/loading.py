"""From a name, a file and overrides to one checked RunConfig; every mistake is one line."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mnistbench.config.datasets import DATASETS
from mnistbench.config.devices import check_devices
from mnistbench.config.files import find_config, read_mapping, user_path
from mnistbench.config.frameworks import BACKENDS
from mnistbench.config.network import Dropout, ShapeError, layer_table
from mnistbench.config.problems import OPTION, as_input_error, nearest, set_by_whom
from mnistbench.config.run_config import SWEEP, RunConfig
from mnistbench.config.sweep_block import SweepBlock
from mnistbench.config.sweep_space import checked_block, space_of_block
from mnistbench.config.yaml_text import read_yaml
from mnistbench.errors import InputError

DEFAULT_CONFIG = "mnist-dense"


@dataclass(frozen=True)
class ConfigFields:
    """What a file and overrides say, not yet checked: the points of a sweep differ from that."""

    fields: Mapping[str, Any]
    """As written, one in another; without the block `sweep`."""
    source: str
    """The file, for messages."""
    set_by: Mapping[str, str] = field(default_factory=dict)
    """Field, with dots, to the `--set` that set it."""
    sweep: object = None
    """The block `sweep`, unchecked; None where there is none."""

    def config(self) -> RunConfig:
        """Return the config; raise InputError, also for a block `sweep` that names no points."""
        block = self.block()
        if block is not None:
            space_of_block(block, self.source, self.set_by)
        return _checked(self.fields, self.source, self.set_by)

    def block(self) -> SweepBlock | None:
        """Return the block `sweep`, if there is one; raise InputError."""
        return None if self.sweep is None else checked_block(self.sweep, self.source, self.set_by)

    def point(self, name: str, label: str, settings: Mapping[str, Any]) -> RunConfig:
        """Return the config of that name with other settings, by fields with dots.

        Raises InputError, which begins with `label`.
        """
        fields = copy.deepcopy(dict(self.fields))
        for setting, value in settings.items():
            _set_field(fields, setting, copy.deepcopy(value), label)
        set_by = {**dict.fromkeys(settings, label), **self.set_by}
        return _checked({**fields, "name": name}, f"{label} of {self.source}", set_by)


def load_config(name_or_path: str, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a shipped config by its bare name, or any by its path, and apply `FIELD=VALUE`s.

    Raises InputError, naming the file, the field, the value and what is allowed.
    """
    return read_fields(name_or_path, overrides).config()


def read_fields(name_or_path: str, overrides: Sequence[str] = ()) -> ConfigFields:
    """Read what `load_config` checks; raise InputError for what is no config file at all."""
    path = find_config(name_or_path)
    fields = {"name": path.stem, **read_mapping(path)}
    _resolve_data_path(fields, path)
    set_by = {}
    for override in overrides:
        field, value = _split_override(override)
        _set_field(fields, field, value, f"--set {override}")
        set_by[field] = f"--set {override}"
    return ConfigFields(fields, str(path), set_by, fields.pop(SWEEP, None))


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
    if not equals or not re.fullmatch(r"\w+(\.\w+){0,9}", field):
        raise InputError(
            f"{override!r} is not FIELD=VALUE", source="--set", hint="try training.batch_size=128"
        )
    return field, read_yaml(text, f"--set {override}")


def _set_field(fields: dict[str, Any], field: str, value: Any, source: str) -> None:
    *groups, last = field.split(".")
    for group in groups:
        inner = fields.setdefault(group, {})
        if not isinstance(inner, dict):
            whole = field[: field.index(f"{group}.") + len(group)]
            how = f"--set '{whole}={inner}'" if source.startswith(OPTION) else f"{whole}: {inner}"
            hint = f"set the whole list: {how}" if inner else None
            raise InputError(
                f"{group} has no fields below it",
                source=source,
                field=field,
                hint=hint if isinstance(inner, list) else None,
            )
        fields = inner
    if field == "dataset.path" and isinstance(value, str):
        value = _absolute(value, Path(), f"{source}: {field}")
    fields[last] = value


def _checked(fields: Mapping[str, Any], file: str, set_by: Mapping[str, str]) -> RunConfig:
    try:
        config = RunConfig.model_validate(fields)
    except ValidationError as error:
        raise as_input_error(error, file, set_by) from None
    _check_dataset(config, file, set_by)
    _check_validation(config, file, set_by)
    _check_target(config, file, set_by)
    _check_network(config, file, set_by)
    _check_jit(config, file, set_by)
    _check_kernels(config, file, set_by)
    _check_image_dtype(config, file, set_by)
    check_devices(config, file, set_by)
    return config


def _check_dataset(config: RunConfig, file: str, set_by: Mapping[str, str]) -> None:
    name = config.dataset.name
    if name not in DATASETS:
        field = "dataset.name"
        raise InputError(
            f"{name!r} is no data set of mnistbench; allowed: {', '.join(sorted(DATASETS))}",
            source=set_by_whom(field, file, set_by),
            field=field,
            hint=nearest(name, DATASETS),
        )
    if config.dataset.path is not None:
        if config.dataset.source == "synthetic":
            raise InputError(
                f"{config.dataset.path!r} is given, and synthetic data is asked for",
                source=set_by_whom("dataset.path", file, set_by),
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
                source=set_by_whom(field, file, set_by),
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
            source=set_by_whom(field, file, set_by),
            field=field,
        )


def _check_target(config: RunConfig, file: str, set_by: Mapping[str, str]) -> None:
    target, validation = config.training.target_accuracy, config.training.validation
    if target is not None and validation != "test":
        field = "training.target_accuracy"
        raise InputError(
            f"{target} is of the test set, but training.validation is {validation}",
            source=set_by_whom(field, file, set_by),
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
            source=set_by_whom(field, file, set_by),
            field=field,
        ) from None


def _check_jit(config: RunConfig, file: str, set_by: Mapping[str, str]) -> None:
    if config.training.execution != "fused":
        return
    framework, wanted = BACKENDS[config.backend], config.training.jit
    why = framework.fused_jit_refused.get(wanted)
    if why is None and config.has(Dropout):
        why = framework.fused_jit_refused_with_dropout.get(wanted)
    if why is not None:
        field = "training.jit"
        raise InputError(
            f"{wanted!r} is not possible for {why}",
            source=set_by_whom(field, file, set_by),
            field=field,
            hint="leave it out, or use training.execution=fit",
        )


def _check_kernels(config: RunConfig, file: str, set_by: Mapping[str, str]) -> None:
    """Raise InputError for a choice that is not offered by the framework."""
    framework = BACKENDS[config.backend]
    fixed = f"{framework.title} has no switch for oneDNN"
    refused = {
        "onednn": "" if framework.onednn_variable else fixed,
        "threads": framework.threads_refused,
    }
    for name, why in refused.items():
        value = getattr(config.training, name)
        if value != "auto" and why:
            field = f"training.{name}"
            raise InputError(
                f"{value!r} is not possible on {config.backend}: {why}",
                source=set_by_whom(field, file, set_by),
                field=field,
                hint="leave it out",
            )


def _check_image_dtype(config: RunConfig, file: str, set_by: Mapping[str, str]) -> None:
    wanted = config.dataset.image_dtype
    if config.training.execution == "fused" and wanted != "float32":
        field = "dataset.image_dtype"
        raise InputError(
            f"{wanted!r} is not possible with training.execution fused: it takes the images as "
            "bytes, and normalises them in float32",
            source=set_by_whom(field, file, set_by),
            field=field,
            hint="set dataset.image_dtype=float32, or use training.execution=fit",
        )
