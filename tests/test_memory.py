"""The memory that a repeat asks for before its phases."""

import os
import subprocess
import sys

import pytest

SIZE_BYTES = 300 * 1000**2
PROBE = """
import resource, sys
sys.modules["keras"] = None  # what is tested needs no framework
from pathlib import Path
import mnistbench.measuring.inside
from mnistbench.measuring.inside import memory
if len(sys.argv) > 2:
    memory._CLEAR_REFS = Path(sys.argv[2])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before, touched = peak(), faults()
seconds = memory.bring_in(int(sys.argv[1]))
print(seconds, peak() - before, faults() - touched)
"""

ALLOCATOR = ("MALLOC_", "GLIBC_")
"""Variables that tell glibc what to keep, so that it learns nothing."""

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can forget a peak of memory")


def probe(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *map(str, arguments)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()


@linux
def test_memory_is_touched_and_no_peak_stays():
    seconds, more_bytes, faults = probe(SIZE_BYTES)
    assert float(seconds) > 0
    assert int(faults) > 50  # huge pages, or many more small ones
    assert int(more_bytes) < SIZE_BYTES / 10


def test_where_a_peak_cannot_be_forgotten_nothing_is_touched(tmp_path):
    seconds, more_bytes, _ = probe(SIZE_BYTES, tmp_path / "missing" / "clear_refs")
    assert seconds == "None"
    assert int(more_bytes) < SIZE_BYTES / 10


@linux
def test_more_than_there_is_is_not_asked_for():
    assert probe(1 << 62)[0] == "None"


STEPS = """
import platform, resource, sys
sys.modules["keras"] = None
import numpy as np
import mnistbench.measuring.inside
from mnistbench.measuring.inside import memory
if platform.libc_ver()[0] != "glibc":
    sys.exit("another allocator")
if sys.argv[1] == "drop":
    memory.drop_as_a_script_does()
def step():
    arrays = [np.empty(3_000_000, np.uint8) for _ in range(18)]  # no huge pages
    for array in arrays:
        array[::4096] = 1
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@linux
def test_what_a_step_frees_stays_for_the_next_one():
    faults = {}
    unset = {name: os.environ[name] for name in os.environ if not name.startswith(ALLOCATOR)}
    for kind in ("as it is", "drop"):
        done = subprocess.run(
            [sys.executable, "-c", STEPS, kind],
            capture_output=True, text=True, check=False, env=unset,
        )  # fmt: skip
        if "another allocator" in done.stderr:
            pytest.skip("glibc alone learns what to keep")
        faults[kind] = int(done.stdout)
    pages = 20 * 18 * 3_000_000 // 4096
    assert faults["as it is"] > pages / 2, "given back to the kernel after each step"
    assert faults["drop"] < pages / 20
