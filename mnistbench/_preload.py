"""What the fork server imports before it forks: everything a repeat needs, started nothing."""

import gc

from mnistbench import (
    cli,  # noqa: F401  each child reads the command's script again, and finds it loaded
    measuring_process,
)

if measuring_process.preload():
    from mnistbench import training  # noqa: F401

# A collection in a forked child would write to every object's header, and so copy its page.
gc.collect()
gc.freeze()
