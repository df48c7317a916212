"""Data that is nowhere on this machine: downloaded in a process of its own, before any repeat."""

from __future__ import annotations

from collections.abc import Iterable

from mnistbench import data
from mnistbench.config.datasets import DatasetFacts
from mnistbench.config.run_config import RunConfig
from mnistbench.config.temporary import temporary_folder
from mnistbench.measuring.executor import TaskFailure
from mnistbench.measuring.jobs import Listener
from mnistbench.measuring.startup import measuring_environment
from mnistbench.measuring.tasks import download
from mnistbench.measuring.workers import Workers
from mnistbench.results.phases import PhaseRecord


def fetch_missing(configs: Iterable[RunConfig], tell: Listener) -> dict[str, PhaseRecord]:
    """Bring every config's data to mnistbench's folder; return the downloads by data set.

    Raises InputError, with the ways out, for data that is nowhere and cannot be downloaded.
    """
    return {facts.name: fetch(facts, tell) for facts in data.bring(configs)}


def fetch(facts: DatasetFacts, tell: Listener) -> PhaseRecord:
    """Download and store a data set; raise InputError, with the ways out, if it cannot be had."""
    workers = Workers(measuring_environment("auto"), "auto")
    try:
        with temporary_folder() as scratch:
            phase: PhaseRecord = workers.run(download, facts.name, scratch / "log", tell)
    except TaskFailure as failure:
        raise data.not_here(facts, failure.reason) from None
    return phase
