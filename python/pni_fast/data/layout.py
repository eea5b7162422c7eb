"""Where images and masks lie: folders of images, and categories in the layout of MVTec AD."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pni_fast.errors import DataError

from .images import IMAGE_SUFFIXES, list_images

GOOD_NAMES = ("good", "ok")
"""Folder names of images without a defect (MVTec AD and its followers; BTAD), in lower case."""

_CATEGORY_FOLDERS = ("train", "test", "ground_truth")


@dataclass(frozen=True)
class Sample:
    """One test image.

    Attributes
    ----------
    path
        The image file.
    name
        Its path relative to the category's ``test`` folder, with forward slashes: unique within a category.
    defect
        Kind of defect (the name of its folder), None for a good image.
    mask
        Ground-truth mask: a file, or a folder of files to unite; None where there is none.
    """

    path: Path
    name: str
    defect: str | None
    mask: Path | None


@dataclass(frozen=True)
class Category:
    """One kind of product: good images to learn from, and images to test on.

    Attributes
    ----------
    root
        The category's folder.
    train
        Good images, sorted.
    test
        Test images, sorted by name.
    """

    root: Path
    train: list[Path]
    test: list[Sample]

    @property
    def name(self) -> str:
        """Name of the category's folder."""
        return self.root.resolve().name


def training_images(path: str | os.PathLike[str]) -> list[Path]:
    """Good images to fit on: a file, every image below a folder, or ``train/good`` of a category.

    A folder that looks like a category (it has ``train``, ``test`` or ``ground_truth``), or that holds
    categories, is never read as a plain folder: its defective test images would be learnt as good.

    Parameters
    ----------
    path
        An image file, a folder of good images, or a category in the layout of MVTec AD.

    Returns
    -------
    list of pathlib.Path
        At least one path, sorted.

    Raises
    ------
    DataError
        The path is missing, holds no images, or is a category without ``train/good``.
    """
    root = Path(path)
    if root.is_file():
        return [root]
    if any((root / name).is_dir() for name in _CATEGORY_FOLDERS):
        good = _good_folder(root / "train")
        if good is None:
            raise DataError(f"{root}: a category must hold its good images in train/good, got no such folder")
        return list_images(good)
    if root.is_dir():
        nested = sorted(child.name for child in root.iterdir() if _is_category(child))
        if nested:
            shown = ", ".join(nested[:5]) + (", …" if len(nested) > 5 else "")
            raise DataError(f"{root}: must be one category or a folder of images, got several: {shown}")
    return list_images(root)


def open_category(path: str | os.PathLike[str]) -> Category:
    """Read a category in the layout of MVTec AD.

    Good images lie in ``train/good`` and ``test/good`` (or ``ok``), defective ones in ``test/<defect>``,
    masks in ``ground_truth/<defect>`` as ``<stem>_mask.png``, ``<stem>.png`` (or another image suffix), or as
    a folder ``<stem>`` of masks to unite. A defective image without a mask gets ``mask=None``.

    Parameters
    ----------
    path
        The category's folder.

    Returns
    -------
    Category
        `train` is empty where the category has no ``train`` folder.

    Raises
    ------
    DataError
        The folder or its ``test`` folder is missing or holds no images.
    """
    root = Path(path)
    if not root.exists():
        raise DataError(f"{root}: no such folder")
    test = root / "test"
    if not test.is_dir():
        raise DataError(f"{root}: must hold train/good and test (layout of MVTec AD), got no test folder")
    samples = [_sample(root, image) for image in list_images(test)]
    good = _good_folder(root / "train")
    return Category(root=root, train=list_images(good) if good else [], test=samples)


def collect_inputs(inputs: Iterable[str | os.PathLike[str]]) -> list[tuple[Path, str]]:
    """Gather the images of files and folders, each under a name that no other has.

    The name of a file is its file name; of an image in a folder, its path relative to that folder. Where two
    inputs would give the same name, the inputs' own folder names are put before theirs.

    Parameters
    ----------
    inputs
        Image files and folders.

    Returns
    -------
    list of (pathlib.Path, str)
        Each image and its relative name with forward slashes, in the order of `inputs`.

    Raises
    ------
    DataError
        An input is missing or holds no images, or two names are still the same with the folder's name.
    """
    found: list[tuple[Path, str, str]] = []
    for entry in inputs:
        source = Path(entry)
        if source.is_dir():
            prefix = source.resolve().name
            images = [(path, path.relative_to(source).as_posix()) for path in list_images(source)]
        elif source.exists():
            prefix = source.resolve().parent.name
            images = [(source, source.name)]
        else:
            raise DataError(f"{source}: no such file or folder")
        found += [(path, name, f"{prefix}/{name}") for path, name in images]
    counts = Counter(name for _, name, _ in found)
    named = [(path, name if counts[name] == 1 else longer) for path, name, longer in found]
    taken: dict[str, Path] = {}
    for path, name in named:
        if name in taken:
            raise DataError(f"{path}: inputs must have different names, got {name} also from {taken[name]}")
        taken[name] = path
    return named


def _is_category(path: Path) -> bool:
    return (path / "test").is_dir() and (path / "train").is_dir()


def _good_folder(parent: Path) -> Path | None:
    if not parent.is_dir():
        return None
    folders = sorted(child for child in parent.iterdir() if child.is_dir())
    return next((folder for folder in folders if folder.name.lower() in GOOD_NAMES), None)


def _sample(root: Path, image: Path) -> Sample:
    relative = image.relative_to(root / "test")
    if len(relative.parts) < 2:
        raise DataError(f"{image}: must lie in test/good or test/<defect>, got it in test itself")
    kind = relative.parts[0]
    if kind.lower() in GOOD_NAMES:
        return Sample(image, relative.as_posix(), None, None)
    mask = find_mask(root / "ground_truth" / relative.parent, image.stem)
    return Sample(image, relative.as_posix(), kind, mask)


def find_mask(folder: Path, stem: str) -> Path | None:
    """Find the mask of image `stem`: ``<stem>_mask``, then ``<stem>``, with any image suffix, then a folder.

    PNG goes before other suffixes; None where there is no mask.
    """
    suffixes = [".png", *sorted(IMAGE_SUFFIXES - {".png"})]
    for name in (f"{stem}_mask", stem):
        for suffix in suffixes:
            for path in (folder / f"{name}{suffix}", folder / f"{name}{suffix.upper()}"):
                if path.is_file():
                    return path
    return folder / stem if (folder / stem).is_dir() else None
