"""The rows of the paper's Table 3: one fit, and every model that is the same fit with parts left out.

The parts do not act on one another while they are fitted (the coreset is the same with and without them, the
neighborhood MLP never sees the histogram, the refiner comes last), so leaving a part out of the full model
gives, bit for bit, the model that a fit without it gives. Where good images choose position or context, the
trials of each do not depend on the others, so that the choice among fewer is known too; what it falls on may
be missing from the full model, and then there is a fit of its own. A test holds this.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import RULES, Config
from pni_fast.config.overrides import with_settings
from pni_fast.data.spacing import evenly_spaced
from pni_fast.distribution.distribution import Distribution
from pni_fast.distribution.trials import WEIGHTS, Trial, Trials
from pni_fast.features.stored import Extract, StoredExtractor
from pni_fast.model.ensemble import combine
from pni_fast.model.fit import RANGE_IMAGES
from pni_fast.model.fitted import Fitted
from pni_fast.model.pni import PNI
from pni_fast.progress import Progress, silent
from pni_fast.runtime.copies import Values, on_device, to_host
from pni_fast.runtime.run import Run
from pni_fast.scoring.map_range import map_range


@dataclass(frozen=True)
class Variant:
    """Which parts a model may have.

    Attributes
    ----------
    neighborhood, position, context, refinement
        N, P and R of the paper's Table 3, and C. Where good images choose, position and context are what they
        choose from.
    """

    neighborhood: bool
    position: bool
    context: bool
    refinement: bool

    @property
    def name(self) -> str:
        """``neither`` or the letters of its parts: a file name and the key of the paper's Table 3."""
        has = (self.neighborhood, self.position, self.context, self.refinement)
        return "".join(letter for letter, one in zip(LETTERS, has, strict=True) if one) or "neither"

    @property
    def label(self) -> str:
        """The name for a reader: with no part the model is PatchCore."""
        return "PatchCore (neither)" if self.name == "neither" else self.name

    @classmethod
    def of(cls, config: Config) -> Variant:
        """Return the variant that a configuration describes."""
        return cls(config.neighborhood, config.position, config.has_context, config.refinement)

    def settings(self, config: Config) -> dict[str, Any]:
        """Return by name what makes `config` a configuration with these parts and no others."""
        parts: dict[str, Any] = {
            "neighborhood": self.neighborhood,
            "position": self.position,
            "refinement": self.refinement,
        }
        # Under the other rules context never acts, and its switch says nothing.
        return parts | ({"context.used": self.context} if RULES[config.rule].tried else {})

    def applied_to(self, config: Config) -> Config:
        """Return the settings with these parts and no others."""
        return with_settings(config, self.settings(config))

    @classmethod
    def named(cls, name: str) -> Variant:
        """Return the variant of a `name`."""
        letters = "" if name == "neither" else name
        return cls(*(letter in letters for letter in LETTERS))

    def within(self, other: Variant) -> bool:
        """Whether `other` has every part this one has."""
        return set(self.name) <= set(other.name) or self.name == "neither"

    @property
    def order(self) -> tuple[bool, ...]:
        """What variants are sorted by in tables: from no part to all, the rows of the paper in its order."""
        return self.refinement, self.neighborhood, self.context, self.position


LETTERS = "NPCR"
"""The parts as a variant's name has them."""


def ablation(config: Config) -> tuple[Variant, ...]:
    """Return the rows of a preset's ablation, the last with every part.

    With neighborhood and without context they are the paper's four, and P alone, which the paper leaves out.
    """
    conditions = ("P", "C", "PC") if RULES[config.rule].tried else ("P",)
    whole = conditions[-1]
    if config.neighborhood:
        conditions, whole = (*conditions, "N", f"N{whole}"), f"N{whole}"
    return tuple(Variant.named(name) for name in ("neither", *conditions, f"{whole}R"))


REMEMBERED = 4 << 30
"""Bytes of features that the extractors of a model keep between them."""


