"""Where images and masks lie: folders of images, and categories in the layout of MVTec AD."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pni_fast.errors import DataError

from .listing import folded, is_visible, list_images, subfolder
from .masks import MaskFolder, unclaimed
from .results_mark import refuse_results

GOOD_NAMES = ("good", "ok", "normal")
"""Folder names of images without a defect (MVTec AD and its followers; BTAD), in lower case."""

TRUTH_NAMES = ("ground_truth", "groundtruth", "ground-truth", "ground truth")
"""Names of the folder of masks."""


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
    unclaimed
        Files among the masks that belong to no test image.
    """

    root: Path
    train: list[Path]
    test: list[Sample]
    unclaimed: list[Path] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of the category's folder."""
        return self.root.resolve().name


def training_images(path: str | os.PathLike[str]) -> list[Path]:
    """Good images to fit on: a file, every image below a folder, or ``train/good`` of a category.

    A folder that looks like a category (it has ``train``, ``test`` or ``ground_truth``), that holds
    categories, or that has a folder ``good`` (``ok``, ``normal``) beside others, is never read as a plain
    folder: its defective images would be learnt as good.

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
        The path is missing, holds no images, is a result of this package, is a category without
        ``train/good``, or there are masks among the images.
    """
    root = Path(path)
    if root.is_file():
        refuse_results(root)
        return [root]
    if subfolder(root, "train", "test", *TRUTH_NAMES) is not None:
        good = _good_folder(subfolder(root, "train"))
        if good is None:
            raise DataError(f"{root}: a category must hold its good images in train/good, got no such folder")
        return _good_images(good)
    if root.is_dir():
        nested = sorted(child.name for child in root.iterdir() if is_visible(child) and _is_category(child))
        if nested:
            shown = ", ".join(nested[:5]) + (", …" if len(nested) > 5 else "")
            raise DataError(f"{root}: must be one category or a folder of images, got several: {shown}")
    images = _good_images(root)
    _refuse_siblings_of_good(root, images)
    return images


def _good_images(root: Path) -> list[Path]:
    """Return the images below a folder of good ones; masks among them say that some are not."""
    images = list_images(root)
    for image in images:
        inside = image.relative_to(root).parts[:-1]
        masks = next((depth for depth, name in enumerate(inside, 1) if name.lower() in TRUTH_NAMES), None)
        if masks is not None:
            raise DataError(f"{root}: must hold good images alone, got masks in {Path(*inside[:masks])}")
    return images


def _refuse_siblings_of_good(root: Path, images: list[Path]) -> None:
    """Refuse a folder in which, at any depth, one called good has others beside it: those are not good."""
    inside: dict[Path, set[str]] = {}
    for image in images:
        parts = image.relative_to(root).parts
        folder = root
        for depth, name in enumerate(parts):
            inside.setdefault(folder, set()).add(f"{name}/" if depth < len(parts) - 1 else "images")
            folder /= name
    for folder, names in inside.items():
        good = sorted(name for name in names if name.endswith("/") and name[:-1].lower() in GOOD_NAMES)
        others = sorted(names.difference(good))
        if good and others:
            shown = ", ".join(name.rstrip("/") for name in others[:5]) + (", …" if len(others) > 5 else "")
            raise DataError(
                f"{folder}: must hold good images alone, got {good[0][:-1]} beside {shown}; give "
                f"{folder / good[0][:-1]}"
            )


def open_category(path: str | os.PathLike[str]) -> Category:
    """Read a category in the layout of MVTec AD.

    Good images lie in ``train/good`` and ``test/good`` (or ``ok``, ``normal``), defective ones in
    ``test/<defect>``, masks in ``ground_truth/<defect>`` (or ``groundtruth``) as ``<stem>_mask.png``,
    ``<stem>.png``, ``<stem>_gt.png`` or ``<stem>_label.png`` (or another image suffix, or GIF), or as a
    folder ``<stem>`` of masks to unite. Names are compared without case. A defective image without a mask
    gets ``mask=None``.

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
        The folder or its ``test`` folder is missing or holds no images, or there are masks among the
        good ones.
    """
    root = Path(path)
    if not root.exists():
        raise DataError(f"{root}: no such folder")
    test = subfolder(root, "test")
    if test is None:
        raise DataError(f"{root}: must hold train/good and test (layout of MVTec AD), got no test folder")
    truth = subfolder(root, *TRUTH_NAMES)
    images = list_images(test)
    masks: dict[Path, MaskFolder] = {}
    samples = [_sample(test, truth, image, masks) for image in images]
    good = _good_folder(subfolder(root, "train"))
    return Category(
        root=root,
        train=_good_images(good) if good else [],
        test=samples,
        unclaimed=unclaimed(truth, [image.relative_to(test) for image in images]) if truth else [],
    )


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
            prefix = Path(os.path.realpath(source)).name
            images = [(path, path.relative_to(source).as_posix()) for path in list_images(source)]
        elif source.exists() or source.is_symlink():  # a link to nothing is a broken image
            refuse_results(source)
            prefix = Path(os.path.realpath(source)).parent.name  # of a circle of links too
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
    return subfolder(path, "test") is not None and subfolder(path, "train") is not None


def _good_folder(parent: Path | None) -> Path | None:
    return None if parent is None else subfolder(parent, *GOOD_NAMES)


def _sample(test: Path, truth: Path | None, image: Path, masks: dict[Path, MaskFolder]) -> Sample:
    """Return one test image with its mask; `masks` keeps what was listed for those before it."""
    relative = image.relative_to(test)
    if len(relative.parts) < 2:
        raise DataError(f"{image}: must lie in test/good or test/<defect>, got it in test itself")
    kind = relative.parts[0]
    if folded(kind) in GOOD_NAMES:
        return Sample(image, relative.as_posix(), None, None)
    if relative.parent not in masks:
        folder = truth
        for part in relative.parent.parts:
            folder = None if folder is None else subfolder(folder, part)
        masks[relative.parent] = MaskFolder(folder)
    return Sample(image, relative.as_posix(), kind, masks[relative.parent].find(image.stem))
