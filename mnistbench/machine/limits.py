"""What this process may have of the machine's memory, and what it cannot do without."""

from __future__ import annotations

import sys

from mnistbench.errors import RunError

_MEBIBYTE = 2**20
LEAST_BYTES = {"RLIMIT_DATA": 500 * _MEBIBYTE, "RLIMIT_AS": 1024 * _MEBIBYTE}
"""Measured: with less of its limits, NumPy, SciPy and DuckDB cannot be loaded on two cores."""
_OPTIONS = {"RLIMIT_DATA": "-d", "RLIMIT_AS": "-v"}


def refuse_little_memory() -> None:
    """Raise RunError where the process' own limits leave too little to load the libraries.

    They would not say so: OpenBLAS waits for ever or ends the process, half of an import fails.
    """
    if sys.platform == "win32":  # has no such limits
        return
    import resource

    for name, least in LEAST_BYTES.items():
        given = resource.getrlimit(getattr(resource, name))[0]
        if given not in (-1, resource.RLIM_INFINITY) and given < least:
            raise RunError(
                f"not enough memory: this process may have {given / _MEBIBYTE:.0f} MiB "
                f"(ulimit {_OPTIONS[name]}), and needs {least // _MEBIBYTE} MiB; raise the limit"
            )
