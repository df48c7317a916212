"""A framework imported while the command still prepares: checks the data, makes folders."""

from __future__ import annotations

import os

from mnistbench.config.frameworks import check_installed
from mnistbench.config.run_config import RunConfig
from mnistbench.machine.cgroups import cgroup_facts
from mnistbench.machine.cpu import affinity
from mnistbench.measuring.fork_servers import fork_is_safe, server_of
from mnistbench.measuring.interpreters import Surroundings
from mnistbench.measuring.startup import environment_of


def import_early(config: RunConfig, start_method: str) -> None:
    """Start the fork server that a config's processes will be forked from, if there will be one.

    Raises InputError for a framework that is not installed, and RunError where nothing starts.
    """
    forks = start_method != "spawn" and fork_is_safe()
    if not forks or config.training.processes > 1 or not _has_two_cores():
        return
    check_installed([config.backend])
    server_of(Surroundings({**os.environ, **environment_of(config)}, None, None))


def _has_two_cores() -> bool:
    """Return whether the import, which is timed, need not wait for what goes on beside it."""
    quota = cgroup_facts()["cgroup_cpu_limit_cores"]
    return len(affinity()) >= 2 and not (isinstance(quota, int | float) and quota < 2)
