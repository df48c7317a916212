"""mnistbench: how fast a machine trains a small neural network, measured honestly."""

from __future__ import annotations

# Importing `typing` would take longer than all else here, and a Ctrl-C in it shows a traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mnistbench.api import (
        Compared,
        InputError,
        MnistbenchError,
        Results,
        RunConfig,
        RunError,
        compare_results,
        load_config,
        read_results,
        run_benchmark,
    )

__version__ = "0.1.0"

__all__ = [
    "Compared", "InputError", "MnistbenchError", "Results", "RunConfig", "RunError",
    "compare_results", "load_config", "read_results", "run_benchmark",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    # Imported when it is asked for: the command needs the version alone, and at once.
    if name in __all__:
        import importlib

        return getattr(importlib.import_module("mnistbench.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
