"""A call finds as much of Python's stack left as a script's own line, however deep it is made.

What is left shows in the page faults of a loop: at some depths it calls across the end of a chunk
of the stack, and each call takes a new one (https://github.com/python/cpython/issues/142183).
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROBE = """
import json, resource, sys
sys.modules["keras"] = None  # what is tested needs no framework
import mnistbench.measuring.inside
from mnistbench.measuring.inside.script_stack import as_from_a_script

CALLS = 40

def leaf():
    if False:  # as large a frame as that of `faults`: no end of a chunk is passed by between them
        a = b = c = d = e = f = g = h = i = j = None

def faults(depth):
    if depth:
        return faults(depth - 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(CALLS):
        leaf()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def nested(frames, way, depth):
    if frames:
        return nested(frames - 1, way, depth)
    return way(faults, depth)

def plainly(call, depth):
    return call(depth)

# Not in a function: these are the lines of a script.
script, ours, plain = [], {}, {}
for depth in range(300):
    if faults(depth) >= CALLS:
        script.append(depth)
for frames in (0, 7, 30, 60):
    ours[frames], plain[frames] = [], []
    for depth in range(300):
        if nested(frames, as_from_a_script, depth) >= CALLS:
            ours[frames].append(depth)
        if nested(frames, plainly, depth) >= CALLS:
            plain[frames].append(depth)
print(json.dumps([script, list(ours.values()), list(plain.values())]))
"""


@pytest.fixture(scope="module")
def slow_depths() -> tuple[list[int], list[list[int]], list[list[int]]]:
    """Depths at which a loop takes a chunk with each call: script's, ours, without help."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    script, ours, plain = json.loads(done.stdout)
    return script, ours, plain


@pytest.mark.skipif(sys.platform != "linux", reason="counts page faults as Linux does")
def test_the_ends_of_chunks_are_where_a_script_has_them(
    slow_depths: tuple[list[int], list[list[int]], list[list[int]]],
) -> None:
    script, ours, plain = slow_depths
    if not script:  # Python 3.10, and releases that keep a chunk
        assert not any(ours)
        return
    assert len(script) > 1
    for depths in ours:  # a frame of the probe has 16 words; ours is a few off by Python's version
        assert all(any(abs(own - its) <= 1 for its in script) for own in depths)
        assert all(any(abs(own - its) <= 1 for own in depths) for its in script)
    assert any(depths != script for depths in plain), "without help they move with the depth"


@pytest.mark.parametrize("value", [3, ValueError("it is")])
def test_what_it_calls_returns_and_raises(value: int | ValueError) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"""
import sys
sys.modules["keras"] = None
import mnistbench.measuring.inside
from mnistbench.measuring.inside.script_stack import as_from_a_script
def call(first, *, second):
    if isinstance(first, Exception):
        raise first
    return first + second
try:
    print(as_from_a_script(call, {value!r}, second=4))
except ValueError as error:
    print("raised", error)
"""], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == ("raised it is" if isinstance(value, ValueError) else "7")
