"""``python -m helpers`` is the command line ``microprop``."""

import sys

from helpers.cli import main

sys.exit(main())
