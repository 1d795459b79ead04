"""``python -m helpers`` is the command line ``microprop``."""

from helpers.cli import run

run()
