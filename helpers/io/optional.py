"""Packages that only some users need: each belongs to an extra of the project."""

from __future__ import annotations

import importlib

from helpers import UserError


class PackageError(UserError):
    """An optional package that cannot be used; the message holds the command that mends it."""


class NotInstalled(PackageError):
    """An optional package that is not there."""


def optional(name, extra):
    """Import a module, as ``"ray.data"``, that an extra of ``pyproject.toml`` installs.

    Examples
    --------
    >>> optional("no_such", "ray")
    Traceback (most recent call last):
    helpers.io.optional.NotInstalled: no_such is not installed: pip install "microprop[ray]"
    """
    package, install = name.partition(".")[0], f'pip install "microprop[{extra}]"'
    try:
        module = importlib.import_module(name)
        if module.__spec__.origin is None:  # a folder of this name, from where Python was started
            raise ModuleNotFoundError(name, name=package)
        return module
    except Exception as error:  # a broken package raises whatever it likes
        if isinstance(error, ModuleNotFoundError) and error.name == package:
            raise NotInstalled(f"{package} is not installed: {install}") from error
        raise PackageError(
            f"{package} is installed, but its import fails ({type(error).__name__}: {error}): "
            f"pip uninstall {package}, then {install}"
        ) from error
