"""The memory that a repeat asks for before its phases."""

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
