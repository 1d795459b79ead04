"""Run every ``benchmarks/bench_*.py`` in turn: ``python -m benchmarks`` or ``make bench``.

Each prints what it likes. Its lines of the form ``RATIO <name> <measured> target <value>`` are
gathered into one table at the end; ``DIFFERENCE``, ``MEMORY`` and ``SECONDS`` instead of ``RATIO``
say that the target is an upper limit.
"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
UPPER_LIMIT = {"RATIO": False, "DIFFERENCE": True, "MEMORY": True, "SECONDS": True}


def run(script: Path) -> tuple[int, list[list[str]]]:
    """Run one benchmark, pass on what it prints, and give its status and its measurements."""
    command, measured = [sys.executable, "-u", str(script)], []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=FOLDER.parent
    ) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            words = line.split()
            if len(words) == 5 and words[0] in UPPER_LIMIT and words[3] == "target":
                measured.append(words)
    return process.returncode, measured


def main() -> int:
    """Run all, print the table, and give 1 when a benchmark failed or missed its target."""
    table, failed = [], False
    for script in sorted(FOLDER.glob("bench_*.py")):
        print(f"== {script.name}", flush=True)
        status, measured = run(script)
        table += measured
        if status:
            print(f"{script.name} ended with status {status}", file=sys.stderr)
            failed = True
    print(f"\n{'':10} {'':34} {'measured':>10}   {'target':>9}")
    for kind, name, value, _, target in table:
        upper = UPPER_LIMIT[kind]
        met = float(value) <= float(target) if upper else float(value) >= float(target)
        sign, verdict = "<=" if upper else ">=", "met" if met else "MISSED"
        print(f"{kind.lower():10} {name:34} {value:>10} {sign} {target:>8}  {verdict}")
        failed |= not met
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
