"""Every choice of the algorithm as data: presets and their overrides."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from .errors import PniError
from .geometry import Geometry
from .members import backbone_choice
from .refinement.config import REFINERS, RefinerConfig

RULES = ("average", "both")
"""How the two conditions may be combined; see :class:`pni_fast.conditions.Conditions`."""


@dataclass(frozen=True)
class MLPConfig:
    """Shape and training of the neighborhood MLP, p(c_dist | N_p(x)) (paper section 3.2 and 4.1).

    Parameters
    ----------
    layers, width
        N_MLP linear layers, all but the last with c_MLP outputs, batch norm and ReLU.
    reduce
        Principal components of the features that the MLP sees; 0 gives it all d channels.
    epochs, step, gamma, learning_rate, batch
        Adam with StepLR(step, gamma), `batch` positions a step.
    positions
        Positions drawn for an epoch; 0 takes every position of every image.
    shards
        Equal parts a batch is cut into, each with batch-norm statistics of its own; they may run at once.
    temperature
        T of the softmax when scoring.
    """

    layers: int = 10
    width: int = 2048
    reduce: int = 0
    epochs: int = 15
    step: int = 5
    gamma: float = 0.1
    learning_rate: float = 1e-3
    batch: int = 2048
    positions: int = 0
    shards: int = 1
    temperature: float = 2.0


@dataclass(frozen=True)
class Config:
    """All settings of a model; stored in its file.

    Parameters
    ----------
    preset
        The preset these settings started from.
    backbone
        Name of a timm model; several, as a tuple, make an ensemble.
    resize, crop
        Input geometry in pixels.
    patch
        Side of the window each feature is averaged over.
    dimension
        d; a backbone with fewer channels keeps its own number.
    coreset_ratio
        |C_emb| as a share of all training features.
    distribution_size
        Largest |C_dist|.
    neighborhood_size
        p of N_p(x) and of the histogram's window.
    position, neighborhood, refinement
        The three parts, P, N and R of the paper's Table 3; with none of them the model is PatchCore.
    rule
        How the two conditions are combined: ``"average"`` is equation (6); ``"both"`` allows what each
        condition allows by itself.
    sigma
        Standard deviation, in pixels, of the Gaussian that smooths the map.
    seed
        Seed of everything that is random.
    mlp
        The neighborhood MLP.
    refiner
        The refinement network and its training.
    """

    preset: str = "lite"
    backbone: str | tuple[str, ...] = "tf_efficientnet_lite0"
    resize: int = 512
    crop: int = 480
    patch: int = 3
    dimension: int = 1024
    coreset_ratio: float = 0.01
    distribution_size: int = 2048
    neighborhood_size: int = 9
    position: bool = True
    neighborhood: bool = True
    refinement: bool = False
    rule: str = "average"
    sigma: float = 8.0
    seed: int = 0
    mlp: MLPConfig = field(default_factory=MLPConfig)
    refiner: RefinerConfig = REFINERS["paper"]

    @property
    def geometry(self) -> Geometry:
        """How images and masks are cropped."""
        return Geometry(self.resize, self.crop)

    @property
    def backbones(self) -> tuple[str, ...]:
        """The backbone of every member."""
        return (self.backbone,) if isinstance(self.backbone, str) else self.backbone

    @property
    def members(self) -> tuple[Config, ...]:
        """The settings of every member: these with one backbone."""
        return tuple(replace(self, backbone=name) for name in self.backbones)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as nested plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Config:
        """Rebuild settings from :meth:`as_dict`; raises TypeError or KeyError when they do not fit."""
        plain = dict(values)
        if isinstance(plain["backbone"], list):
            plain["backbone"] = tuple(plain["backbone"])
        mlp = MLPConfig(**plain.pop("mlp"))
        refiner = RefinerConfig.from_dict(plain.pop("refiner"))
        return cls(**plain, mlp=mlp, refiner=refiner)


LITE_MLP = MLPConfig(layers=3, width=64, reduce=16, epochs=4, step=2, positions=25_000, shards=4)

PAPER_BACKBONES = ("wide_resnet101_2.tv_in1k", "resnext101_32x8d.tv_in1k", "densenet201.tv_in1k")
"""The networks of the paper's ensemble (section 4.1), that of its single model first."""

PRESETS: dict[str, Config] = {
    "lite": Config(rule="both", mlp=LITE_MLP, refiner=REFINERS["lite"]),
    "paper": Config(preset="paper", backbone=PAPER_BACKBONES[0], refinement=True),
    "paper-ensemble": Config(preset="paper-ensemble", backbone=PAPER_BACKBONES, refinement=True),
}
"""`lite`: embedded weights, fits on a CPU. `paper` and `paper-ensemble`: section 4.1 to the letter."""


def preset(name: str, *, backbone: str | Sequence[str] | None = None, **overrides: Any) -> Config:
    """Return a preset with the overrides that are not None.

    Raises
    ------
    PniError
        The preset is unknown, or a value is out of its range.
    """
    if name not in PRESETS:
        close = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise PniError(f"preset must be one of {', '.join(PRESETS)}, got {name!r}{hint}")
    known = {item.name for item in fields(Config)}
    changes = {key: value for key, value in overrides.items() if value is not None}
    unknown = sorted(set(changes) - known)
    if unknown:
        raise TypeError(f"unknown setting {unknown[0]!r}; settings are {', '.join(sorted(known))}")
    if backbone is not None:
        changes["backbone"] = backbone_choice(backbone)
    config = replace(PRESETS[name], **changes)
    _ = config.geometry  # checks resize and crop
    if not 0 < config.coreset_ratio <= 1:
        raise PniError(f"coreset_ratio must be in (0, 1], got {config.coreset_ratio}")
    if config.rule not in RULES:
        raise PniError(f"rule must be one of {', '.join(RULES)}, got {config.rule!r}")
    if config.neighborhood_size < 1 or config.neighborhood_size % 2 == 0:
        raise PniError(f"neighborhood_size must be a positive odd number, got {config.neighborhood_size}")
    if config.patch < 1 or config.patch % 2 == 0:
        raise PniError(f"patch must be a positive odd number, got {config.patch}")
    return config
