"""Changes of a config that could make it faster, for `explain` to try."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mnistbench.config.devices import refuse_several
from mnistbench.config.frameworks import BACKENDS
from mnistbench.config.run_config import RunConfig
from mnistbench.machine.cpu import affinity
from mnistbench.machine.host import machine_facts
from mnistbench.measuring.startup import wanted_onednn
from mnistbench.session.parts import has_python_between_steps

_FUSED: Mapping[str, object] = {"training.execution": "fused"}
_LEFT_TO_FUSED = ("jit", "onednn", "threads")
"""Fields that are automatic in a fused epoch, which chooses by what was measured to be faster."""


@dataclass(frozen=True)
class Setting:
    """A change of the config that could make it faster."""

    text: str
    """As for `--set`; several with a blank between them."""
    config: RunConfig


def check_explainable(config: RunConfig) -> None:
    """Raise InputError for a config of several devices."""
    refuse_several(
        [config],
        "where the time of several goes is not told",
        "explain",
        "add --set training.devices=1",
    )


def candidates(
    config: RunConfig, has_onednn: bool | None = None
) -> tuple[list[Setting], list[str]]:
    """Return the settings worth a measurement, and those that are ruled out.

    With Python between the steps, the first is the same training as a compiled epoch, by the same
    kernels: what it takes is what the steps compute. `has_onednn` says whether those of the config
    as it is are oneDNN's; None where there is no such choice.
    """
    changes = _of_fit(config, has_onednn) if has_python_between_steps(config) else []
    changes += [
        {**_FUSED, f"training.{name}": "auto"}
        for name in _LEFT_TO_FUSED
        if getattr(config.training, name) != "auto" and not _is_chosen_anyway(config, name)
    ]
    not_tried = []
    if config.training.precision == "float32":
        if _has_bfloat16(config):
            changes.append({**_FUSED, "training.precision": "mixed_bfloat16"})
        else:
            not_tried.append(
                "training.precision=mixed_bfloat16: this processor does not compute in bfloat16"
            )
    return [_setting(config, changed) for changed in changes], not_tried


def _is_chosen_anyway(config: RunConfig, name: str) -> bool:
    """Return whether a fused epoch would choose what the config says."""
    fused = _setting(config, {**_FUSED, f"training.{name}": "auto"}).config
    return name == "onednn" and wanted_onednn(fused).is_on == wanted_onednn(config).is_on


def _of_fit(config: RunConfig, has_onednn: bool | None) -> list[Mapping[str, object]]:
    training, framework = config.training, BACKENDS[config.backend]
    changes = [_FUSED]
    fused = wanted_onednn(_setting(config, _FUSED).config).is_on
    if None not in (fused, has_onednn) and fused != has_onednn:
        changes.insert(0, {**_FUSED, "training.onednn": _switch(has_onednn)})
    if config.dataset.image_dtype != "float32":
        changes.append({"dataset.image_dtype": "float32"})
    if has_onednn is not None and training.onednn == "auto":
        changes.append({"training.onednn": _switch(not has_onednn)})
    on_cpu = config.device == "cpu" or has_onednn is not None
    if on_cpu and _can_have_fewer_threads(config):
        changes.append({"training.threads": 1})
    if framework.keras_compiles and training.jit == "auto":
        changes.append({"training.jit": _switch(training.deterministic)})
    return changes


def _can_have_fewer_threads(config: RunConfig) -> bool:
    is_fixed = BACKENDS[config.backend].threads_refused
    return not is_fixed and config.training.threads == "auto" and len(affinity()) > 1


def _switch(is_on: bool | None) -> str:
    return "on" if is_on else "off"


def _setting(config: RunConfig, changed: Mapping[str, object]) -> Setting:
    """Return the config with fields changed, and what follows from them."""
    if changed.get("training.execution") == "fused":
        changed = {**changed, "dataset.image_dtype": "float32"}  # it knows no other
    groups = {"dataset": config.dataset, "training": config.training}
    news = {}
    for field, value in changed.items():
        group, _, name = field.partition(".")
        if getattr(groups[group], name) != value:
            news[field] = value
            groups[group] = groups[group].model_copy(update={name: value})
    text = " ".join(f"{field}={value}" for field, value in news.items())
    name = "-".join([config.name[:36], *(_name(*change) for change in news.items())])
    return Setting(text, config.model_copy(update={**groups, "name": name}))


def _name(field: str, value: object) -> str:
    """Return a setting within the name of a config: what is on, off or a number says which."""
    said = value in ("fused", "float32", "mixed_bfloat16")
    return str(value) if said else f"{field.partition('.')[2]}-{value}"


def _has_bfloat16(config: RunConfig) -> bool:
    """Return whether the device computes in bfloat16, and does not merely take it."""
    facts = machine_facts({})
    features = str(facts.get("cpu_features") or "").split()
    on_cpu = any(name in features for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return on_cpu or (config.device != "cpu" and bool(facts.get("gpu_count")))
