"""Errors a user can mend: each message is one line that names what is wrong and what is allowed."""

from __future__ import annotations

import sys
from importlib.util import find_spec


class PniError(ValueError):
    """Base of every error that the user's input causes; the command prints its message and exits with 1."""


class DataError(PniError):
    """A folder, an image or a mask cannot be used."""


class WeightsError(PniError):
    """A backbone or its weights cannot be found or do not fit."""


class NotInstalledError(PniError):
    """What is asked for takes something that is not installed."""


class ModelFileError(PniError):
    """A model file is truncated, foreign, or written by a newer version."""


INSTALLED_BY = {
    "torch": "PyTorch",
    "timm": "timm",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "scipy": "SciPy",
    "matplotlib": "Matplotlib",
}
"""What brings a module, as its authors write it."""


def is_there(module: str) -> bool:
    """Whether a module can be imported; it is not imported to see that."""
    if module in sys.modules:
        return sys.modules[module] is not None
    return find_spec(module) is not None


def needs(module: str, what: str) -> None:
    """Refuse what cannot be done without a module that is not installed.

    Parameters
    ----------
    module
        As it is imported.
    what
        The command, option or part of a model that needs it, as the sentence begins.

    Raises
    ------
    NotInstalledError
        It is not there; the line says how to get it.
    """
    if not is_there(module):
        raise NotInstalledError(missing(module, what))


def missing(module: str, what: str) -> str:
    """Return the line about a module that is not installed; arguments as for :func:`needs`."""
    return (
        f"{what} needs {INSTALLED_BY.get(module, module)}, which is not installed here; "
        "install all that pni-fast can use with: pip install pni-fast"
    )
