"""VisA as it is published: a table says which pictures of an object are for training, which for the test."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from pni_fast.errors import DataError

from .layout import Category, Sample
from .listing import MASK_SUFFIXES, walk
from .results_mark import refuse_results

COLUMNS = ("object", "split", "label", "image", "mask")

ALLOWED = {"split": ("train", "test"), "label": ("normal", "anomaly")}


def has_table(root: Path) -> bool:
    """Whether `root` has the table of the one-class split."""
    return _table(root).is_file()


def table_names(root: Path) -> list[str]:
    """Return the objects that the table names, sorted.

    Raises
    ------
    DataError
        The table cannot be read as what it is.
    """
    return sorted({row["object"] for _, row in _rows(root)})


def table_category(root: Path, name: str) -> Category:
    """Return the pictures of one object, as the table has them.

    Raises
    ------
    DataError
        The table cannot be read as what it is, or names a file that is not there.
    """
    train: list[Path] = []
    test: list[Sample] = []
    for line, row in _rows(root):
        if row["object"] != name:
            continue
        image = _existing(root / row["image"], _table(root), line)
        if row["split"] == "train":
            train.append(image)
        else:
            defect = None if row["label"] == "normal" else row["label"]
            mask = _existing(root / row["mask"], _table(root), line) if defect and row["mask"] else None
            test.append(Sample(image, f"{defect or 'good'}/{image.name}", defect, mask))
    test.sort(key=lambda sample: sample.name)
    return Category(root / name, sorted(train), test, _unclaimed(root / name, test))


def _table(root: Path) -> Path:
    return root / "split_csv" / "1cls.csv"


def _unclaimed(folder: Path, test: list[Sample]) -> list[Path]:
    """Return the files in the object's folder of masks that the table names for none of its images."""
    masks = folder / "Data" / "Masks"
    claimed = {sample.mask.resolve() for sample in test if sample.mask is not None}
    files = walk(masks) if masks.is_dir() else iter(())
    return sorted(
        path for path in files if path.suffix.lower() in MASK_SUFFIXES and path.resolve() not in claimed
    )


def _rows(root: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of the table with their line numbers, each checked; no image is in two of them."""
    table, lines = _table(root), dict[str, int]()
    with table.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.DictReader(file)
        try:
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise DataError(f"{table}: must have the columns {', '.join(COLUMNS)}, got no {missing[0]}")
            for values in reader:
                row, line = {column: values[column] or "" for column in COLUMNS}, reader.line_num
                _check(row, f"{table}, line {line}")
                first = lines.setdefault(os.path.normpath(row["image"]), line)
                if first != line:
                    raise DataError(
                        f"{table}, line {line}: must name each image once, got {row['image']} of line {first}"
                    )
                yield line, row
        except csv.Error as error:
            raise DataError(
                f"{table}, line {reader.reader.line_num}: must be text with commas, {error}"
            ) from error


def _check(row: dict[str, str], where: str) -> None:
    """Refuse what a row cannot say. An object is a folder here, and results are kept by its name."""
    for column, values in ALLOWED.items():
        if row[column] not in values:
            raise DataError(f"{where}: {column} must be {' or '.join(values)}, got {row[column]!r}")
    if row["split"] == "train" and row["label"] != "normal":
        raise DataError(f"{where}: training images must be normal, got {row['label']}")
    name = row["object"]
    if name.startswith(".") or not name.strip() or not name.isprintable() or set(name) & set("/\\:"):
        raise DataError(f"{where}: object must be the name of a folder, got {name!r}")
    if not row["image"]:
        raise DataError(f"{where}: must name an image, got none")


def _existing(path: Path, table: Path, line: int) -> Path:
    if not path.is_file():
        raise DataError(f"{table}, line {line}: must name files that exist, got {path}")
    refuse_results(path)
    return path
