"""Defects drawn as a hand would: strokes, scratches and blobs, or a folder of drawn masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from pni_fast.data import list_images, read_mask
from pni_fast.data.cropping import resize_mask
from pni_fast.errors import DataError

from .noise import fractal
from .proposal import Proposal, blend
from .textures import Textures

Mask = NDArray[np.bool_]


def read_drawn_masks(folder: Path) -> list[Mask]:
    """Read a folder of drawn masks, the defect bright on black.

    Raises
    ------
    DataError
        The folder is missing or empty, or a mask is broken, all defect or without any.
    """
    masks = []
    for path in list_images(folder):
        mask = read_mask(path)
        if mask.all() or not mask.any():
            got = "no black pixel" if mask.all() else "only black ones"
            raise DataError(f"{path}: a drawn mask must be bright on black, got {got}")
        masks.append(mask)
    return masks


def drawing(
    image: NDArray[np.uint8], rng: np.random.Generator, textures: Textures, masks: Sequence[Mask] = ()
) -> Proposal:
    """Fill a drawn shape with a colour, with texture, or with a darker or lighter image.

    Parameters
    ----------
    image
        uint8 (H, W, 3).
    rng
        Source of the shape and of its filling.
    textures
        Where texture for the filling comes from.
    masks
        Drawn masks, bool (h, w) of any size, one of which is mirrored, turned and moved; none: a stroke, a
        bundle of scratches, or blobs are generated.

    Returns
    -------
    Proposal
        The image drawn upon and the shape.
    """
    shape = image.shape[:2]
    if masks:
        drawn = _place(masks[int(rng.integers(len(masks)))], shape, rng)
    else:
        drawn = SHAPES[rng.integers(len(SHAPES))](shape, rng)
    # A pen or a stain fades over about a pixel: the mask is where anything of it is left.
    alpha = ndimage.gaussian_filter(drawn.astype(np.float32), max(0.4, min(shape) / 600.0))
    alpha = np.where(alpha > 0.15, alpha, np.float32(0.0)) * np.float32(rng.uniform(0.4, 1.0))
    fill = FILLINGS[rng.integers(len(FILLINGS))](image, rng, textures)
    return blend(image, fill, alpha)


def _place(mask: Mask, shape: tuple[int, int], rng: np.random.Generator) -> Mask:
    """Bring a mask to `shape`, mirrored and turned at random and moved by up to a quarter of the image."""
    turned = np.rot90(mask, int(rng.integers(4)))
    turned = turned[:, ::-1] if rng.random() < 0.5 else turned
    resized = resize_mask(turned, shape)
    down, across = (int(rng.integers(-side // 4, side // 4 + 1)) for side in shape)
    moved: Mask = ndimage.shift(resized.astype(np.uint8), (down, across), order=0) > 0
    return moved


def _spline(
    knots: NDArray[np.float64], values: NDArray[np.float64], along: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a smooth curve through `values` at evenly spaced `knots`, at the places `along`.

    It is that of ``scipy.interpolate.CubicSpline``, whose import takes longer than all strokes of a fit.
    Value, slope and bend are unbroken at every knot, next to an end the third derivative too.
    """
    count, width = len(knots), knots[1] - knots[0]
    equations = np.zeros((count, count))
    for row in range(1, count - 1):
        equations[row, row - 1 : row + 2] = 1.0, 4.0, 1.0
    equations[0, :3] = equations[-1, -3:] = 1.0, -2.0, 1.0
    sides = np.zeros_like(values)
    sides[1:-1] = 6.0 / width**2 * np.diff(values, 2, axis=0)
    # Least squares: of three knots both ends say the same, that the curve is one parabola.
    bends = np.linalg.lstsq(equations, sides, rcond=None)[0]
    piece = np.clip(np.searchsorted(knots, along, side="right") - 1, 0, count - 2)
    right = ((along - knots[piece]) / width).reshape(-1, *(1,) * (values.ndim - 1))
    left = 1.0 - right
    curve: NDArray[np.float64] = left * values[piece] + right * values[piece + 1]
    curve += width**2 / 6.0 * ((left**3 - left) * bends[piece] + (right**3 - right) * bends[piece + 1])
    return curve


def _path(shape: tuple[int, int], length: float, rng: np.random.Generator) -> tuple[NDArray[np.float64], ...]:
    """Return a smooth wandering line: x, y, and its place 0..1 along the stroke, one point a pixel or so."""
    knots = int(rng.integers(3, 8))
    headings = rng.uniform(0.0, 2.0 * np.pi) + np.cumsum(rng.normal(0.0, 0.6, knots - 1))
    steps = length / (knots - 1) * rng.uniform(0.6, 1.4, knots - 1)
    start = rng.uniform(0.05, 0.95, 2) * shape
    y = start[0] + np.concatenate(([0.0], np.cumsum(steps * np.sin(headings))))
    x = start[1] + np.concatenate(([0.0], np.cumsum(steps * np.cos(headings))))
    along = np.linspace(0.0, 1.0, max(8, int(2.0 * length)))
    points = _spline(np.linspace(0.0, 1.0, knots), np.stack((x, y), axis=1), along)
    return points[:, 0], points[:, 1], along


