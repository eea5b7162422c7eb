"""Public data sets, each in the layout its authors publish, as categories by name."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pni_fast.config.choices import DATASETS
from pni_fast.errors import DataError

from .layout import Category, Sample, open_category
from .listing import MASK_SUFFIXES, is_visible, list_images, walk
from .masks import MaskFolder, unclaimed
from .results_mark import refuse_results

_VISA_COLUMNS = ("object", "split", "label", "image", "mask")


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


def _visa_table(root: Path) -> Path:
    return root / "split_csv" / "1cls.csv"


def _visa_converted(root: Path) -> Path:
    inner = root / "1cls"  # where the authors' conversion script puts the one-class split
    return inner if inner.is_dir() else root


def _visa_names(root: Path) -> list[str]:
    if not _visa_table(root).is_file():
        return _plain_names(_visa_converted(root))
    return sorted({row["object"] for _, row in _visa_rows(root)})


def _visa(root: Path, name: str) -> Category:
    if not _visa_table(root).is_file():
        return open_category(_visa_converted(root) / name)
    train: list[Path] = []
    test: list[Sample] = []
    for line, row in _visa_rows(root):
        if row["object"] != name:
            continue
        image = _existing(root / row["image"], _visa_table(root), line)
        if row["split"] == "train":
            train.append(image)
        else:
            defect = None if row["label"] == "normal" else row["label"]
            mask = _existing(root / row["mask"], _visa_table(root), line) if defect and row["mask"] else None
            test.append(Sample(image, f"{defect or 'good'}/{image.name}", defect, mask))
    test.sort(key=lambda sample: sample.name)
    return Category(root / name, sorted(train), test, _visa_unclaimed(root / name, test))


def _visa_unclaimed(folder: Path, test: list[Sample]) -> list[Path]:
    """Return the files in the object's folder of masks that the table names for none of its images."""
    masks = folder / "Data" / "Masks"
    claimed = {sample.mask.resolve() for sample in test if sample.mask is not None}
    files = walk(masks) if masks.is_dir() else iter(())
    return sorted(
        path for path in files if path.suffix.lower() in MASK_SUFFIXES and path.resolve() not in claimed
    )


def _visa_rows(root: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of the split table with their line numbers, each checked."""
    table = _visa_table(root)
    allowed = {"split": ("train", "test"), "label": ("normal", "anomaly")}
    with table.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.DictReader(file)
        missing = [column for column in _VISA_COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise DataError(f"{table}: must have the columns {', '.join(_VISA_COLUMNS)}, got no {missing[0]}")
        for row in reader:
            where = f"{table}, line {reader.line_num}"
            for column, values in allowed.items():
                if row[column] not in values:
                    raise DataError(f"{where}: {column} must be {' or '.join(values)}, got {row[column]!r}")
            if row["split"] == "train" and row["label"] != "normal":
                raise DataError(f"{where}: training images must be normal, got {row['label']}")
            yield reader.line_num, {column: row[column] or "" for column in _VISA_COLUMNS}


def _existing(path: Path, table: Path, line: int) -> Path:
    if not path.is_file():
        raise DataError(f"{table}, line {line}: must name files that exist, got {path}")
    refuse_results(path)
    return path


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
