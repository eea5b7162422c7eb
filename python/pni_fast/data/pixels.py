"""Pixels of every kind brought to 8-bit RGB: one way for files, PIL images and arrays."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pni_fast.errors import DataError

from .decoding import decoding, is_negative

FULL_DEPTH = 16
"""Bits of integer pixels above 8 where nothing else is said."""

_ALPHA_MODES = frozenset({"LA", "PA", "RGBA", "La", "RGBa"})


def image_to_rgb(
    image: Image.Image, name: str, depth: int = FULL_DEPTH, channels: Sequence[int] = ()
) -> Image.Image:
    """Return a decoded image as mode RGB.

    Parameters
    ----------
    image
        Any mode; transparent pixels are laid over white.
    name
        What it is called in a message.
    depth
        Bits of integer pixels above 8: 2**depth − 1 is white, and so is what lies above it.
    channels
        Those taken as red, green and blue, or as grey; empty: the image's own colours.

    Raises
    ------
    DataError
        The pixels lie outside the range of their kind, or there are no such channels.
    """
    if channels:
        image = _chosen(image, name, channels)
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return image
    if has_alpha(image):
        return over(image, "white", name)
    if mode.startswith("I") or mode == "F":
        return Image.fromarray(_bytes(np.asarray(image), name, depth, is_negative(image))).convert("RGB")
    with decoding(name):
        return image.convert("RGB")


def array_to_rgb(
    array: NDArray[Any], name: str, depth: int = FULL_DEPTH, channels: Sequence[int] = ()
) -> Image.Image:
    """Return an array, (H, W) or (H, W, 1, 3 or 4), as an image of mode RGB; see `image_to_rgb`.

    Where channels are chosen it may have any number of them.

    Raises
    ------
    DataError
        It is of another type or shape, a pixel is masked, or its pixels lie outside their range.
    """
    if np.ma.is_masked(array):  # nobody knows what is under the mask
        hidden = int(np.ma.getmaskarray(array).sum())
        raise DataError(f"{name}: an array must have all of its values, got {hidden} that are masked")
    if channels and array.ndim in (2, 3):
        check_channels(name, channels, array.shape[2] if array.ndim == 3 else 1)
        array = array[:, :, list(channels)] if array.ndim == 3 else array
    grey, colour = array.ndim == 2, array.ndim == 3 and array.shape[2] in (1, 3, 4)
    known = array.dtype in (np.uint8, np.bool_) or is_deep(array) or array.dtype.kind == "f"
    if not known or not (grey or colour) or 0 in array.shape:
        raise DataError(
            f"{name}: an array must be uint8, uint16, int32 or floating, of shape (H, W) or, channels last, "
            f"(H, W, 1, 3 or 4), got {array.dtype} {array.shape}; of other channels the setting channels "
            "takes some"
        )
    values = array[:, :, 0] if colour and array.shape[2] == 1 else array
    return image_to_rgb(Image.fromarray(np.ascontiguousarray(_bytes(values, name, depth))), name)


def check_channels(name: str, channels: Sequence[int], count: int) -> None:
    """Refuse channels that a picture does not have.

    Raises
    ------
    DataError
        There are none of such numbers.
    """
    if max(channels) >= count:
        asked, there = ",".join(map(str, channels)), "0" if count == 1 else f"0 to {count - 1}"
        raise DataError(f"{name}: channels {asked} asked for, but its channels are {there}")


def _chosen(image: Image.Image, name: str, channels: Sequence[int]) -> Image.Image:
    """Return some channels of a decoded image, as they are in it, as RGB or grey."""
    if image.mode == "P":
        with decoding(name):
            image = image.convert("RGB")
    check_channels(name, channels, len(image.getbands()))
    if len(image.getbands()) == 1:
        return image
    with decoding(name):
        chosen = [image.getchannel(channel) for channel in channels]
        return Image.merge("RGB", chosen) if len(chosen) == 3 else chosen[0]


def has_alpha(image: Image.Image) -> bool:
    """Whether pixels may be transparent."""
    return image.mode in _ALPHA_MODES or "transparency" in image.info


def is_deep(values: NDArray[Any]) -> bool:
    """Whether pixels are integers that may have more than 8 bits: uint16 or int32, in any byte order."""
    return (values.dtype.kind, values.dtype.itemsize) in {("u", 2), ("i", 4)}


def over(image: Image.Image, colour: str, name: str) -> Image.Image:
    """Return an image laid over a colour, as mode RGB."""
    with decoding(name):
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, colour), layer).convert("RGB")


def _bytes(values: NDArray[Any], name: str, depth: int, negative: bool = False) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return values.view(np.uint8)
    if values.dtype == np.bool_:
        return np.where(values, 255, 0).astype(np.uint8)
    if values.dtype.kind == "f":
        return _unit_floats(values, name, negative)
    return _highest_bits(values, name, depth, negative)


def _highest_bits(values: NDArray[Any], name: str, depth: int, negative: bool) -> NDArray[np.uint8]:
    low, high, white = int(values.min()), int(values.max()), 2**depth - 1
    if low < 0 or high > 65535:
        raise DataError(f"{name}: integer pixels must lie in 0 to 65535, got {low} to {high}")
    if high > white:
        warnings.warn(
            f"{name}: highest value {high}, above {white}, the highest of the {depth} bits of the setting "
            f"depth: taken as {white}",
            stacklevel=2,
        )
        values = np.minimum(values, white)
    if negative:
        values = white - values.astype(np.int32)
    scaled: NDArray[np.uint8] = (values.astype(np.uint16) >> (depth - 8)).astype(np.uint8)
    return scaled


def _unit_floats(values: NDArray[Any], name: str, negative: bool) -> NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())
    if not (low >= 0.0 and high <= 1.0):  # also refuses NaN
        raise DataError(f"{name}: float pixels must lie in 0 to 1, got {low:g} to {high:g}")
    scaled: NDArray[np.uint8] = np.rint((1 - values if negative else values) * 255).astype(np.uint8)
    return scaled
