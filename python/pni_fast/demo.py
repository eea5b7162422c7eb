"""A small inspection set from photographs that ship with scikit-image: paving, good and damaged.

The product is scikit-image's photograph of a brick pavement (CC0), seen through shifted windows. Training
windows come from its left half, test windows from its mirrored right half, so no test pixel was ever learnt.
Defects are synthesised, with exact masks: gravel or grass lying on the bricks, scratches, and stains.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .errors import PniError

NAME = "paving"
"""Folder name of the category."""

WINDOW = 240
"""Side of every image in pixels."""

N_TRAIN, N_GOOD, N_DEFECTIVE, N_CALIBRATION = 30, 12, 6, 30
"""Images in train/good, in test/good, per kind of defect, and in `CALIBRATION`."""

CALIBRATION = "calibration"
"""Folder of good images for the threshold. Those to learn are windows of one half of a photograph, and they
overlap: left out, each is still half known from the others, and promises nothing about the other half."""

_README = """Demo set of pni-fast, seed {seed}.

Photographs: brick, gravel and grass of scikit-image (CC0). Defects are synthetic.
"""
_FAINTEST = 0.08  # layers are cut off below this opacity, so that a mask marks exactly the changed pixels

Photo = NDArray[np.float64]
Layer = tuple[Photo, Photo]
Defect = Callable[[Photo, np.random.Generator], Layer]


def build_demo_set(directory: str | os.PathLike[str], seed: int = 0) -> Path:
    """Write the demo category in the layout of MVTec AD: 30 good images to learn, 12 good and 18 bad to test.

    Parameters
    ----------
    directory
        Where to create the folder ``paving``. One left there by an earlier call is replaced.
    seed
        Seed of windows, lighting and defects; the same seed gives the same files.

    Returns
    -------
    pathlib.Path
        The category's folder.

    Raises
    ------
    PniError
        The folder cannot be written, or holds something else of that name.
    """
    parent = Path(directory)
    target = parent / NAME
    if target.exists() and not _is_ours(target):
        raise PniError(f"{target}: must be free or hold an earlier demo set, got something else")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{NAME}-", dir=parent) as temporary:
            built = Path(temporary) / NAME
            _write_set(built, seed)
            if target.exists():
                shutil.rmtree(target)
            built.rename(target)
    except OSError as error:
        raise PniError(f"{target}: cannot write: {error.strerror or error}") from error
    return target


def _is_ours(folder: Path) -> bool:
    readme = folder / "README.txt"
    return readme.is_file() and readme.read_text(errors="replace").startswith(_README.splitlines()[0][:8])


def _write_set(root: Path, seed: int) -> None:
    # The pavement recedes towards its middle: mirrored, joints of the right half lean as those of the left.
    pavement = _texture("brick")
    half = pavement.shape[1] // 2
    known, unseen = pavement[:, :half], pavement[:, half:][:, ::-1]
    rng = np.random.default_rng(seed)
    for index in range(N_TRAIN):
        _save(root / "train" / "good" / f"{index:03d}.png", _photograph(known, rng))
    for index in range(N_GOOD):
        _save(root / "test" / "good" / f"{index:03d}.png", _photograph(unseen, rng))
    materials = [_texture("gravel"), _texture("grass")]
    kinds: dict[str, Defect] = {
        "foreign_material": lambda photo, generator: _foreign_material(photo, generator, materials),
        "scratch": _scratch,
        "stain": _stain,
    }
    for kind, defect in kinds.items():
        for index in range(N_DEFECTIVE):
            photo = _photograph(unseen, rng)
            damaged, mask = _damage(photo, *defect(photo, rng))
            _save(root / "test" / kind / f"{index:03d}.png", damaged)
            _save(root / "ground_truth" / kind / f"{index:03d}_mask.png", np.where(mask, 255.0, 0.0))
    for index in range(N_CALIBRATION):
        _save(root / CALIBRATION / f"{index:03d}.png", _photograph(unseen, rng))
    (root / "README.txt").write_text(_README.format(seed=seed))


def _texture(name: str) -> Photo:
    """Return a grey photograph of scikit-image as float64 in 0 to 255, read from its wheel."""
    from skimage import data

    photo: NDArray[np.uint8] = getattr(data, name)()
    return photo.astype(np.float64)


def _photograph(scene: Photo, rng: np.random.Generator) -> Photo:
    """Take a (WINDOW, WINDOW) window of the scene; light, focus and sensor noise vary a little."""
    from scipy.ndimage import gaussian_filter

    top = rng.integers(0, scene.shape[0] - WINDOW + 1)
    left = rng.integers(0, scene.shape[1] - WINDOW + 1)
    window = gaussian_filter(scene[top : top + WINDOW, left : left + WINDOW], rng.uniform(0.0, 0.7))
    rows, columns = np.mgrid[-0.5 : 0.5 : WINDOW * 1j, -0.5 : 0.5 : WINDOW * 1j]
    slope = rng.uniform(-0.08, 0.08, 2)
    light = rng.uniform(0.92, 1.08) + slope[0] * rows + slope[1] * columns
    noisy: Photo = window * light + rng.normal(0.0, rng.uniform(1.0, 3.0), window.shape)
    return noisy


def _damage(photo: Photo, layer: Photo, opacity: Photo) -> tuple[Photo, NDArray[np.bool_]]:
    """Lay a layer over the photograph; the mask marks every pixel that the layer touches."""
    mask = opacity > 0
    return np.where(mask, (1 - opacity) * photo + opacity * layer, photo), mask


def _foreign_material(photo: Photo, rng: np.random.Generator, materials: list[Photo]) -> Layer:
    """Gravel or grass on the bricks: a ragged patch, darker along its rim where it casts a shadow."""
    source = materials[rng.integers(len(materials))]
    top, left = rng.integers(0, np.array(source.shape) - WINDOW + 1)
    height = _blob(rng, radius=rng.uniform(6, 28), raggedness=0.5)
    opacity = _cut(np.clip(height * 6, 0, 1))
    rim = 0.65 + 0.35 * np.clip(height * 3, 0, 1)
    return source[top : top + WINDOW, left : left + WINDOW] * rim * photo.mean() / source.mean(), opacity


def _scratch(photo: Photo, rng: np.random.Generator) -> Layer:
    """Draw a bent line one to three pixels wide, bright or dark, that fades along its way."""
    steps = np.linspace(0, 1, 160)
    angle, bend = rng.uniform(0, np.pi), rng.uniform(-0.6, 0.6)
    length = rng.uniform(35, 150)
    heading = angle + bend * (steps - 0.5)
    rows = np.cumsum(np.sin(heading)) * length / len(steps)
    columns = np.cumsum(np.cos(heading)) * length / len(steps)
    centre = rng.uniform(0.3, 0.7, 2) * WINDOW
    rows, columns = rows - rows.mean() + centre[0], columns - columns.mean() + centre[1]
    strength = np.clip(0.75 + 0.35 * np.sin(steps * rng.uniform(4, 12) + rng.uniform(0, 6)), 0, 1)
    width = rng.uniform(0.5, 1.2)
    grid = np.mgrid[0:WINDOW, 0:WINDOW]
    opacity = np.zeros((WINDOW, WINDOW))
    for row, column, weight in zip(rows, columns, strength, strict=True):
        near = np.exp(-((grid[0] - row) ** 2 + (grid[1] - column) ** 2) / (2 * width**2))
        opacity = np.maximum(opacity, weight * near)
    tone = 215.0 if rng.random() < 0.6 else 30.0
    return np.full_like(photo, tone), _cut(opacity * rng.uniform(0.35, 0.85))


def _stain(photo: Photo, rng: np.random.Generator) -> Layer:
    """Let a liquid soak in: the bricks keep their texture but get darker, or lighter as salts do."""
    soaked = np.clip(_blob(rng, radius=rng.uniform(12, 40), raggedness=0.35) * 2.5, 0, 1)
    tone = photo * rng.uniform(0.55, 0.8) if rng.random() < 0.7 else photo + rng.uniform(14, 45)
    return tone, _cut(soaked * rng.uniform(0.75, 1.0))


def _blob(rng: np.random.Generator, radius: float, raggedness: float) -> Photo:
    """Return a random island: positive inside, about 1 at its middle, negative in the sea around it."""
    from scipy.ndimage import gaussian_filter

    centre = rng.uniform(0.2, 0.8, 2) * WINDOW
    stretch = rng.uniform(0.75, 1.33)
    rows, columns = np.mgrid[0:WINDOW, 0:WINDOW]
    distance = np.hypot((rows - centre[0]) * stretch, (columns - centre[1]) / stretch) / radius
    noise = gaussian_filter(rng.standard_normal((WINDOW, WINDOW)), radius / 4)
    island: Photo = 1 - distance + raggedness * noise / noise.std() * np.exp(-(distance**2) / 2)
    return island


def _cut(opacity: Photo) -> Photo:
    return np.where(opacity < _FAINTEST, 0.0, opacity)


def _save(path: Path, grey: Photo) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(np.rint(grey), 0, 255).astype(np.uint8)).save(path)
