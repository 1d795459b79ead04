"""Many small computations: one thread each, as many at once as there are cores, each kept."""

from __future__ import annotations

import os

import joblib
import torch
from threadpoolctl import threadpool_limits

from helpers.io.progress import progress_bar


def run_cells(folder, function, cells, ignore=()):
    """Values of a function for many arguments; what the folder holds is not computed again.

    Parameters
    ----------
    folder : path-like
        Where values are kept, such as ``Computation.folder``. Arrays come back mapped from there.
    function : callable
        Of a module, not of a cell or a function, so that processes find it.
    cells : sequence of dict
        Its keyword arguments.
    ignore : sequence of str
        Arguments that do not tell cells apart, such as arrays that follow from the others.

    Returns
    -------
    list
        In the order of `cells`. Each cell computes with one thread, so that the seconds it takes
        are those of one core.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run_cells(folder, pow, [{"base": 2, "exp": 3}, {"base": 3, "exp": 2}])
    [8, 9]
    """
    kept = joblib.Memory(folder, mmap_mode="r", verbose=0).cache(function, ignore=list(ignore))
    waiting = [cell for cell in cells if not kept.check_call_in_cache(**cell)]
    done, name = len(cells) - len(waiting), function.__name__
    with progress_bar(name, "cell", len(cells), done=done) as bar:
        jobs = joblib.Parallel(os.cpu_count(), return_as="generator_unordered")
        for _ in jobs(joblib.delayed(_alone)(kept, cell) for cell in waiting):
            bar.update()
    return [kept(**cell) for cell in cells]


def _alone(kept, cell):
    torch.set_num_threads(1)
    with threadpool_limits(1):
        kept.call_and_shelve(**cell)
