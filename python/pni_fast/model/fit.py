"""The fit, start to end: images → features → distribution → refiner → range of normal maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import Config
from pni_fast.config.geometry import AUTO_DEPTH, AUTO_SIZE, size_text
from pni_fast.data import Source
from pni_fast.data.depth import depth_of, highest_value
from pni_fast.data.digests import Digests
from pni_fast.data.inspected import Inspected, RoiLike, read_inspected
from pni_fast.data.sizes import fitting_shape, known_size, one_size
from pni_fast.data.spacing import evenly_spaced
from pni_fast.distribution.bank import Bank
from pni_fast.distribution.fit import fit_distribution
from pni_fast.distribution.left_out import ToMap
from pni_fast.errors import PniError
from pni_fast.features.sizes import check_sizes, size_multiple
from pni_fast.runtime.copies import on_device
from pni_fast.runtime.device import CPU
from pni_fast.runtime.feature_header import HEADER, refuse_foreign
from pni_fast.runtime.run import Run
from pni_fast.runtime.stream import OnBroken
from pni_fast.runtime.threads import one_torch_thread, ordered_map
from pni_fast.scoring.anomaly_map import Upsampler
from pni_fast.scoring.map_range import map_range

from .decision_fit import Asked, Tally, digests_of, refuse_fitted
from .ensemble import FittedModel, combine
from .extraction import build, check_engine, described
from .fit_features import features_for
from .fitted import Fitted, config_inside
from .made_defects import defects_in, made_inside, map_inside
from .spread import Spread, check_spread

RANGE_IMAGES = 32
"""Normal images, evenly spaced over the training set, whose maps fix the normalisation."""


@one_torch_thread()
def fit(
    sources: Sequence[Source],
    config: Config,
    weights: Sequence[Path | None],
    run: Run,
    *,
    on_broken: OnBroken | None = None,
    checkpoint: Path | None = None,
    refiner_weights: Path | None = None,
    asked: Asked | None = None,
    roi: RoiLike | None = None,
    store: Path | None = None,
    digests: Digests | None = None,
    spread: Spread | None = None,
) -> FittedModel:
    """Fit a model on normal images; see :meth:`pni_fast.PNI.fit`.

    What is known of the images' digests may be handed on; `spread` extracts in place of this process.

    The members of an ensemble are fitted one after another: features are held of one at a time, and on a GPU
    the networks of one at a time, those finished waiting in the host's memory.

    Raises
    ------
    PniError
        As it says there.
    """
    check_spread(spread)
    if config.depth == AUTO_DEPTH:
        config = replace(config, depth=depth_of(ordered_map(highest_value, sources, run.threads)))
    sizes = list(ordered_map(known_size, sources, run.threads))
    if config.size == AUTO_SIZE:
        config = replace(config, size=size_text(fitting_shape(sizes, size_multiple(config))))
    check_sizes(config)
    members = tuple(zip(config.members, weights, strict=True))
    for member, file in members[1:]:
        build(member, file)  # a wrong name or file is found before the first fit, not after it
    if config.refinement:
        from pni_fast.refinement import check_encoder

        check_encoder(config.refiner, refiner_weights)
    asked, digests = asked or Asked(), digests or Digests()
    refuse_fitted(asked.calibration, digests_of(sources if asked.calibration else [], run, digests), run)
    stores = [None] * len(members) if store is None else member_stores(config, store)
    if asked.dropped:
        find = partial(fit, roi=roi, store=store, digests=digests, spread=spread)
        found = _suspects(find, sources, config, weights, run, on_broken)
        dropped = {id(source) for source in found[: asked.dropped]}  # names may repeat
        sources = [source for source in sources if id(source) not in dropped]
        sizes = list(ordered_map(known_size, sources, run.threads))
    image_size = one_size(sizes)
    mask = None if roi is None else read_inspected(roi, config.geometry, image_size)
    tally = Tally(config, asked, digests)
    fitted: list[Fitted] = []
    checkpoints = [None] * len(members) if checkpoint is None else member_checkpoints(config, checkpoint)
    each = zip(members, checkpoints, stores, strict=True)
    for number, ((member, file), own_checkpoint, folder) in enumerate(each, 1):
        where = "" if len(members) == 1 else f"{member.backbone} ({number}/{len(members)}): "
        one, sources = _fit_member(
            sources,
            member,
            file,
            run.within(where),
            on_broken=on_broken,
            checkpoint=own_checkpoint,
            refiner_weights=refiner_weights,
            tally=tally,
            roi=mask,
            image_size=image_size,
            store=folder,
            spread=spread,
        )
        on_broken = None  # from the second member on, `sources` are those that could be read
        fitted.append(one if len(members) == 1 else one.to(CPU))
    return tally.decided(combine(config, fitted), run)


def _suspects(
    find: Callable[..., FittedModel],
    sources: Sequence[Source],
    config: Config,
    weights: Sequence[Path | None],
    run: Run,
    on_broken: OnBroken | None,
) -> list[Source]:
    """Return what looks like a defect among the good, the worst first, by a fit without trained networks."""
    plain = replace(config, neighborhood=False, refinement=False)
    skip = None if on_broken is None else lambda *_: None  # they are told by the fit that counts
    found: list[Source] = []
    find(sources, plain, weights, run.within("suspects: "), on_broken=skip, asked=Asked(found=found.append))
    return found


def member_checkpoints(config: Config, checkpoint: Path) -> list[Path]:
    """Return the file of each member's refiner training: `checkpoint`, numbered where there are several."""
    count = len(config.backbones)
    if count == 1:
        return [checkpoint]
    return [checkpoint.with_name(f"{checkpoint.stem}-{n}{checkpoint.suffix}") for n in range(1, count + 1)]


