"""Find defects from good images alone: PNI (ICCV 2023) on an exact, multithreaded Rust core.

The kernels (`greedy_coreset`, `nearest`, `position_histogram`, `max_likelihood`) need NumPy alone and are
imported at once; :class:`PNI` brings torch with it and is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from .errors import DataError, ModelFileError, PniError, WeightsError
from .kernels import Coreset, greedy_coreset, max_likelihood, nearest, position_histogram

if TYPE_CHECKING:
    from .detector import PNI, Prediction

__version__ = version("pni-fast")

__all__ = [
    "PNI",
    "Coreset",
    "DataError",
    "ModelFileError",
    "PniError",
    "Prediction",
    "WeightsError",
    "greedy_coreset",
    "max_likelihood",
    "nearest",
    "position_histogram",
]

_LAZY = {"PNI": ".detector", "Prediction": ".detector"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
