"""Train one refiner for several fitted models, each of its own category (paper section 3.3)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

import numpy as np

from pni_fast.config import RefinerConfig
from pni_fast.config.geometry import size_text
from pni_fast.data import ImagesLike, Source, training_sources
from pni_fast.decision import Decision
from pni_fast.decision.decision import CALIBRATION
from pni_fast.errors import DataError, PniError, needs
from pni_fast.features.extract import extract_features
from pni_fast.progress import Progress, silent
from pni_fast.runtime.run import Run
from pni_fast.runtime.threads import one_torch_thread

from .computing import resolved_run
from .decision_fit import Asked, Tally, digests_of
from .fitted import Fitted
from .left_out import bank_of
from .pni import PNI

if TYPE_CHECKING:
    from .refiner_fit import HalfFit

ModelLike: TypeAlias = Union[str, "os.PathLike[str]", PNI]


@one_torch_thread()
def refine(
    models: Sequence[ModelLike],
    categories: Sequence[ImagesLike],
    *,
    iterations: int | None = None,
    seed: int = 0,
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    num_threads: int | None = None,
    skip_broken: bool = False,
    progress: Progress = silent,
    checkpoint: str | os.PathLike[str] | None = None,
) -> list[PNI]:
    """Train one refinement network over many categories and return the models with it.

    A refiner must not take the maps of images whose own features sit in a coreset for those of new ones. Of
    each category a second distribution is therefore fitted on every other image, with the settings of its
    model, and the refiner sees synthetic defects in the images left out. For one category and the model's
    seed this gives the very model that ``PNI(refinement=True).fit`` gives.

    Parameters
    ----------
    models
        Fitted models, or files of them. They stay as they are; a refiner they have is left out.
    categories
        The images each was fitted on, one category for each model in the same order; anything that
        :meth:`pni_fast.PNI.fit` takes.
    iterations
        Steps of the training. None: those of the models' settings.
    seed
        Non-negative; decides the first weights, the defects and the augmentation.
    weights
        Pretrained weights of the refiner's encoder. None: the embedded ones, or timm's hub.
    device, precision, engine, num_threads
        As for :class:`pni_fast.PNI`; on a CPU the result does not depend on the number of threads.
    skip_broken
        Leave unreadable images out and list them in each model's ``skipped_`` instead of raising.
    progress
        Called with (stage, done, total); stages of one category start with its number.
    checkpoint
        File that the training is kept in. Where it exists, training goes on from it and on a CPU gives the
        very result of a run never stopped. It is left in place: remove it once the models are saved.

    Returns
    -------
    list of PNI
        The models in the order given, each with the same refiner, with its own range of maps and with the
        threshold that images left out of it give at its own rate. A threshold that was set by hand or
        calibrated was one for other scores, and ends with a warning.

    Raises
    ------
    PniError
        The numbers of models and categories differ, a model is not fitted, models differ in size or in their
        refiner's settings, or an option is out of its range.
    ModelFileError
        A model cannot be read, or the checkpoint is broken or of another run.
    DataError
        Images cannot be read, or are not those that the model was fitted on.
    WeightsError
        The encoder's weights cannot be had.
    NotInstalledError
        torch is not installed.

    Examples
    --------
    >>> files = ["bottle.safetensors", "cable.safetensors"]             # doctest: +SKIP
    >>> for file, model in zip(files, refine(files, ["bottle", "cable"])):   # doctest: +SKIP
    ...     model.save(f"refined/{file}")
    """
    needs("torch", "refine")
    # All three are about networks: to be imported without torch, this module must not bring them.
    from pni_fast.refinement import check_encoder, train_shared_refiner
    from pni_fast.refinement.checkpoint import read_header

    from .refiner_fit import with_refiner

    if len(models) != len(categories) or not models:
        raise PniError(
            f"models and categories must be as many, at least one: got {len(models)} models and "
            f"{len(categories)} categories"
        )
    run = resolved_run(device, precision, num_threads, engine).reporting(progress)
    checkpoint_file = None if checkpoint is None else Path(checkpoint)
    if checkpoint_file is not None and checkpoint_file.exists():
        read_header(checkpoint_file)
    encoder_weights = None if weights is None else Path(weights)
    names = [_name(model, number) for number, model in enumerate(models)]
    unrefined = [_single(model, name) for model, name in zip(models, names, strict=True)]
    config = _common_config(unrefined, names, iterations)
    replace(unrefined[0].config, seed=seed)  # which refuses what is no seed
    check_encoder(config, encoder_weights)
    ready = [
        replace(fitted, config=replace(fitted.config, refinement=True, refiner=config), refiner=None)
        for fitted in unrefined
    ]
    halves: list[HalfFit] = []
    skipped: list[list[tuple[str, str]]] = []
    for number, (fitted, name, images) in enumerate(zip(ready, names, categories, strict=True), 1):
        told = run if len(ready) == 1 else run.within(f"{number}/{len(ready)} ")
        half, broken = _fit_half(fitted, name, images, told, skip_broken=skip_broken)
        halves.append(half)
        skipped.append(broken)
    refiner = train_shared_refiner(
        [half.task for half in halves],
        config,
        run,
        seed=seed,
        weights=encoder_weights,
        checkpoint=checkpoint_file,
    )
    refined = []
    each = zip(ready, names, halves, skipped, categories, strict=True)
    for fitted, name, half, broken, images in each:
        _say_what_ends(fitted.decision, name)
        whole = _decided(with_refiner(fitted, half, refiner, run), images, run)
        model = PNI.from_fitted(whole, run.reporting(silent))
        model.skipped_ = broken
        refined.append(model)
    return refined


def _name(model: ModelLike, number: int) -> str:
    return f"models[{number}]" if isinstance(model, PNI) else os.fspath(model)


def _single(model: ModelLike, name: str) -> Fitted:
    """Return the one member of a model.

    Raises
    ------
    PniError
        It is an ensemble, whose members see an image's map each in its own way.
    """
    fitted = (model if isinstance(model, PNI) else PNI.load(model, device="cpu")).fitted
    if isinstance(fitted, Fitted):
        return fitted
    raise PniError(
        f"{name}: must be a model of one backbone, got an ensemble of {len(fitted.members)}; refine its "
        "members_, or fit it with refinement"
    )


def _common_config(models: Sequence[Fitted], names: Sequence[str], iterations: int | None) -> RefinerConfig:
    """Return the one configuration that a refiner of all the models has.

    Raises
    ------
    PniError
        The models differ in what one refiner must have in common, or `iterations` is out of range.
    """
    first = models[0].config
    for model, name in zip(models, names, strict=True):
        shape, settings = model.config.geometry.shape, model.config.refiner.as_dict()
        if shape != first.geometry.shape:
            raise PniError(
                f"{name}: models of one refiner must have one size: its own is {size_text(shape)} pixels, "
                f"that of {names[0]} is {size_text(first.geometry.shape)}"
            )
        for setting, value in first.refiner.as_dict().items():
            # The number of steps asked for stands in for what the models say.
            if settings[setting] != value and not (setting == "iterations" and iterations is not None):
                raise PniError(
                    f"{name}: models of one refiner must have the same refiner settings: its {setting} is "
                    f"{settings[setting]}, that of {names[0]} is {value}"
                )
    return first.refiner if iterations is None else replace(first.refiner, iterations=iterations)


def _fit_half(
    fitted: Fitted, name: str, images: ImagesLike, run: Run, *, skip_broken: bool
) -> tuple[HalfFit, list[tuple[str, str]]]:
    """Return what a refiner may be trained on, from the images a model was fitted on, and those left out.

    Raises
    ------
    DataError
        The images cannot be read, or are not as many.
    """
    broken: list[tuple[str, str]] = []

    def skip(source: str, reason: str) -> None:
        broken.append((source, reason))

    read, features = extract_features(
        fitted.extractor.extraction(run),
        training_sources(images),
        fitted.config.geometry,
        run,
        skip if skip_broken else None,
        dtype=fitted.config.feature_dtype,
    )
    if len(read) != fitted.n_images:
        shown = f"{images}: " if isinstance(images, (str, os.PathLike)) else ""
        raise DataError(
            f"{shown}must hold the {fitted.n_images} images that {name} was fitted on, got {len(read)}; is "
            "it the model of another category?"
        )
    _refuse_strangers(fitted.decision, name, read, run)
    if fitted.inspected is not None:
        fitted.inspected.fill(features)
    from .refiner_fit import fit_half

    return fit_half(fitted, read, features, run), broken


def _refuse_strangers(decision: Decision | None, name: str, read: Sequence[Source], run: Run) -> None:
    """Refuse images that a model was not fitted on, by their bytes, where it knows those that it was.

    Raises
    ------
    DataError
        There is one.
    """
    if decision is None or not len(decision.digests):
        return  # of an older version
    for source, known in zip(read, np.isin(digests_of(read, run), decision.digests), strict=True):
        if not known:
            raise DataError(
                f"{source.said}: must be one of the images that {name} was fitted on, its bytes are those of "
                "none; is it the model of another category?"
            )


def _say_what_ends(before: Decision | None, name: str) -> None:
    """Warn of a threshold that somebody chose: it was one for scores without the refiner."""
    if before is None or (before.at is None and before.source != CALIBRATION):
        return
    was = f"set by hand ({before.at:g})" if before.at is not None else f"calibrated ({before.count} images)"
    warnings.warn(
        f"{name}: its threshold was {was}, for scores without a refiner; the refined model's follows from "
        "images left out, so set or calibrate it again",
        stacklevel=3,
    )


def _decided(fitted: Fitted, images: ImagesLike, run: Run) -> Fitted:
    """Return a refined model with the threshold of its own maps: a refiner makes other scores.

    The images are read again: their features would fill the memory through a long training.
    """
    before = fitted.decision or Decision()
    config = fitted.config
    quiet, sources = run.reporting(silent), training_sources(images)
    extract = fitted.extractor.extraction(run)
    read, features = extract_features(
        *(extract, sources, config.geometry, quiet, lambda *_: None), dtype=config.feature_dtype
    )
    if fitted.inspected is not None:
        fitted.inspected.fill(features)
    tally = Tally(config, Asked(before.false_alarms, before.confidence))
    bank = bank_of(features, fitted.distribution, config.neighborhood_size, run.threads)
    return tally.add(fitted, bank, read, run)
