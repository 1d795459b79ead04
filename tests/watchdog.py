"""Ends whatever a test run has started and left, also when the run itself was killed.

A process of its own, which reads from the run: a byte when it ends in order, and nothing when it
was killed. Every process that the run started, or that these started, has a variable of its
environment in common. ``python tests/watchdog.py NAME VALUE``
"""

import contextlib
import sys
import time

import psutil

GRACE, PATIENCE = 5, 20  # seconds to end by itself; in which new processes are looked for


def marked(name, value):
    """Processes whose environment has a variable of this value."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(name) == value:
                found.append(process)
    return found


def end(name, value):
    """Kill them, and what they start meanwhile; give how many were ended, and how many remain."""
    ended, until = set(), time.monotonic() + PATIENCE
    while (alive := marked(name, value)) and time.monotonic() < until:
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(alive, timeout=1)
        ended.update(process.pid for process in alive)
    return len(ended), len(alive)


def main(name, value):
    """Wait for the end of the run, then see to it that nothing of it is left."""
    killed = not sys.stdin.buffer.read(1)
    if not killed:
        psutil.wait_procs(marked(name, value), timeout=GRACE)
    ended, alive = end(name, value)
    if killed or ended:
        what = "pytest was killed, by a person or for want of memory" if killed else "Tests ended"
        told = f"\n{what}; processes that they left and that were ended: {ended}."
        rest = f"{alive} could not be ended." if alive else "Nothing of the run is left."
        print(told, rest, file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