def _brush(
    canvas: ImageDraw.ImageDraw, path: tuple[NDArray[np.float64], ...], width: float, rng: np.random.Generator
) -> None:
    """Draw a path with a pen whose pressure varies and fades at both ends."""
    x, y, along = path
    knots = np.linspace(0.0, 1.0, 6)
    pressure = _spline(knots, rng.uniform(0.35, 1.0, 6), along)
    taper = np.minimum(1.0, 8.0 * np.minimum(along, 1.0 - along) + 0.15)
    radius = np.maximum(0.5, 0.5 * width * np.clip(pressure, 0.2, 1.2) * taper)
    for left, top, size in zip(x, y, radius, strict=True):
        canvas.ellipse((left - size, top - size, left + size, top + size), fill=255)


def _canvas(shape: tuple[int, int]) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("L", shape[::-1], 0)
    return sheet, ImageDraw.Draw(sheet)


def _stroke(shape: tuple[int, int], rng: np.random.Generator) -> Mask:
    """One to three brush strokes."""
    sheet, canvas = _canvas(shape)
    side = min(shape)
    for _ in range(int(rng.integers(1, 4))):
        path = _path(shape, side * rng.uniform(0.1, 0.6), rng)
        _brush(canvas, path, max(1.5, side * rng.uniform(0.008, 0.06)), rng)
    return np.asarray(sheet) > 0


def _scratches(shape: tuple[int, int], rng: np.random.Generator) -> Mask:
    """Draw a bundle of thin lines side by side, each with its own start and end."""
    sheet, canvas = _canvas(shape)
    side = min(shape)
    x, y, along = _path(shape, side * rng.uniform(0.15, 0.5), rng)
    for _ in range(int(rng.integers(1, 6))):
        first, last = sorted(rng.uniform(0.0, 1.0, 2))
        kept = (along >= first) & (along <= max(last, first + 0.3))
        shift = rng.normal(0.0, 0.02 * side, 2)
        part = (x[kept] + shift[0], y[kept] + shift[1], np.linspace(0.0, 1.0, int(kept.sum())))
        _brush(canvas, part, max(1.2, side * rng.uniform(0.003, 0.01)), rng)
    return np.asarray(sheet) > 0


def _blobs(shape: tuple[int, int], rng: np.random.Generator) -> Mask:
    """Draw a stain with up to five drops around it."""
    sheet, canvas = _canvas(shape)
    side = min(shape)
    size = side * rng.uniform(0.015, 0.16)
    centre = rng.uniform(0.1, 0.9, 2) * shape
    for drop in range(int(rng.integers(1, 7))):
        if drop:
            centre = centre + rng.normal(0.0, 2.0 * size, 2)
        radius = size if drop == 0 else size * rng.uniform(0.15, 0.6)
        angle = np.linspace(0.0, 2.0 * np.pi, 64, endpoint=False)
        outline = np.ones_like(angle)
        for wave in range(1, 7):
            outline += rng.normal(0.0, 0.28 / wave) * np.cos(wave * angle + rng.uniform(0.0, 2.0 * np.pi))
        reach = np.maximum(1.0, radius * np.maximum(outline, 0.2))
        y = centre[0] + reach * np.sin(angle) * rng.uniform(0.6, 1.0)
        x = centre[1] + reach * np.cos(angle)
        canvas.polygon(list(zip(x.tolist(), y.tolist(), strict=True)), fill=255)
    return np.asarray(sheet) > 0


def _colour(image: NDArray[np.uint8], rng: np.random.Generator, _: Textures) -> NDArray[np.uint8]:
    """One colour, a little uneven like ink: a random one, or one that the image itself has."""
    height, width = image.shape[:2]
    own = image[rng.integers(height), rng.integers(width)].astype(np.float32)
    base = own if rng.random() < 0.4 else rng.uniform(0.0, 255.0, 3).astype(np.float32)
    uneven = (fractal((height, width), 6, 3, rng) - 0.5) * np.float32(rng.uniform(0.0, 60.0))
    ink: NDArray[np.uint8] = np.clip(base + uneven[..., None], 0, 255).astype(np.uint8)
    return ink


def _texture(image: NDArray[np.uint8], rng: np.random.Generator, textures: Textures) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    return textures.sample((height, width), rng)


def _shade(image: NDArray[np.uint8], rng: np.random.Generator, _: Textures) -> NDArray[np.uint8]:
    """Return the image itself, clearly darker or lighter: burns, damp patches, worn spots."""
    amount = np.float32(rng.uniform(0.35, 0.9))
    target = np.float32(0.0 if rng.random() < 0.6 else 255.0)
    shaded: NDArray[np.uint8] = np.rint(image + amount * (target - image)).astype(np.uint8)
    return shaded


SHAPES: tuple[Callable[[tuple[int, int], np.random.Generator], Mask], ...] = (_stroke, _scratches, _blobs)
"""What is drawn: (H, W) bool."""

FILLINGS: tuple[Callable[[NDArray[np.uint8], np.random.Generator, Textures], NDArray[np.uint8]], ...] = (
    _colour,
    _texture,
    _shade,
)
"""What the drawn shape is filled with: uint8 (H, W, 3)."""
