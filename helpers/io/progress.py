"""A progress bar on a terminal, lines in a log."""

from __future__ import annotations

import sys

from tqdm import tqdm


def progress_bar(title, unit, total, *, done=0, progress=True, **options):
    """A tqdm bar on a terminal; elsewhere a line now and then, and none in the first seconds.

    `done` of `total` were done before. Nothing is shown where `progress` is False or the
    environment holds ``TQDM_DISABLE=1``.
    """
    terminal = sys.stderr.isatty()
    if not progress:
        options["disable"] = True
    return tqdm(
        total=total,
        initial=done,
        desc=title,
        unit=unit,
        file=sys.stderr if terminal else sys.stdout,
        mininterval=0.2 if terminal else 20,
        delay=0 if terminal else 20,
        **options,
    )
