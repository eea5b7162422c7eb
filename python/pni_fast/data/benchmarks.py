"""Public data sets, each in the layout its authors publish, as categories by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pni_fast.config.choices import DATASETS
from pni_fast.errors import DataError

from .layout import Category, Sample, open_category
from .listing import is_visible, list_images
from .masks import MaskFolder, unclaimed
from .visa import has_table, table_category, table_names


@dataclass(frozen=True)
class Layout:
    """How one data set lies on disk.

    Attributes
    ----------
    names
        Gives the categories below a root, sorted; may be none.
    open
        Opens the category of a name.
    """

    names: Callable[[Path], list[str]]
    open: Callable[[Path, str], Category]


def category_names(root: str | os.PathLike[str], dataset: str) -> list[str]:
    """List the categories of a data set.

    Parameters
    ----------
    root
        The folder the data set was unpacked to.
    dataset
        One of `DATASETS`: ``mvtec`` (MVTec AD), ``mvtec_loco``, ``mvtec_3d`` (its RGB images), ``btad``,
        ``visa`` (as published, with its CSV of the one-class split, or converted to the layout of MVTec AD),
        ``folder`` (every subfolder in the layout of MVTec AD).

    Returns
    -------
    list of str
        At least one name, sorted.

    Raises
    ------
    DataError
        The data set's name is unknown, the folder is missing, or holds no category in that layout.
    """
    layout, folder = _layout(dataset), Path(root)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    names = layout.names(folder)
    if not names:
        raise DataError(f"{folder}: must hold categories in the layout of {dataset}, got none")
    return names


def open_benchmark(root: str | os.PathLike[str], dataset: str, name: str) -> Category:
    """Open one category of a data set.

    Parameters
    ----------
    root, dataset
        As for `category_names`.
    name
        A name that `category_names` gives.

    Returns
    -------
    Category
        Training images, and test samples with their masks.

    Raises
    ------
    DataError
        The data set or the category is unknown, or its files are not where the layout puts them.
    """
    names = category_names(root, dataset)
    if name not in names:
        import difflib  # for a message alone

        close = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise DataError(f"{root}: category must be one of {', '.join(names)}, got {name}{hint}")
    category = _layout(dataset).open(Path(root), name)
    if not category.train:
        raise DataError(f"{category.root}: must hold good images to train on, got none")
    return category


def _layout(dataset: str) -> Layout:
    if dataset not in DATASETS:
        raise DataError(f"dataset must be one of {', '.join(DATASETS)}, got {dataset}")
    return LAYOUTS[dataset]


def _subfolders(root: Path, inside: str) -> list[str]:
    """Names of the visible subfolders of `root` that have the folder `inside`."""
    return sorted(child.name for child in root.iterdir() if is_visible(child) and (child / inside).is_dir())


def _plain_names(root: Path) -> list[str]:
    return _subfolders(root, "test")


def _open_plain(root: Path, name: str) -> Category:
    return open_category(root / name)


def _btad_root(root: Path) -> Path:
    inner = root / "BTech_Dataset_transformed"  # the one folder in the published archive
    return inner if inner.is_dir() else root


def _mvtec_3d(root: Path, name: str) -> Category:
    """Photographs lie in ``rgb`` and masks in ``gt`` beside them, one level below each kind of defect."""
    folder = root / name
    samples: list[Sample] = []
    left: list[Path] = []
    for kind in _subfolders(folder / "test", "rgb"):
        truth = folder / "test" / kind / "gt"
        masks = MaskFolder(truth)
        images = list_images(folder / "test" / kind / "rgb")
        left += unclaimed(truth, [Path(image.name) for image in images]) if truth.is_dir() else []
        for image in images:
            defect = None if kind == "good" else kind
            mask = masks.find(image.stem) if defect else None
            samples.append(Sample(image, f"{kind}/{image.name}", defect, mask))
    if not samples:
        raise DataError(f"{folder / 'test'}: must hold images in <kind>/rgb, got none")
    return Category(folder, list_images(folder / "train" / "good" / "rgb"), samples, left)


def _mvtec_3d_names(root: Path) -> list[str]:
    return [name for name in _plain_names(root) if _subfolders(root / name / "test", "rgb")]


def _visa_converted(root: Path) -> Path:
    inner = root / "1cls"  # where the authors' conversion script puts the one-class split
    return inner if inner.is_dir() else root


def _visa_names(root: Path) -> list[str]:
    return table_names(root) if has_table(root) else _plain_names(_visa_converted(root))


def _visa(root: Path, name: str) -> Category:
    return table_category(root, name) if has_table(root) else _open_plain(_visa_converted(root), name)


LAYOUTS: dict[str, Layout] = {
    "mvtec": Layout(_plain_names, _open_plain),
    "mvtec_loco": Layout(_plain_names, _open_plain),
    "mvtec_3d": Layout(_mvtec_3d_names, _mvtec_3d),
    "btad": Layout(
        lambda root: _plain_names(_btad_root(root)), lambda root, name: _open_plain(_btad_root(root), name)
    ),
    "visa": Layout(_visa_names, _visa),
    "folder": Layout(_plain_names, _open_plain),
}
"""How each of `DATASETS` lies on disk."""
