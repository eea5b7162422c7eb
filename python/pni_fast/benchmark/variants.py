"""The rows of the paper's Table 3: one fit, and every model that is the same fit with parts left out.

The parts do not act on one another while they are fitted (the coreset is the same with and without them, the
neighborhood MLP never sees the histogram, the refiner comes last), so leaving a part out of the full model
gives, bit for bit, the model that a fit without it gives. A test holds this.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pni_fast.config import Config
from pni_fast.data.spacing import evenly_spaced
from pni_fast.features.extractor import FeatureExtractor
from pni_fast.model.ensemble import combine
from pni_fast.model.fit import RANGE_IMAGES
from pni_fast.model.fitted import Fitted
from pni_fast.model.pni import PNI
from pni_fast.progress import Progress, silent
from pni_fast.runtime.run import Run
from pni_fast.scoring.map_range import map_range


@dataclass(frozen=True)
class Variant:
    """Which of the three parts a model has.

    Attributes
    ----------
    neighborhood, position, refinement
        N, P and R of the paper's Table 3.
    """

    neighborhood: bool
    position: bool
    refinement: bool

    @property
    def name(self) -> str:
        """``neither`` or the letters of its parts: a file name and the key of the paper's Table 3."""
        letters = zip("NPR", (self.neighborhood, self.position, self.refinement), strict=True)
        return "".join(letter for letter, has in letters if has) or "neither"

    @property
    def label(self) -> str:
        """The name for a reader: with no part the model is PatchCore."""
        return "PatchCore (neither)" if self.name == "neither" else self.name

    @classmethod
    def of(cls, config: Config) -> Variant:
        """Return the variant that a configuration describes."""
        return cls(config.neighborhood, config.position, config.refinement)

    def applied_to(self, config: Config) -> Config:
        """Return the settings with these parts and no others."""
        return replace(
            config,
            neighborhood=self.neighborhood,
            position=self.position,
            refinement=self.refinement,
        )

    @classmethod
    def named(cls, name: str) -> Variant:
        """Return the variant of a `name`."""
        letters = "" if name == "neither" else name
        return cls("N" in letters, "P" in letters, "R" in letters)

    def within(self, other: Variant) -> bool:
        """Whether `other` has every part this one has."""
        return set(self.name) <= set(other.name) or self.name == "neither"


ABLATION = tuple(Variant.named(name) for name in ("neither", "P", "N", "NP", "NPR"))
"""The paper's four rows, and P alone, which the paper leaves out."""


REMEMBERED = 4 << 30
"""Bytes of features that the extractors of a model keep between them."""


class RememberingExtractor(FeatureExtractor):
    """An extractor that knows the images it has seen: variants of one fit share their features.

    Parameters
    ----------
    extractor
        The extractor of the fit.
    capacity
        Bytes of features kept; images beyond it are extracted each time.
    """

    def __init__(self, extractor: FeatureExtractor, capacity: int) -> None:
        super().__init__(
            extractor.backbone,
            tuple(extractor.mean.flatten().tolist()),
            tuple(extractor.std.flatten().tolist()),
            extractor.patch,
            extractor.dimension,
        )
        self._left = capacity
        self._seen: dict[bytes, torch.Tensor] = {}
        self._lock = threading.Lock()

    @torch.inference_mode()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return Φ, float32 (B, h, w, d), of uint8 RGB crops (B, H, W, 3)."""
        keys = [hashlib.blake2b(image.tobytes()).digest() for image in images.cpu().numpy()]
        if all(key in self._seen for key in keys):
            return torch.stack([self._seen[key] for key in keys]).to(images.device)
        features: torch.Tensor = super().forward(images)
        with self._lock:
            for key, row in zip(keys, features.cpu(), strict=True):
                size = row.numel() * row.element_size()
                if key not in self._seen and size <= self._left:
                    self._seen[key] = row
                    self._left -= size
        return features


def share_extraction(model: PNI) -> PNI:
    """Return a fitted model whose variants extract the features of an image once between them."""
    members = model.fitted.members
    capacity = REMEMBERED // len(members)
    sharing = [
        replace(member, extractor=RememberingExtractor(member.extractor, capacity)) for member in members
    ]
    return PNI.from_fitted(combine(model.config, sharing), model.run)


def derive(model: PNI, variant: Variant, train: list[Path], *, progress: Progress = silent) -> PNI:
    """Return the model that a fit of `variant` on the same images gives.

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
    members = [_derive_member(member, variant, train, model.run, progress) for member in model.fitted.members]
    return PNI.from_fitted(combine(variant.applied_to(model.config), members), model.run)


def _derive_member(
    fitted: Fitted, variant: Variant, train: list[Path], run: Run, progress: Progress
) -> Fitted:
    parts = fitted.distribution
    member = replace(
        fitted,
        config=variant.applied_to(fitted.config),
        distribution=replace(
            parts,
            neighborhood=parts.neighborhood if variant.neighborhood else None,
            position=parts.position if variant.position else None,
            gate=parts.gate if variant.position else None,
        ),
        refiner=fitted.refiner if variant.refinement else None,
    )
    chosen = [train[index] for index in evenly_spaced(len(train), RANGE_IMAGES)]
    predictions = PNI.from_fitted(member, run).predict(chosen, progress=progress)
    return member.with_normalization(map_range(found.anomaly_map for found in predictions))
