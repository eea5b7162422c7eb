"""Families of backbones and the levels that are used of them unasked, as a table that needs no torch."""

from __future__ import annotations

from typing import Any, NamedTuple

from .backbones import default_blocks, default_strides


class FamilyRow(NamedTuple):
    """A family by one of its networks.

    Parameters
    ----------
    name
        What people call it.
    example
        timm's name of one of its networks.
    levels
        Those it has: strides of a pyramid, or numbers of blocks from 0 up.
    blocks
        Whether they are the blocks of a vision transformer.
    multiple
        What the sides of a crop are to be multiples of with the usual levels.
    """

    name: str
    example: str
    levels: tuple[int, ...]
    blocks: bool
    multiple: int

    @property
    def usual(self) -> tuple[int, ...]:
        """The levels used unasked."""
        return default_blocks(len(self.levels)) if self.blocks else default_strides(self.levels)

    def as_dict(self) -> dict[str, Any]:
        """Return the row as plain values, for JSON."""
        return {
            "family": self.name,
            "example": self.example,
            "levels": "blocks" if self.blocks else "strides",
            "available": list(self.levels),
            "default": list(self.usual),
            "normalize": self.blocks,
            "multiple": self.multiple,
        }


_FIVE, _FOUR, _TWELVE = (2, 4, 8, 16, 32), (4, 8, 16, 32), tuple(range(12))

FAMILIES = (
    FamilyRow("ResNet, WideResNet, ResNeXt, RegNet", "resnet18", _FIVE, False, 16),
    FamilyRow("DenseNet", "densenet121", _FIVE, False, 16),
    FamilyRow("EfficientNet, MobileNet", "tf_efficientnet_lite0", _FIVE, False, 16),
    FamilyRow("ConvNeXt", "convnext_atto", _FOUR, False, 16),
    FamilyRow("PVT", "pvt_v2_b0", _FOUR, False, 16),
    FamilyRow("Swin", "swin_tiny_patch4_window7_224", _FOUR, False, 32),
    FamilyRow("CoAtNet, MaxViT (hybrid)", "coatnet_0_rw_224", _FIVE, False, 32),
    FamilyRow("ViT, DeiT, BEiT", "deit_tiny_patch16_224", _TWELVE, True, 16),
    FamilyRow("ViT behind a ResNet (hybrid)", "vit_small_r26_s32_224", _TWELVE, True, 32),
    FamilyRow("DINOv2", "vit_small_patch14_reg4_dinov2", _TWELVE, True, 14),
    FamilyRow("DINOv3", "vit_small_patch16_dinov3", _TWELVE, True, 16),
)
"""What `pni-fast info --backbones` lists; a test holds every row to timm."""
