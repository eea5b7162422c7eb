"""Find defects from good images alone: PNI (ICCV 2023) on an exact, multithreaded Rust core.

Every name is imported on first use, so that importing the package costs nothing: the kernels
(`greedy_coreset`, `nearest`, `position_histogram`, `max_likelihood`) bring NumPy, :class:`PNI` what scoring
takes, and torch where a model or a fit needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import DataError, ModelFileError, PniError, WeightsError
from .first_use import on_first_use

if TYPE_CHECKING:
    from .kernels import Coreset, greedy_coreset, max_likelihood, nearest, position_histogram
    from .model.pni import PNI
    from .model.prediction import Prediction
    from .model.shared_refiner import refine

    __version__: str

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
    "refine",
]

_get = on_first_use(
    __name__,
    {
        "PNI": ".model.pni",
        "Prediction": ".model.prediction",
        "Coreset": ".kernels",
        "greedy_coreset": ".kernels",
        "max_likelihood": ".kernels",
        "nearest": ".kernels",
        "position_histogram": ".kernels",
        "refine": ".model.shared_refiner",
    },
)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("pni-fast")
    return _get(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
