"""Data-parallel training: what a config can ask for, and whether batches can be shared equally.

What depends on the machine, how many devices it has, is asked once a backend has told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mnistbench.config.frameworks import BACKENDS, DEVICES, PROCESSES
from mnistbench.config.problems import set_by_whom
from mnistbench.config.run_config import RunConfig
from mnistbench.errors import InputError

ALL = "all"


def is_parallel(config: RunConfig) -> bool:
    """Return whether a config asks for more than the one device that it would have anyway."""
    return config.training.devices != 1 or config.training.processes != 1


def on_one_device(config: RunConfig) -> RunConfig:
    """Return the same config for one device: what was learnt on several is tested on one."""
    training = config.training.model_copy(update={"devices": 1, "processes": 1})
    return config.model_copy(update={"training": training})


def refuse_several(
    configs: Iterable[RunConfig], why: str, source: str, hint: str, processes_alone: bool = False
) -> None:
    """Raise InputError for a config of several devices, or processes, where one is needed."""
    for config in configs:
        training = config.training
        if training.processes != 1 or (is_parallel(config) and not processes_alone):
            several = (
                f"{config.name} has training.processes {training.processes}"
                if training.processes != 1
                else f"{config.name} has training.devices {training.devices}"
            )
            raise InputError(f"{several}: {why}", source=source, hint=hint)


def devices_a_process(config: RunConfig, seen: int) -> int:
    """Return how many devices each process trains on, of so many that it sees."""
    asked = config.training.devices
    return seen if isinstance(asked, str) else asked // config.training.processes


def check_devices(config: RunConfig, file: str, set_by: Mapping[str, str]) -> None:
    """Raise InputError for what cannot be trained on several devices on any machine."""
    if not is_parallel(config):
        return
    for field, problem, hint in (*_not_possible(config), *_uneven_as_planned(config)):
        raise InputError(problem, source=set_by_whom(field, file, set_by), field=field, hint=hint)


def check_seen(config: RunConfig, device: str, seen: int) -> None:
    """Raise InputError for a config whose devices are not there, or cannot share its batches.

    `device` is `cpu` or `gpu`, as resolved, and `seen` how many of them a process sees. A CPU is
    cut into as many logical ones as are asked for.
    """
    if not is_parallel(config):
        return
    training = config.training
    if device == "gpu" and training.processes != 1:
        raise InputError(
            f"{training.processes} processes would each take all GPUs of this machine; one process "
            "trains on all of them",
            field=PROCESSES,
            hint="set training.processes=1, or device=cpu",
        )
    if device == "gpu" and training.devices != ALL and int(training.devices) > seen:
        gpus = "is 1 GPU" if seen == 1 else f"are {seen} GPUs"
        raise InputError(
            f"{training.devices} were asked for, and there {gpus} that "
            f"{BACKENDS[config.backend].title} sees",
            field=DEVICES,
            hint="set training.devices=all, or see: mnistbench machine-info",
        )
    replicas = devices_a_process(config, seen) * training.processes
    for field, problem, hint in _uneven(config, replicas, counts_of(config)):
        raise InputError(problem, field=field, hint=hint)


def counts_of(config: RunConfig) -> dict[str, int]:
    """Return the images of each set that goes through the network.

    None of a copy of the user's own: its numbers are known once it is read.
    """
    if config.dataset.path is not None:
        return {}
    train = config.dataset.train_samples or config.facts.train_count
    test = config.dataset.test_samples or config.facts.test_count
    return split_counts(config, train, test)


def split_counts(config: RunConfig, train: int, test: int) -> dict[str, int]:
    """Return the same for so many training images, before any are cut off, and test images."""
    fraction = config.training.validation
    learnt = int(train * (1 - fraction)) if isinstance(fraction, float) else train
    return {"training set": learnt, "validation part": train - learnt, "test set": test}


def check_even(config: RunConfig, replicas: int, counts: Mapping[str, int]) -> None:
    """Raise InputError where a batch of sets of these sizes has no equal share for each replica."""
    for field, problem, hint in _uneven(config, replicas, counts):
        raise InputError(problem, field=field, hint=hint)


_Problem = tuple[str, str, str]
"""The field, what is wrong with its value, and what to do."""


def _not_possible(config: RunConfig) -> list[_Problem]:
    training, framework = config.training, BACKENDS[config.backend]
    asked, processes = training.devices, training.processes
    with_devices = " or ".join(name for name, each in BACKENDS.items() if not each.devices_refused)
    with_processes = " or ".join(
        name for name, each in BACKENDS.items() if not each.processes_refused
    )
    jit = framework.jit_refused_on_devices.get(training.jit)
    checks = (
        (processes != 1 and framework.processes_refused, PROCESSES,
         f"{processes} is not possible on {config.backend}: {framework.processes_refused}",
         f"use --backend {with_processes}"),
        (framework.devices_refused, DEVICES,
         f"{asked} is not possible on {config.backend}: {framework.devices_refused}",
         f"use --backend {with_devices}"),
        (training.execution == "fused", DEVICES,
         f"{asked} is not possible with training.execution fused: its epoch is one program on one "
         "device", "use training.execution=fit"),
        (jit, "training.jit", f"{training.jit!r} is not possible on several devices: {jit}",
         "leave it out"),
        (asked != ALL and int(asked) % processes, DEVICES,
         f"{asked} cannot be shared equally by {processes} processes",
         f"set training.devices={processes}, or another multiple"),
        (processes != 1 and isinstance(training.validation, float), PROCESSES,
         f"{processes} is not possible with training.validation {training.validation}: Keras would "
         "cut it off in each process", "use training.validation=test or none"),
        (processes != 1 and config.device == "gpu", PROCESSES,
         f"{processes} processes would each take all GPUs of this machine; one process trains on "
         "all of them", "set training.processes=1, or device=cpu"),
    )  # fmt: skip
    return [(field, problem, hint) for applies, field, problem, hint in checks if applies]


def _uneven_as_planned(config: RunConfig) -> list[_Problem]:
    asked = config.training.devices
    return [] if isinstance(asked, str) else _uneven(config, asked, counts_of(config))


def _uneven(config: RunConfig, replicas: int, counts: Mapping[str, int]) -> list[_Problem]:
    """Return the batches that so many replicas cannot share equally, the full ones first.

    JAX refuses them. TensorFlow gives one replica fewer images, or none, and Keras weighs its
    gradient as much as the others': what is learnt would depend on the number of devices.
    """
    batch = config.training.batch_size
    if batch % replicas:
        return [(
            "training.batch_size", f"{batch} images cannot be shared equally by {replicas} devices",
            f"set it to a multiple of {replicas}",
        )]  # fmt: skip
    fields = {"training set": "dataset.train_samples", "test set": "dataset.test_samples"}
    return [
        (
            DEVICES,
            f"the last batch of the {name} has {count % batch} images ({count} by {batch}), which "
            f"cannot be shared equally by {replicas} devices",
            f"set {fields.get(name, 'training.batch_size')} so that they can",
        )
        for name, count in counts.items()
        if count % batch % replicas
    ]
