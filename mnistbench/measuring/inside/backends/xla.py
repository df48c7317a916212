"""XLA's flags, which TensorFlow and JAX read from the environment when they first compile."""

from __future__ import annotations

import os

# No step was faster by it, and it was up to half of the time to compile several small layers.
WITHOUT_UNROLLING = "--xla_backend_extra_options=xla_cpu_disable_loop_unrolling"


def add_flag(flag: str) -> None:
    """Give XLA one flag more, `--name=value`; what the user has set stays."""
    flags = os.environ.get("XLA_FLAGS", "")
    if flag.partition("=")[0] not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {flag}".strip()