class RememberingExtractor(StoredExtractor):
    """An extractor that knows the images it has seen: variants of one fit share their features.

    Parameters
    ----------
    extractor
        The extractor of the fit.
    capacity
        Bytes of features kept; images beyond it are extracted each time.
    """

    def __init__(self, extractor: StoredExtractor, capacity: int) -> None:
        super().__init__(
            extractor.name,
            extractor.patch,
            extractor.dimension,
            lambda _: extractor.module(),
            {},
            extractor.graph,
        )
        self._inner = extractor
        self._left = capacity
        self._seen: dict[bytes, NDArray[np.float32]] = {}
        self._memory = threading.Lock()

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return those of the extractor it stands for."""
        return self._inner.tensors()

    def extraction(self, run: Run) -> Extract:
        """Return what runs it, or remembers what came of it."""
        extract = self._inner.extraction(run)

        def remembered(crops: Values) -> Values:
            keys = [hashlib.blake2b(image.tobytes()).digest() for image in to_host(crops)[0]]
            if all(key in self._seen for key in keys):
                return on_device(np.stack([self._seen[key] for key in keys]), run.device)
            features = extract(crops)
            with self._memory:
                for key, row in zip(keys, to_host(features)[0], strict=True):
                    if key not in self._seen and row.nbytes <= self._left:
                        self._seen[key] = row
                        self._left -= row.nbytes
            return features

        return remembered


def share_extraction(model: PNI) -> PNI:
    """Return a fitted model whose variants extract the features of an image once between them."""
    members = model.fitted.members
    capacity = REMEMBERED // len(members)
    sharing = [
        replace(member, extractor=RememberingExtractor(member.extractor, capacity)) for member in members
    ]
    return PNI.from_fitted(combine(model.config, sharing), model.run)


def derive(model: PNI, variant: Variant, train: list[Path], *, progress: Progress = silent) -> PNI | None:
    """Return the model that a fit of `variant` on the same images gives; None where it takes that fit.

    Parameters
    ----------
    model
        A fitted model that has every part of `variant`.
    variant
        The parts to keep.
    train
        The images the model was fitted on, in order: some of them fix the range of the maps again.
    progress
        Told the model's stages.

    Raises
    ------
    ValueError
        The model lacks a part of the variant.
    """
    full = Variant.of(model.config)
    if not variant.within(full):
        raise ValueError(f"variant must have parts of {full.name} only, got {variant.name}")
    if variant == full:
        return model
    if variant.refinement:  # a refiner learns from the maps of its own conditions
        return None
    config = variant.applied_to(model.config)
    remaining = [_without(member.distribution, config) for member in model.fitted.members]
    held = [distribution for distribution in remaining if distribution is not None]
    if len(held) < len(remaining):
        return None
    members = [
        _derive_member(member, distribution, variant, train, model.run, progress)
        for member, distribution in zip(model.fitted.members, held, strict=True)
    ]
    return PNI.from_fitted(combine(config, members), model.run)


def _without(fitted: Distribution, config: Config) -> Distribution | None:
    """Return a distribution with the parts of `config` only; None where it lacks what these would be."""
    neighborhood = fitted.neighborhood if config.neighborhood else None
    if not RULES[config.rule].tried:
        return replace(
            fitted,
            neighborhood=neighborhood,
            position=fitted.position if config.position else None,
            gate=fitted.gate if config.position else None,
        )
    trials, choice = _choice(fitted, config)
    if choice.condition not in ("none", fitted.condition):
        return None
    return replace(
        fitted,
        neighborhood=neighborhood,
        position=fitted.position if choice.condition == "position" else None,
        context=fitted.context if choice.condition == "context" else None,
        weight=choice.weight,
        trials=trials,
    )


def _choice(fitted: Distribution, config: Config) -> tuple[Trials | None, Trial]:
    """Return what :func:`pni_fast.distribution.conditions.with_conditions` comes to under `config`."""
    switches = (("position", config.position), ("context", config.has_context))
    conditions = [name for name, on in switches if on]
    trials, choice = None, Trial("none", 0.0)
    if conditions and fitted.trials is not None:
        trials = Trials.decided([row for row in fitted.trials.rows if row.condition in ("none", *conditions)])
        choice = trials.choice
    elif conditions and not config.position_gate:
        choice = Trial(conditions[-1], WEIGHTS[-1])
    if choice.condition == "none" and config.neighborhood:
        choice = Trial("none", WEIGHTS[-1])
    return trials, choice


def _derive_member(
    fitted: Fitted,
    distribution: Distribution,
    variant: Variant,
    train: list[Path],
    run: Run,
    progress: Progress,
) -> Fitted:
    config = variant.applied_to(fitted.config)
    member = replace(fitted, config=config, distribution=distribution, refiner=None, decision=None)
    chosen = [train[index] for index in evenly_spaced(len(train), RANGE_IMAGES)]
    predictions = PNI.from_fitted(member, run).predict(chosen, progress=progress)
    return member.with_normalization(map_range(found.anomaly_map for found in predictions))
