"""A call with Python's stack of frames as a script has it, however deep it is made.

CPython 3.11 and later keep frames in chunks of 16 KB, and give a chunk back to the kernel as soon
as it is left: a loop that happens to call across a chunk's end pays for a new chunk, and its page
faults, with every call (https://github.com/python/cpython/issues/142183; later releases keep one
chunk). Which loops those are depends on how many frames lie below: a few of ours made the tracing
of a convolutional network some hundredths longer than the same lines of a script, or shorter.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")

_CHUNK_WORDS = (16 * 1024) // 8 - 3
"""What a chunk holds beside its header, in words of 8 bytes."""
_LARGE_CHUNK_WORDS = (32 * 1024) // 8 - 3
"""The same of the next size: what a frame gets that leaves a smaller one too full."""
_FRAME_WORDS = 10
"""Of any frame, beside its variables and its stack: 9 to 11 by Python's version."""
_MODULE_WORDS = 20
"""The frame of a script's own lines."""


def as_from_a_script(call: Callable[..., Result], *args: Any, **keywords: Any) -> Result:
    """Return what the call returns; a script's own line would find as much of a chunk left."""
    return call(*args, **keywords)


def _fill(code: Any) -> Any:
    """Return the code with a frame so large that it begins a chunk, and leaves what a script does.

    A frame of this size is given the larger chunk, of which a script's part of a chunk is left.
    """
    own = code.co_nlocals + _FRAME_WORDS
    left = _CHUNK_WORDS - _MODULE_WORDS
    return code.replace(co_stacksize=_LARGE_CHUNK_WORDS - left - own)


if sys.implementation.name == "cpython" and sys.version_info >= (3, 11):
    as_from_a_script.__code__ = _fill(as_from_a_script.__code__)
