"""What the name of a preset stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pni_fast.errors import PniError

from .backbones import backbone_choice
from .context import ContextConfig
from .geometry import AUTO_SIZE, CROPPED
from .mlp import MLPConfig
from .model import Config
from .overrides import with_settings
from .refiner import REFINERS

LITE_MLP = MLPConfig(layers=3, width=64, reduce=16, epochs=4, step=2, positions=25_000, shards=4)

PAPER_BACKBONES = ("wide_resnet101_2.tv_in1k", "resnext101_32x8d.tv_in1k", "densenet201.tv_in1k")
"""The networks of the paper's ensemble (section 4.1), that of its single model first."""

DINO_BACKBONES = ("vit_small_patch14_reg4_dinov2.lvd142m", "vit_base_patch14_reg4_dinov2.lvd142m")
"""DINOv2 with registers, of 384 and of 768 channels."""

DINO_LEVELS = (3, 4, 6, 9)
"""Blocks that ProCon draws features from: the fourth, fifth, seventh and tenth of twelve."""

PRESETS: dict[str, Config] = {
    "lite": Config(
        size=AUTO_SIZE,
        position_gate=True,
        rule="blend",
        context=ContextConfig(),
        neighborhood=False,
        mlp=LITE_MLP,
        refiner=REFINERS["lite"],
    ),
    "best": Config(
        preset="best",
        size=AUTO_SIZE,
        position_gate=True,
        rule="penalty",
        neighborhood=False,
        mlp=LITE_MLP,
        refiner=REFINERS["lite"],
    ),
    "paper": Config(preset="paper", backbone=PAPER_BACKBONES[0], refinement=True),
    "paper-ensemble": Config(preset="paper-ensemble", backbone=PAPER_BACKBONES, refinement=True),
    **{
        name: Config(
            preset=name,
            backbone=backbone,
            resize=448,
            crop=448,
            patch=1,
            dimension=len(DINO_LEVELS) * width,
            levels=DINO_LEVELS,
            normalize=True,
            sigma=4.0,
            position_gate=True,
            rule="blend",
            context=ContextConfig(),
            neighborhood=False,
            mlp=LITE_MLP,
            refiner=REFINERS["lite"],
        )
        for name, backbone, width in zip(("dino", "dino-base"), DINO_BACKBONES, (384, 768), strict=True)
    },
}
"""What a name stands for.

`lite`
    Embedded weights, fits on a CPU. Whether position, context or neither acts, and how much, is decided by
    images left out of the fit and by defects made in them.
`best`
    The same backbone, no MLP, and position as a penalty that images left out set: the score is
    min_c λ‖Φ − c‖ − log p(c|x). It gains where things have a place (`juice_bottle`, `toothbrush`) and is
    PatchCore where images left out speak against position (textures, turned objects); there it also gives
    up what position would have gained. Against PatchCore it costs a little of the image score where the
    place of a part varies: 0.003 image AUROC, 0.017 image F1max on `juice_bottle`.
`paper`
    Section 4.1 to the letter: position is always used.
`paper-ensemble`
    The same with the three backbones of its ensemble.
`dino`, `dino-base`
    Frozen DINOv2 with registers, small (for a CPU) and base; conditions as in `lite`. As published for memory
    banks: the blocks are those of ProCon (2026), and as there each block's vectors have norm 1, nothing is
    averaged over a window, and maps are smoothed with σ = 4; the size is AnomalyDINO's (WACV 2025), 448, with
    nothing cut off. Unlike ProCon, which projects each block's 768 channels to 512 at random and keeps a bank
    for each, all channels of the four are one vector: the squared distance of two is the sum over the blocks,
    nothing is projected, and the coreset is exact. Accuracy is not measured by us.
"""


def preset(name: str, *, backbone: str | Sequence[str] | None = None, **overrides: Any) -> Config:
    """Return a preset with the overrides that are not None.

    Names and values are those of :func:`pni_fast.config.overrides.with_settings`: ``rule="scores"``,
    ``**{"mlp.dropout": 0.5}`` or ``mlp={"dropout": 0.5}``.

    Raises
    ------
    PniError
        The preset is unknown, or a value is out of its range or of another type.
    TypeError
        A setting's name is unknown.
    """
    if not isinstance(name, str):
        raise PniError(f"preset must be one of {', '.join(PRESETS)}, got {name!r:.80}")
    if name not in PRESETS:
        import difflib  # for a message alone

        close = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise PniError(f"preset must be one of {', '.join(PRESETS)}, got {name!r}{hint}")
    changes = {key: value for key, value in overrides.items() if value is not None}
    if backbone is not None:
        changes["backbone"] = backbone_choice(backbone)
    return with_settings(PRESETS[name], _sized(changes))


def _sized(changes: dict[str, Any]) -> dict[str, Any]:
    """Return changes in which whoever sets `resize` or `crop` has the squares that they are of.

    Raises
    ------
    PniError
        They are set beside another size.
    """
    squares = [name for name in ("resize", "crop") if name in changes]
    if not squares:
        return changes
    if changes.get("size", CROPPED) != CROPPED:
        raise PniError(f"size {changes['size']} leaves no meaning to {squares[0]}; give one of the two")
    return {**changes, "size": CROPPED}
