"""The frameworks as measuring processes use them: a module for each."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from mnistbench.config.frameworks import BACKENDS

if TYPE_CHECKING:
    from mnistbench.measuring.inside.backends.base import Backend


def load(name: str) -> Backend:
    """Return a backend, importing its framework."""
    module = importlib.import_module(f"{__name__}.{BACKENDS[name].module}")
    backend: Backend = module.BACKEND
    return backend
