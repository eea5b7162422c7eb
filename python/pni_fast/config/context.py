"""Context: which normal images an image is held against."""

from __future__ import annotations

from dataclasses import dataclass

from .checks import LARGEST_COUNT, check_highest, check_lowest, check_types


@dataclass(frozen=True)
class ContextConfig:
    """p(c_dist | x, alike images): the position histogram over the training images most like this one.

    Parameters
    ----------
    used
        Whether the fit may use context; it does where the rule takes it and good images speak for it.
    images
        k, how many alike images count.
    most
        Training images whose label maps the model keeps, at most; a set that covers them all.

    Raises
    ------
    PniError
        A value is of another type or out of its range.
    """

    used: bool = True
    images: int = 30
    most: int = 2000

    def __post_init__(self) -> None:
        check_types(self)
        check_lowest(self, {"images": 1, "most": 2})
        check_highest(self, dict.fromkeys(("images", "most"), LARGEST_COUNT))
