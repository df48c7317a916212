"""Who can be given the points of a sweep: each a thin shell over an existing engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LOCAL = "local"


@dataclass(frozen=True)
class Launcher:
    """What is known of a launcher before it is used; the command reads this and must stay light."""

    module: str
    """Of this package: its `Settings` are what `--launch` takes, its `Engine` starts the tasks."""
    package: str
    """What Python must find."""
    requirement: str
    """What to give to pip."""
    detaches: bool
    """Whether its tasks go on when the command ends, and can be asked about later."""


LAUNCHERS: Mapping[str, Launcher | None] = {
    LOCAL: None,
    "slurm": Launcher("slurm", "submitit", "submitit>=1.5", detaches=True),
    "dask": Launcher("dask", "distributed", "distributed>=2025.5", detaches=False),
}
"""Each launcher, by its word for `--launcher`; `local` is the command's own process. A new one is
an entry here and a module beside."""
