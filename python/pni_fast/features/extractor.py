"""Patch features: levels of a backbone, averaged over patches, pooled to d channels (paper section 2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pni_fast.errors import WeightsError

SMALLEST_NORM = 1e-12
"""What a vector is divided by at least where each level has norm 1."""


def aggregate_patches(levels: list[Tensor], patch: int, dimension: int, normalize: bool = False) -> Tensor:
    """Turn pyramid levels into one map of patch features.

    Every level is averaged over the patch × patch window around each position (zero padded), its vectors are
    brought to norm 1 where that is asked for, the smaller levels are resized bilinearly to the largest, all
    are concatenated, and adaptive average pooling brings the channels to `dimension`. The unfold form of the
    same linear map holds patch² copies of it in memory.

    Parameters
    ----------
    levels
        Feature maps φ_j, each (B, c_j, h_j, w_j).
    patch
        Side p of the window, odd.
    dimension
        d, the channels to leave, at most Σ c_j.
    normalize
        Divide every vector of a level by its norm, so that all levels count alike.

    Returns
    -------
    Tensor
        Φ, (B, h, w, d), contiguous: one row of memory per feature vector.
    """
    height, width = max(level.shape[2] for level in levels), max(level.shape[3] for level in levels)
    maps = []
    for level in levels:
        pooled = F.avg_pool2d(level, patch, stride=1, padding=patch // 2)
        if normalize:
            pooled = F.normalize(pooled, dim=1, eps=SMALLEST_NORM)
        if pooled.shape[2:] != (height, width):
            pooled = F.interpolate(pooled, size=(height, width), mode="bilinear", align_corners=False)
        maps.append(pooled)
    rows = torch.cat(maps, dim=1).permute(0, 2, 3, 1)
    if rows.shape[3] == dimension:
        return rows.contiguous()
    return F.adaptive_avg_pool1d(rows.flatten(0, 2), dimension).view(*rows.shape[:3], dimension)


class FeatureExtractor(nn.Module):
    """Images in, patch features out.

    Parameters
    ----------
    backbone
        A timm network built with ``features_only``; returns the pyramid levels.
    mean, std
        Channel statistics the backbone was trained with, for images in [0, 1].
    patch
        Side of the averaging window.
    dimension
        d, the length of a feature vector.
    normalize
        Whether each level's vectors have norm 1.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        patch: int,
        dimension: int,
        normalize: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.patch = patch
        self.dimension = dimension
        self.normalize = normalize
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        """Return Φ, float32 (B, h, w, d), of uint8 RGB crops (B, H, W, 3)."""
        pixels = images.permute(0, 3, 1, 2).to(self.mean.dtype) / 255.0
        try:
            levels: list[Tensor] = self.backbone((pixels - self.mean) / self.std)
        except AssertionError as error:  # a network for images of one size
            size = f"{images.shape[2]} x {images.shape[1]} pixels"
            raise WeightsError(f"the backbone does not take crops of {size}: {error}") from error
        # The layers may compute in bfloat16; sums over patches and channels never do.
        maps = [level.float() for level in levels]
        return aggregate_patches(maps, self.patch, self.dimension, self.normalize)
