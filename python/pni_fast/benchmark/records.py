"""Results on disk: one file for each category and variant, so that a killed run resumes where it stopped."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pni_fast.data import Category
from pni_fast.errors import DataError, PniError
from pni_fast.runtime.files import atomic_path

from .variants import Variant


@dataclass(frozen=True)
class Record:
    """What one variant reached on one category.

    Attributes
    ----------
    category, preset, variant
        What was measured; `variant` is a `Variant.name`.
    metrics
        The figures of `METRICS` and the two thresholds of F1max; None where the test set cannot say.
    n_train, n_test
        Images fitted on and tested on.
    notes
        What the figures leave out, in sentences.
    curves
        `PixelCurves.as_dict`, or None without pixel metrics.
    model
        The model's own description.
    seconds
        ``fit`` (shared by the variants of the category; None where a killed run had fitted it), ``evaluate``.
    device
        Where the networks ran; with the precision, where it was not left to `auto`.
    images
        What `contents` says of the category; empty in records older than this field.
    """

    category: str
    preset: str
    variant: str
    metrics: dict[str, float | None]
    n_train: int
    n_test: int
    notes: list[str]
    curves: dict[str, Any] | None
    model: dict[str, Any]
    seconds: dict[str, float | None]
    device: str
    images: str = ""

    @property
    def label(self) -> str:
        """Preset and variant, as a row of a table is called."""
        return f"{self.preset} {Variant.named(self.variant).label}"


class RunFolder:
    """The records of one preset below an output folder.

    Parameters
    ----------
    output
        The benchmark's output folder.
    preset
        Name of the preset.
    """

    def __init__(self, output: Path, preset: str) -> None:
        self.path = output / "runs" / preset
        self.preset = preset

    def model_path(self, category: str) -> Path:
        """Return where the fitted model waits until every variant of the category is measured."""
        return self._category(category) / "model.safetensors"

    def images_path(self, category: str) -> Path:
        """Return where it is said which images that model was fitted on."""
        return self._category(category) / "model.images"

    def record_path(self, category: str, variant: Variant) -> Path:
        """Return where a record lies."""
        return self._category(category) / f"{variant.name}.json"

    def read(self, category: str, variant: Variant) -> Record | None:
        """Return a record, None where there is none yet.

        Raises
        ------
        PniError
            The file is no record.
        """
        path = self.record_path(category, variant)
        return read_record(path) if path.is_file() else None

    def write(self, record: Record) -> None:
        """Write a record, whole or not at all."""
        write_json(asdict(record), self.record_path(record.category, Variant.named(record.variant)))

    def claim(self, settings: dict[str, Any]) -> None:
        """Bind the folder to the settings its records are made with.

        Raises
        ------
        PniError
            It holds results of other settings; the message names the first that differs.
        """
        path = self.path / "settings.json"
        wanted = json.loads(json.dumps(settings))
        if not path.is_file():
            write_json(wanted, path)
            return
        known = _flat(read_json(path))
        for name, value in _flat(wanted).items():
            if known.get(name) != value:
                raise PniError(
                    f"{self.path}: holds results made with {name} {known.get(name)!r}, got {value!r}; "
                    "give another --output"
                )

    def _category(self, category: str) -> Path:
        return self.path / _folder_name(category)


def figure_folder(figures: Path, preset: str, category: str) -> Path:
    """Return where the figures of a category and preset lie below `figures`."""
    return figures / preset / _folder_name(category)


def _folder_name(category: str) -> str:
    """Return a name of one folder; VisA's table could name a category anything."""
    return quote(category, safe=" ")


def all_records(output: Path) -> list[Record]:
    """Return every record below an output folder, by preset, category and variant.

    Raises
    ------
    PniError
        A file is no record.
    """
    found = sorted((output / "runs").glob("*/*/*.json"))
    return [read_record(path) for path in found]


def read_record(path: Path) -> Record:
    """Read a record.

    Raises
    ------
    PniError
        The file is no record of this version.
    """
    values = read_json(path)
    names = {item.name for item in fields(Record)}
    if set(values) | {"images"} != names:
        odd = sorted((set(values) | {"images"}) ^ names)
        raise PniError(
            f"{path}: must be a record of this version, got other fields: {', '.join(odd)}; delete it"
        )
    return Record(**values)


def contents(category: Category) -> str:
    """Return a digest of every image and mask of a category: their places in it, and what is in the files.

    Raises
    ------
    DataError
        A file cannot be read.
    """
    files = [(path, "train") for path in category.train]
    for sample in category.test:
        files.append((sample.path, f"test {sample.defect}"))
        if sample.mask is not None:
            masks = sorted(sample.mask.rglob("*")) if sample.mask.is_dir() else [sample.mask]
            files += [(path, f"mask of {sample.name}") for path in masks if path.is_file()]
    digest = hashlib.sha256()
    for path, part in files:
        try:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
        digest.update(json.dumps([part, path.name, content]).encode())
    return digest.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; PniError where the file is none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PniError(f"{path}: must be a JSON object, got {error}; delete it to measure again") from error
    if not isinstance(values, dict):
        raise PniError(f"{path}: must be a JSON object, got {type(values).__name__}; delete it")
    return values


def write_json(values: dict[str, Any], path: Path) -> None:
    """Write a JSON object, whole or not at all."""
    text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8", errors="replace")


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested objects as one with dotted names, for a message that names the one that differs."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
