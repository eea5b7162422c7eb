"""Every choice of the algorithm as data: presets and their overrides."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .errors import PniError
from .geometry import Geometry
from .members import backbone_choice
from .refinement.config import REFINERS, RefinerConfig
from .settings import with_settings

RULES = ("average", "both", "scores", "penalty")
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
    dropout
        Share of each hidden layer's outputs dropped in training; the authors' code has 0.5.
    validation
        Share of the training images, evenly spaced, that the MLP is not trained on; the epoch with the
        lowest cross entropy on them is kept. 0: all images are trained on and the last epoch is kept.
    fit_temperature
        Take the T under which the classes of the held-out images are most probable, in place of
        `temperature`; needs `validation`.

    Raises
    ------
    ValueError
        A number is out of range.
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
    dropout: float = 0.0
    validation: float = 0.0
    fit_temperature: bool = False

    def __post_init__(self) -> None:
        lowest = {"layers": 2, "width": 1, "reduce": 0, "epochs": 1, "step": 1, "positions": 0, "shards": 1}
        for name, least in {**lowest, "batch": 2}.items():  # batch norm needs two rows
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        for name in ("learning_rate", "gamma", "temperature"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0 and finite, got {getattr(self, name)}")
        for name in ("dropout", "validation"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {getattr(self, name)}")
        if self.fit_temperature and not self.validation:
            raise ValueError("fit_temperature needs a validation share above 0, got validation=0")


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
    position_gate
        Drop position where it would raise the scores of good images left out of the fit
        (:mod:`pni_fast.position_gate`). Off: position is used wherever it is switched on.
    rule
        How the conditions act: ``"average"`` is equation (6); ``"both"`` allows what each condition allows by
        itself; ``"scores"`` averages the scores found under each, as the authors' code does; ``"penalty"``
        has no threshold, and images left out of the fit set it (:mod:`pni_fast.calibration`).
    likelihood_lambda
        λ of p(Φ|c) = exp(−λ‖Φ − c‖); 0 is the paper's 1, or under ``"penalty"`` the value fitted on held-out
        images. With a threshold it only scales the maps.
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
    position_gate: bool = False
    neighborhood: bool = True
    refinement: bool = False
    rule: str = "average"
    likelihood_lambda: float = 0.0
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
        # Files older than the setting: the penalty rule had a gate, the others none.
        plain.setdefault("position_gate", plain["rule"] == "penalty")
        if isinstance(plain["backbone"], list):
            plain["backbone"] = tuple(plain["backbone"])
        mlp = MLPConfig(**plain.pop("mlp"))
        refiner = RefinerConfig.from_dict(plain.pop("refiner"))
        return cls(**plain, mlp=mlp, refiner=refiner)


LITE_MLP = MLPConfig(layers=3, width=64, reduce=16, epochs=4, step=2, positions=25_000, shards=4)

PAPER_BACKBONES = ("wide_resnet101_2.tv_in1k", "resnext101_32x8d.tv_in1k", "densenet201.tv_in1k")
"""The networks of the paper's ensemble (section 4.1), that of its single model first."""

PRESETS: dict[str, Config] = {
    "lite": Config(position_gate=True, rule="both", mlp=LITE_MLP, refiner=REFINERS["lite"]),
    "best": Config(
        preset="best",
        position_gate=True,
        rule="penalty",
        neighborhood=False,
        mlp=LITE_MLP,
        refiner=REFINERS["lite"],
    ),
    "paper": Config(preset="paper", backbone=PAPER_BACKBONES[0], refinement=True),
    "paper-ensemble": Config(preset="paper-ensemble", backbone=PAPER_BACKBONES, refinement=True),
}
"""What a name stands for.

`lite`
    Embedded weights, fits on a CPU. Position is dropped where images left out of the fit speak against it.
`best`
    The same backbone, no MLP, and position as a penalty that held-out images set: the score is
    min_c λ‖Φ − c‖ − log p(c|x). It gains where things have a place (`juice_bottle`, `toothbrush`) and is
    PatchCore where held-out images speak against position (textures, turned objects); there it also gives
    up what position would have gained. Against PatchCore it costs a little of the image score where the
    place of a part varies: 0.003 image AUROC, 0.017 image F1max on `juice_bottle`.
`paper`
    Section 4.1 to the letter: position is always used.
`paper-ensemble`
    The same with the three backbones of its ensemble.
"""


def preset(name: str, *, backbone: str | Sequence[str] | None = None, **overrides: Any) -> Config:
    """Return a preset with the overrides that are not None.

    Names and values are those of :func:`pni_fast.settings.with_settings`: ``rule="scores"``,
    ``**{"mlp.dropout": 0.5}`` or ``mlp={"dropout": 0.5}``.

    Raises
    ------
    PniError
        The preset is unknown, or a value is out of its range or of another type.
    TypeError
        A setting's name is unknown.
    """
    if name not in PRESETS:
        close = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise PniError(f"preset must be one of {', '.join(PRESETS)}, got {name!r}{hint}")
    changes = {key: value for key, value in overrides.items() if value is not None}
    config = with_settings(PRESETS[name], changes)
    if backbone is not None:
        config = replace(config, backbone=backbone_choice(backbone))
    _ = config.geometry  # checks resize and crop
    if not 0 < config.coreset_ratio <= 1:
        raise PniError(f"coreset_ratio must be in (0, 1], got {config.coreset_ratio}")
    if config.rule not in RULES:
        raise PniError(f"rule must be one of {', '.join(RULES)}, got {config.rule!r}")
    if config.neighborhood_size < 1 or config.neighborhood_size % 2 == 0:
        raise PniError(f"neighborhood_size must be a positive odd number, got {config.neighborhood_size}")
    if config.patch < 1 or config.patch % 2 == 0:
        raise PniError(f"patch must be a positive odd number, got {config.patch}")
    for key in ("likelihood_lambda", "sigma"):
        if not 0 <= getattr(config, key) < math.inf:
            raise PniError(f"{key} must be at least 0 and finite, got {getattr(config, key)}")
    for key in ("dimension", "distribution_size"):
        if getattr(config, key) < 1:
            raise PniError(f"{key} must be at least 1, got {getattr(config, key)}")
    return config
