"""What every engine does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Inputs: TypeAlias = NDArray[Any]
"""uint8 or float32."""


class Engine(Protocol):
    """Crops in, patch features out, on the thread that calls and on no other.

    Any number of threads may call at once. Every image is computed by itself: its bits depend neither on the
    images beside it nor on how many threads there are.
    """

    @property
    def name(self) -> str:
        """Which engine it is, of `pni_fast.config.choices.ENGINES`."""
        ...

    def __call__(self, *inputs: Inputs) -> NDArray[np.float32]:
        """Return Φ, float32 (b, h, w, d), of uint8 RGB crops (b, H, W, 3).

        A refiner takes crops and their maps, float32 (b, H, W), and returns refined maps.
        """
        ...


def checked(inputs: Sequence[Inputs], shapes: Sequence[tuple[int, ...]]) -> list[Inputs]:
    """Return the inputs of an engine in C order.

    Parameters
    ----------
    inputs
        One array for each input of the graph, the first dimension counting images; the first is uint8, the
        others are float32.
    shapes
        Of one image in each.

    Raises
    ------
    ValueError
        They are of another number, type or size.
    """
    kinds = [np.uint8, *[np.float32] * (len(shapes) - 1)]
    fit = len(inputs) == len(shapes) and all(
        array.dtype == kind and array.shape == (len(inputs[0]), *shape)
        for array, kind, shape in zip(inputs, kinds, shapes, strict=True)
    )
    if not fit:
        wanted = ", ".join(f"(b, {', '.join(map(str, shape))})" for shape in shapes)
        got = ", ".join(f"{array.dtype} {array.shape}" for array in inputs)
        raise ValueError(f"an engine takes uint8 crops, then float32: {wanted}, got {got}")
    return [np.ascontiguousarray(array) for array in inputs]