def member_stores(config: Config, store: Path) -> list[Path]:
    """Return the folder of each member's features: `store`, or one inside it for each of several.

    Raises
    ------
    PniError
        `store` holds something else.
    """
    count = len(config.backbones)
    if count == 1:
        refuse_foreign(store, HEADER)
        return [store]
    names = [f"member-{number}" for number in range(1, count + 1)]
    refuse_foreign(store, *names)
    return [store / name for name in names]


def check_refiner_options(config: Config, checkpoint: Path | None, weights: Path | None) -> None:
    """Refuse, before the work begins, options of a refiner where there is none, and a broken checkpoint.

    Raises
    ------
    PniError
        There will be no refiner.
    ModelFileError
        The checkpoint is none.
    """
    for name, value in {"checkpoint": checkpoint, "refiner_weights": weights}.items():
        if value is not None and not config.refinement:
            raise PniError(f"{name} {value}: refinement must be on, got refinement=False")
    for file in [] if checkpoint is None else member_checkpoints(config, checkpoint):
        if file.exists():
            from pni_fast.refinement.checkpoint import read_header

            read_header(file)


def _fit_member(
    sources: Sequence[Source],
    config: Config,
    weights: Path | None,
    run: Run,
    *,
    on_broken: OnBroken | None,
    checkpoint: Path | None,
    refiner_weights: Path | None,
    tally: Tally,
    roi: NDArray[np.bool_] | None,
    image_size: tuple[int, int] | None,
    store: Path | None,
    spread: Spread | None,
) -> tuple[Fitted, list[Source]]:
    """Fit a model with one backbone; return the sources it could read too."""
    extractor, weights_source = build(config, weights)
    extract = extractor.extraction(run)
    check_engine(extractor, extract, sources, config, weights, run)
    with features_for(
        *(sources, config, weights, run, extractor, extract),
        on_broken=on_broken,
        roi=roi,
        store=store,
        digests=tally.known,
        spread=spread,
    ) as (read, features):
        count, height, width, _ = features.shape
        to_map: ToMap = Upsampler((height, width), config.geometry.shape, config.sigma)
        made = defects_in(read, extract, config, run)
        within = config
        if roi is not None:
            inspected = Inspected(roi, (height, width))
            within = config_inside(config, inspected)
            made, to_map = made_inside(made, inspected), map_inside(to_map, inspected)
        banks: list[Bank] = []
        distribution = fit_distribution(
            features,
            within,
            run,
            to_map,
            names=[source.name for source in read],
            made=made,
            banked=banks.append,
        )
        fitted = Fitted(
            *(config, weights_source, extractor, (height, width), distribution, count),
            engine=described(extractor, run),
            roi=roi,
            image_size=image_size,
        )
        if config.refinement:
            from .refiner_fit import fit_refiner

            assert isinstance(features, np.ndarray)  # its network is trained on them
            fitted = fit_refiner(fitted, read, features, run, checkpoint=checkpoint, weights=refiner_weights)
        else:
            fitted = fitted.with_normalization(_normal_range(fitted, banks[0], run))
        return tally.add(fitted, banks[0], read, run), read


def _normal_range(fitted: Fitted, bank: Bank, run: Run) -> tuple[float, float]:
    """Return the lowest and highest value of the anomaly maps of some training images."""
    scorer = fitted.likelihood_scorer(run)

    def one_map(index: int) -> NDArray[np.float32]:
        grid = bank.of(index).reshape(1, bank.height, bank.width, -1)
        return scorer.feature_maps(on_device(grid, run.device), threads=1)[0]

    return map_range(ordered_map(one_map, evenly_spaced(bank.count, RANGE_IMAGES), run.threads))
