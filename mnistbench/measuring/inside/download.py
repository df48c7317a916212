"""A data set downloaded by Keras's own loader, timed as a phase of its own, and stored.

Imports Keras: only measuring processes import this module.
"""

from __future__ import annotations

import importlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlparse

import keras
import numpy as np

from mnistbench.config.datasets import DATASETS, DatasetFacts
from mnistbench.data.dataset import checked, keep
from mnistbench.data.sources import keras_files, not_here
from mnistbench.measuring.clock import PhaseClock
from mnistbench.measuring.jobs import Downloading, Listener
from mnistbench.measuring.threads import start_thread
from mnistbench.results.phases import DATA_DOWNLOAD, PhaseRecord

_SILENCE_SECONDS = 30  # a network that drops packets instead of refusing them must not hang us
_TOLD_EVERY_SECONDS = 0.25


def run_download(name: str, tell: Listener) -> PhaseRecord:
    """Download, decode and store a data set; raise InputError, with the ways out, if it fails.

    The phase is Keras's `load_data` whole: download, digest check, unpacking and decoding.
    """
    facts = DATASETS[name]
    keras.config.set_image_data_format("channels_last")
    loader = importlib.import_module(f"keras.datasets.{name}")
    socket.setdefaulttimeout(_SILENCE_SECONDS)
    clock = PhaseClock(tell)
    try:
        with _told(facts, tell), clock.phase(DATA_DOWNLOAD):
            parts: Any = loader.load_data()
    except Exception as error:  # noqa: BLE001  Keras raises the bare class
        raise not_here(facts, _cause(error)) from None
    (x_train, y_train), (x_test, y_test) = parts
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    contiguous = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    keep(checked(contiguous, facts, "Keras's loader"), facts, "Keras's loader")
    return clock.records[DATA_DOWNLOAD]


def _cause(error: Exception) -> str:
    """Return why a download failed; Keras has one class for all of it, and its words for a log."""
    text = str(error)
    if "URL fetch failure" in text:
        address = text.partition(" on ")[2].partition(": ")[0]
        return f"no connection to {urlparse(address).netloc or 'its server'}"
    if "corrupted" in text or "hash" in text:
        return "what arrived is cut short or damaged"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"Keras's loader failed with {type(error).__name__}"


@contextmanager
def _told(facts: DatasetFacts, tell: Listener) -> Iterator[None]:
    """Tell how large Keras's archive has become, as Keras itself only prints it."""
    ended = threading.Event()
    total = facts.download_bytes or 0

    def watch() -> None:
        before = _archive_bytes(facts)
        tell(Downloading(facts.title, 0, total))
        while not ended.wait(_TOLD_EVERY_SECONDS):
            now = _archive_bytes(facts)
            if now != before:
                tell(Downloading(facts.title, min(now, total), total))

    has_told_last = start_thread(watch)
    try:
        yield
    finally:
        ended.set()
        has_told_last.wait()


def _archive_bytes(facts: DatasetFacts) -> int:
    sizes = [path.stat().st_size for path in keras_files(facts) if path.is_file()]
    return max(sizes, default=0)
