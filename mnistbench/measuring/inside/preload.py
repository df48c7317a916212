"""What the fork server imports before it forks: everything a repeat needs, started nothing."""

import gc

from mnistbench.measuring.inside import framework

if framework.preload():
    # A framework's objects are millions, and a collection looks at each: one fell into the import
    # of our own modules, and took half of its time. What is garbage already stays: to look for it
    # would take a third of a second.
    gc.freeze()
    from mnistbench.measuring.inside import repeat  # noqa: F401

# A collection in a forked child would write to every object's header, and so copy its page.
gc.freeze()
