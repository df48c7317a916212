"""A thread begins, or says that it cannot."""

from __future__ import annotations

import subprocess
import sys
import threading

from mnistbench.measuring.threads import start_thread

# A real want of memory dies at another place each time: this dies where it hung, before the first
# line of the thread's work.
_DIES_FIRST = """
from mnistbench.measuring import threads

begin = threads.start_new_thread
def die(token):
    raise MemoryError
threads.start_new_thread = lambda run, held: begin(die, held)
try:
    threads.start_thread(print)
except MemoryError as error:
    print(error)
"""


def test_it_runs_and_its_end_is_told() -> None:
    seen: list[str] = []
    ended = start_thread(lambda: seen.append(threading.current_thread().name))
    assert ended.wait(10)
    assert seen != [threading.main_thread().name]


def test_one_that_dies_before_it_begins_is_an_error_and_no_wait() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _DIES_FIRST], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "no thread can be started\n"
