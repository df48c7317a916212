"""What the fork server imports before it forks: everything a repeat needs, started nothing."""

import gc

from mnistbench.measuring.inside import framework

if framework.preload():
    from mnistbench.measuring.inside import repeat  # noqa: F401

# A collection in a forked child would write to every object's header, and so copy its page.
gc.freeze()
