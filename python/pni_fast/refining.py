"""Train one refiner for several fitted models, each of its own category (paper section 3.3)."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias, Union

import torch

from .detector import PNI
from .errors import DataError, PniError
from .fitting import extract_features
from .parallel import one_torch_thread, resolve_device, resolve_threads
from .precision import resolve_precision
from .progress import Progress, silent
from .refinement import RefinerConfig, check_encoder, train_shared_refiner
from .refinement.checkpoint import read_header
from .refiner_fitting import HeldOut, hold_out, with_refiner
from .sources import ImagesLike, training_sources
from .state import Fitted

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
    device, precision, num_threads
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
        The models in the order given, each with the same refiner and with its own range of maps.

    Raises
    ------
    PniError
        The numbers of models and categories differ, a model is not fitted, models differ in the size of the
        crop or in their refiner's settings, or an option is out of its range.
    ModelFileError
        A model cannot be read, or the checkpoint is broken or of another run.
    DataError
        Images cannot be read, or are not as many as the model was fitted on.
    WeightsError
        The encoder's weights cannot be had.

    Examples
    --------
    >>> files = ["bottle.safetensors", "cable.safetensors"]             # doctest: +SKIP
    >>> for file, model in zip(files, refine(files, ["bottle", "cable"])):   # doctest: +SKIP
    ...     model.save(f"refined/{file}")
    """
    if len(models) != len(categories) or not models:
        raise PniError(
            f"models and categories must be as many, at least one: got {len(models)} models and "
            f"{len(categories)} categories"
        )
    if seed < 0:
        raise PniError(f"seed must be at least 0, got {seed}")
    where, threads = resolve_device(device), resolve_threads(num_threads)
    state = None if checkpoint is None else Path(checkpoint)
    if state is not None and state.exists():
        read_header(state)
    encoder_weights = None if weights is None else Path(weights)
    names = [_name(model, number) for number, model in enumerate(models)]
    computing = resolve_precision(precision, where)
    ready = [_ready(model, name, where, threads) for model, name in zip(models, names, strict=True)]
    config = _common_config(ready, names, iterations)
    check_encoder(config, encoder_weights)
    for model in ready:
        model.precision = computing
        model.config = replace(model.config, refinement=True, refiner=config)
    held = [
        _hold_out(model, name, images, skip_broken=skip_broken, progress=told)
        for model, name, images, told in zip(
            ready, names, categories, _numbered(progress, len(ready)), strict=True
        )
    ]
    refiner = train_shared_refiner(
        [part.task for part in held],
        config=config,
        device=where,
        seed=seed,
        weights=encoder_weights,
        num_threads=threads,
        progress=progress,
        checkpoint=state,
        precision=computing,
    )
    for model, part in zip(ready, held, strict=True):
        model._fitted = with_refiner(_single(model), part, refiner, threads, computing)
    return ready


def _name(model: ModelLike, number: int) -> str:
    return f"models[{number}]" if isinstance(model, PNI) else os.fspath(model)


def _ready(model: ModelLike, name: str, device: torch.device, threads: int) -> PNI:
    """Return a model of our own to change, on the device asked for.

    Raises
    ------
    PniError
        It is an ensemble, whose members see an image's map each in its own way.
    """
    own = copy.copy(model) if isinstance(model, PNI) else PNI.load(model, device="cpu")
    count = len(own._require_fitted().members)
    if count > 1:
        raise PniError(
            f"{name}: must be a model of one backbone, got an ensemble of {count}; refine its members_, or "
            "fit it with refinement"
        )
    own.device, own.num_threads, own.skipped_ = device, threads, []
    return own


def _single(model: PNI) -> Fitted:
    """Return the one member of a model that `_ready` let through."""
    (fitted,) = model._require_fitted().members
    return fitted


def _common_config(models: Sequence[PNI], names: Sequence[str], iterations: int | None) -> RefinerConfig:
    """Return the one configuration that a refiner of all the models has.

    Raises
    ------
    PniError
        The models differ in what one refiner must have in common, or `iterations` is out of range.
    """
    first = models[0].config
    for model, name in zip(models, names, strict=True):
        crop, settings = model.config.crop, model.config.refiner.as_dict()
        if crop != first.crop:
            raise PniError(
                f"{name}: models of one refiner must have one crop size: its own is {crop} pixels, that of "
                f"{names[0]} is {first.crop}"
            )
        for setting, value in first.refiner.as_dict().items():
            # The number of steps asked for stands in for what the models say.
            if settings[setting] != value and not (setting == "iterations" and iterations is not None):
                raise PniError(
                    f"{name}: models of one refiner must have the same refiner settings: its {setting} is "
                    f"{settings[setting]}, that of {names[0]} is {value}"
                )
    try:
        return first.refiner if iterations is None else replace(first.refiner, iterations=iterations)
    except ValueError as error:
        raise PniError(str(error)) from error


def _numbered(progress: Progress, count: int) -> Iterator[Progress]:
    """Yield for each category a `progress` whose stages say which it is of how many."""

    def told(number: int) -> Progress:
        if count == 1:
            return progress
        return lambda stage, done, total: progress(f"{number}/{count} {stage}", done, total)

    return (told(number) for number in range(1, count + 1))


def _hold_out(model: PNI, name: str, images: ImagesLike, *, skip_broken: bool, progress: Progress) -> HeldOut:
    """Return what a refiner may be trained on, from the images a model was fitted on.

    Raises
    ------
    DataError
        The images cannot be read, or are not as many.
    """
    fitted = replace(_single(model), config=model.config, refiner=None)
    model._fitted = fitted
    sources = training_sources(images)
    read, features = extract_features(
        fitted.extractor.to(model.device),
        sources,
        model.config,
        device=model.device,
        workers=model.num_threads,
        on_broken=model._skip if skip_broken else None,
        progress=progress,
        precision=model.precision,
    )
    if len(read) != fitted.n_images:
        shown = f"{images}: " if isinstance(images, (str, os.PathLike)) else ""
        raise DataError(
            f"{shown}must hold the {fitted.n_images} images that {name} was fitted on, got {len(read)}; is "
            "it the model of another category?"
        )
    return hold_out(
        fitted,
        read,
        features,
        device=model.device,
        num_threads=model.num_threads,
        progress=progress,
        precision=model.precision,
    )
