"""Ends whatever a test run has started and left, when the run itself was killed.

A process of its own, which reads from the run: one word when it ends in order, and nothing when
it was killed. Every process that the run started, or that these started, has a variable of its
environment in common. ``python tests/watchdog.py NAME VALUE``
"""

import contextlib
import sys
import time

import psutil

PATIENCE = 20  # seconds in which new processes are looked for


def marked(name, value):
    """Processes whose environment has a variable of this value."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(name) == value:
                found.append(process)
    return found


def end(name, value):
    """Kill them, and what they start meanwhile; give their number."""
    ended, until = set(), time.monotonic() + PATIENCE
    while (alive := marked(name, value)) and time.monotonic() < until:
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(alive, timeout=1)
        ended.update(process.pid for process in alive)
    return len(ended)


if __name__ == "__main__":
    if not sys.stdin.buffer.read():
        count = end(*sys.argv[1:])
        print(
            f"\npytest was killed, by a person or for want of memory; {count} processes that it "
            "had started were ended. Nothing of it runs any more.",
            file=sys.stderr,
        )
