"""``python -m helpers`` is the command line ``microprop``."""

from helpers.own.cli import run

run()
