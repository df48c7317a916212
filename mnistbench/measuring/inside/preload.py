"""What the fork server imports before it forks: everything a repeat needs, started nothing."""

import gc

# Before the framework, as in a spawned process, which reads its order first. After it pydantic
# would look through thousands of modules for the meanings of the fields: a tenth of a second.
from mnistbench.config import run_config  # noqa: F401
from mnistbench.measuring.inside import framework

if framework.preload():
    from mnistbench.measuring.inside import repeat  # noqa: F401

# A collection in a forked child would write to every object's header, and so copy its page.
gc.freeze()
