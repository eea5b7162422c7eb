"""All settings of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pni_fast.errors import PniError

from .backbones import EMBEDDED, PYRAMID, backbone_choice, check_levels
from .checks import (
    LARGEST_COUNT,
    LARGEST_SIDE,
    check_highest,
    check_lowest,
    check_not_negative,
    check_odd,
    check_part,
    check_types,
    named,
)
from .choices import FEATURE_DTYPES
from .context import ContextConfig
from .geometry import (
    AUTO_DEPTH,
    AUTO_SIZE,
    CROPPED,
    Geometry,
    depth_choice,
    shape_of,
    size_choice,
    size_text,
)
from .mlp import MLPConfig
from .refiner import REFINERS, RefinerConfig
from .rules import RULES
from .tiling import Tiling

MOST_CLASSES = 2**16
"""Of C_dist with context, whose labels are kept as 16 bits."""

HIGHEST = {
    "resize": LARGEST_SIDE,
    "levels": 4096,  # a stride of that many pixels, or so many blocks: no network has it
    "tile": LARGEST_SIDE,
    "overlap": LARGEST_SIDE,
    "patch": 255,  # at stride 8 a window of 2040 pixels
    "neighborhood_size": 255,
    "dimension": 65_536,  # more channels than any network has
    "distribution_size": LARGEST_COUNT,
    "sigma": 512.0,  # the Gaussian then reaches over 4096 pixels
    "likelihood_lambda": 1e18,  # its product with any distance must have a float32
    "seed": 2**62,  # torch takes 63 bits, and seeds are counted up from it
}


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
        Sides in pixels of the paper's squares, where `size` is ``"crop"``.
    depth
        Bits of grey integer pixels above 8: 8 to 16, or ``"auto"``, which a fit replaces by the fewest of 8,
        10, 12, 14 and 16 that hold the highest value of the training images.
    size
        What pictures are brought to, in pixels: ``"800x608"``, width first, or 480 for a square; ``"crop"``:
        `resize`, then `crop`; ``"auto"``, which a fit replaces by a size of the training images' aspect ratio
        and of about the area of 512×512.
    channels
        The channels of a picture, counted from 0, of which RGB is made: three, or one that is repeated;
        empty: the picture's own.
    tile, overlap
        Side in pixels of the tiles in which a picture goes through the backbone, and what neighbours have in
        common at least; 0: it goes in one piece (:mod:`pni_fast.config.tiling`).
    patch
        Side of the window each feature is averaged over.
    dimension
        d; a backbone with fewer channels keeps its own number.
    levels
        Which feature maps of the backbone are used: strides of a pyramid, numbers of a vision transformer's
        blocks from 0 up. Empty: the usual ones of its family, see docs/backbones.md.
    normalize
        Whether the vectors of each level are brought to norm 1 before they are put together. None: those of
        vision transformers are, those of pyramids are not.
    feature_dtype
        What the features of the training images are kept in, ``"float32"`` or ``"float16"``: half the room,
        and each number the nearest of that type. Everything fitted is fitted on those.
    coreset_ratio
        |C_emb| as a share of all training features.
    distribution_size
        Largest |C_dist|.
    neighborhood_size
        p of N_p(x) and of the histogram's window.
    position, neighborhood, refinement
        The three parts, P, N and R of the paper's Table 3; with none of them the model is PatchCore.
    position_gate
        Let images left out of the fit decide whether position acts (:mod:`pni_fast.distribution.gate`), and
        under the rule ``"blend"`` which of position and context does. Off: what is switched on acts, context
        before position.
    rule
        How the conditions act: ``"average"`` is equation (6); ``"both"`` allows what each condition allows by
        itself; ``"scores"`` averages the scores found under each, as the authors' code does; ``"penalty"``
        has no threshold, and images left out of the fit set it (:mod:`pni_fast.distribution.shrinkage`);
        ``"blend"`` weighs the distances with and without a condition, and images left out of the fit choose
        condition and weight (:mod:`pni_fast.distribution.trials`).
    likelihood_lambda
        λ of p(Φ|c) = exp(−λ‖Φ − c‖); 0 is the paper's 1, or under ``"penalty"`` the value fitted on images
        left out. With a threshold it only scales the maps.
    sigma
        Standard deviation, in pixels, of the Gaussian that smooths the map.
    image_score
        What the score of an image is: 0 is the maximum of its map; otherwise the mean of this share of the
        map's pixels, those with the largest values; in [0, 1).
    seed
        Seed of everything that is random.
    context
        The third condition, which images this one is like; it acts under the rule ``"blend"``.
    mlp
        The neighborhood MLP.
    refiner
        The refinement network and its training.

    Raises
    ------
    PniError
        A value is of another type or out of its range; the message names it, the value and what is allowed.
    """

    preset: str = "lite"
    backbone: str | tuple[str, ...] = "tf_efficientnet_lite0"
    resize: int = 512
    crop: int = 480
    depth: str | int = AUTO_DEPTH
    size: str | int = CROPPED
    channels: tuple[int, ...] = ()
    tile: int = 0
    overlap: int = 64
    patch: int = 3
    dimension: int = 1024
    levels: tuple[int, ...] = ()
    normalize: bool | None = None
    feature_dtype: str = "float32"
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
    image_score: float = 0.0
    seed: int = 0
    context: ContextConfig = field(default_factory=lambda: ContextConfig(used=False))
    mlp: MLPConfig = field(default_factory=MLPConfig)
    refiner: RefinerConfig = REFINERS["paper"]

    def __post_init__(self) -> None:
        check_types(self)
        object.__setattr__(self, "backbone", backbone_choice(self.backbone))
        object.__setattr__(self, "depth", depth_choice(self.depth))
        object.__setattr__(self, "size", size_choice(self.size))
        _ = self.geometry  # checks resize, crop and channels
        self._check_tiles()
        check_levels(self.levels)
        if not 0 < self.coreset_ratio <= 1:
            raise PniError(f"coreset_ratio must be in (0, 1], got {self.coreset_ratio}")
        if self.feature_dtype not in FEATURE_DTYPES:
            raise PniError(
                f"feature_dtype must be one of {', '.join(FEATURE_DTYPES)}, got {self.feature_dtype!r}"
            )
        if self.rule not in RULES:
            raise PniError(f"rule must be one of {', '.join(RULES)}, got {self.rule!r}")
        check_odd(self, "neighborhood_size", "patch")
        check_not_negative(self, "likelihood_lambda", "sigma")
        check_part(self, "image_score")
        check_lowest(self, {"dimension": 1, "distribution_size": 1, "seed": 0, "tile": 0, "overlap": 0})
        check_highest(self, HIGHEST)
        if self.has_context and self.distribution_size > MOST_CLASSES:
            raise PniError(
                f"distribution_size must be at most {MOST_CLASSES} with context, got {self.distribution_size}"
            )

    def _check_tiles(self) -> None:
        if self.tile <= 0:
            return
        if self.overlap >= self.tile:
            raise PniError(f"overlap must be below the tile's {self.tile}, got {self.overlap}")
        shape = self.geometry.shape
        if self.size != AUTO_SIZE and self.tile > max(shape):
            raise PniError(f"tile must be at most the longer side of {size_text(shape)}, got {self.tile}")

    @property
    def tiling(self) -> Tiling | None:
        """How a picture is cut into tiles; None where it goes through the backbone in one piece."""
        shape = self.geometry.shape
        return Tiling(shape, self.tile, self.overlap) if 0 < self.tile < max(shape) else None

    @property
    def seen(self) -> tuple[int, int]:
        """Height and width, in pixels, of what the backbone sees at once."""
        return self.geometry.shape if self.tiling is None else self.tiling.tile

    @property
    def has_context(self) -> bool:
        """Whether context may act: it is switched on and the rule takes it."""
        return self.context.used and RULES[self.rule].tried

    @property
    def geometry(self) -> Geometry:
        """How images and masks are brought to size; a depth that no fit has decided yet is the full one."""
        depth = self.depth if isinstance(self.depth, int) else 16
        return Geometry(self.resize, self.crop, depth, shape_of(str(self.size)), self.channels)

    @property
    def backbones(self) -> tuple[str, ...]:
        """The backbone of every member."""
        return (self.backbone,) if isinstance(self.backbone, str) else self.backbone

    @property
    def plain_lite(self) -> bool:
        """Whether features are those of the embedded backbone, from its usual levels as they are."""
        (name, *others) = self.backbones
        return name == EMBEDDED and not others and self.levels in ((), PYRAMID) and not self.normalize

    @property
    def members(self) -> tuple[Config, ...]:
        """The settings of every member: these with one backbone."""
        return tuple(replace(self, backbone=name) for name in self.backbones)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as nested plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Config:
        """Rebuild settings from :meth:`as_dict`, tuples having become lists.

        Raises
        ------
        PniError
            A value is of another type or out of its range.
        TypeError, KeyError
            Names do not fit.
        """
        if not isinstance(values, Mapping):
            raise PniError(f"config must be settings by name, got {values!r}")
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        plain.setdefault("depth", 16)  # files older than the setting
        plain.setdefault("size", CROPPED)  # likewise
        # Files older than the setting: the rules that images left out calibrate had a gate, the others none.
        rule = RULES.get(plain["rule"])
        plain.setdefault("position_gate", rule is not None and rule.calibrated)
        plain.setdefault("context", {"used": False})  # files older than context
        for part, kind in (("context", ContextConfig), ("mlp", MLPConfig), ("refiner", RefinerConfig)):
            if not isinstance(plain[part], Mapping):
                raise PniError(f"{part} must be a {kind.__name__}, got {plain[part]!r}")
        with named("context."):
            context = ContextConfig(**plain.pop("context"))
        with named("mlp."):
            mlp = MLPConfig(**plain.pop("mlp"))
        with named("refiner."):
            refiner = RefinerConfig.from_dict(plain.pop("refiner"))
        return cls(**plain, context=context, mlp=mlp, refiner=refiner)
