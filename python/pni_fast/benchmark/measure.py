"""One category: fit once, then score the test set with every variant that has no record yet."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pni_fast.config.choices import METRICS
from pni_fast.data import Category
from pni_fast.errors import DataError, ModelFileError
from pni_fast.evaluation import evaluate
from pni_fast.model.pni import PNI
from pni_fast.progress import Progress, silent
from pni_fast.report.sheet import write_sheet

from .curves import pixel_curves
from .records import Record, RunFolder, figure_folder, read_json, write_json
from .variants import Variant, derive, share_extraction


@dataclass(frozen=True)
class Plan:
    """What is to be measured on every category with one preset.

    Attributes
    ----------
    folder
        Where its records lie.
    variants
        The variants; the last has every part of the others.
    model
        Makes the unfitted model of a variant.
    figures
        Folder for the image sheets.
    """

    folder: RunFolder
    variants: tuple[Variant, ...]
    model: Callable[[Variant], PNI]
    figures: Path


def measure_category(
    plan: Plan,
    name: str,
    category: Category,
    images: str,
    *,
    progress: Progress = silent,
    on_record: Callable[[Record], None] | None = None,
) -> list[Record]:
    """Measure the variants of a category that have no record yet, and return the records of all.

    Each record is on disk before the next variant begins; the fitted model waits beside them and is removed
    after the last one.

    Parameters
    ----------
    plan
        What to measure.
    name, category
        The category's name in the data set, and what is in it.
    images
        What `contents` says of the category.
    progress
        Told stages named after preset, category and variant.
    on_record
        Called with every new record, once it is on disk.

    Raises
    ------
    PniError
        The category cannot be used, a record was made from other images, or a file cannot be written.
    """
    records = {variant: plan.folder.read(name, variant) for variant in plan.variants}
    for variant, record in records.items():
        if record is not None:
            _check_images(record, category, images, plan.folder.record_path(name, variant))
    pending = [variant for variant, record in records.items() if record is None]
    if pending:
        where = f"{plan.folder.preset} {name}"
        model, seconds = _fitted(plan, name, category, images, pending, _staged(progress, where))
        if len(pending) > 1:
            model = share_extraction(model)
        for variant in pending:
            told = _staged(progress, f"{where} {variant.name}")
            derived, took = derive(model, variant, category.train), seconds
            if derived is None:
                derived, took = _timed_fit(plan.model(variant), category, told)
            record = replace(_measure(plan, name, category, derived, took, told), images=images)
            plan.folder.write(record)
            records[variant] = record
            if on_record is not None:
                on_record(record)
    plan.folder.model_path(name).unlink(missing_ok=True)
    plan.folder.images_path(name).unlink(missing_ok=True)
    return [record for record in records.values() if record is not None]


def _fitted(
    plan: Plan, name: str, category: Category, images: str, pending: list[Variant], progress: Progress
) -> tuple[PNI, float | None]:
    """Return the model a killed run left behind, or a new one, and the seconds its fit took."""
    path = plan.folder.model_path(name)
    fresh = plan.model(plan.variants[-1])
    if path.is_file():
        try:
            left = PNI.load(
                path,
                device=str(fresh.run.device),
                precision=fresh.run.precision.name,
                num_threads=fresh.run.threads,
            )
        except ModelFileError:  # written by another version: fit again
            pass
        else:
            full = Variant.of(left.config)
            usable = left.summary()["n_images"] == len(category.train) and _noted(plan, name) in ("", images)
            if usable and all(variant.within(full) for variant in pending):
                return left, None
    _, seconds = _timed_fit(fresh, category, progress)
    path.unlink(missing_ok=True)  # so that no other model ever lies beside the note
    write_json({"images": images}, plan.folder.images_path(name))
    fresh.save(path)
    return fresh, seconds


def _timed_fit(model: PNI, category: Category, progress: Progress) -> tuple[PNI, float]:
    """Return the model, fitted on the category, and the seconds that took."""
    began = time.monotonic()
    model.fit(category.train, progress=progress)
    return model, round(time.monotonic() - began, 3)


def _noted(plan: Plan, name: str) -> str:
    """Return which images the model that waits was fitted on, empty where an older version left it."""
    path = plan.folder.images_path(name)
    return str(read_json(path).get("images")) if path.is_file() else ""


def _measure(
    plan: Plan, name: str, category: Category, model: PNI, fit_seconds: float | None, progress: Progress
) -> Record:
    began = time.monotonic()
    evaluation = evaluate(model, category, progress=progress)
    seconds = round(time.monotonic() - began, 3)
    variant = Variant.of(model.config).name
    write_sheet(evaluation, figure_folder(plan.figures, plan.folder.preset, name) / f"sheet-{variant}.png")
    curves = pixel_curves(evaluation)
    figures = evaluation.metrics.as_dict()
    return Record(
        category=name,
        preset=plan.folder.preset,
        variant=variant,
        metrics={key: figures[key] for key in (*METRICS, "image_threshold", "pixel_threshold")},
        n_train=len(category.train),
        n_test=len(category.test),
        notes=evaluation.notes,
        curves=None if curves is None else curves.as_dict(),
        model=evaluation.model,
        seconds={"fit": fit_seconds, "evaluate": seconds},
        device=_device(model),
    )


def _device(model: PNI) -> str:
    """Return where the networks ran, and how precisely where that was asked for."""
    device, chosen = model.run.device, model.run.precision.name
    return str(device) if chosen == "auto" else f"{device}, {chosen}"


def _check_images(record: Record, category: Category, images: str, path: Path) -> None:
    found = (len(category.train), len(category.test))
    if (record.n_train, record.n_test) != found:
        raise DataError(
            f"{path}: made from {record.n_train} training and {record.n_test} test images, but "
            f"{category.root} now holds {found[0]} and {found[1]}; delete the file to measure again"
        )
    if record.images != images:
        raise DataError(
            f"{path}: made from other images or masks than {category.root} now holds; "
            "delete the file to measure again"
        )


def _staged(progress: Progress, where: str) -> Progress:
    return lambda stage, done, total: progress(f"{where}: {stage}", done, total)
