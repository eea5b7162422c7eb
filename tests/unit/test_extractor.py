import pytest
import torch
import torch.nn.functional as F
from pni_fast.features.backbones import build_extractor
from pni_fast.features.extractor import aggregate_patches


def unfold_form(levels, patch, dimension):
    """The literal form: unfold every level, resize, then adaptive pooling of the (channels, patch²) table."""
    height = max(level.shape[2] for level in levels)
    width = max(level.shape[3] for level in levels)
    tables = []
    for level in levels:
        batch, channels, h, w = level.shape
        table = F.unfold(level, patch, padding=patch // 2).view(batch, channels * patch * patch, h, w)
        if (h, w) != (height, width):
            table = F.interpolate(table, size=(height, width), mode="bilinear", align_corners=False)
        tables.append(table.view(batch, channels, patch * patch, height, width))
    table = torch.cat(tables, dim=1).permute(0, 3, 4, 1, 2)
    pooled = F.adaptive_avg_pool2d(table.flatten(0, 2), (dimension, 1))
    return pooled.view(*table.shape[:3], dimension)


@pytest.mark.parametrize("patch", [1, 3, 5])
@pytest.mark.parametrize("dimension", [7, 24, 36])
def test_fused_aggregation_equals_the_unfold_form(patch, dimension):
    generator = torch.Generator().manual_seed(patch)
    levels = [
        torch.randn(2, 12, 10, 14, generator=generator),
        torch.randn(2, 24, 5, 7, generator=generator),
    ]
    fused = aggregate_patches(levels, patch, dimension)
    assert fused.shape == (2, 10, 14, dimension)
    assert fused.is_contiguous()
    torch.testing.assert_close(fused, unfold_form(levels, patch, dimension), rtol=1e-5, atol=1e-5)


def test_extractor_gives_one_row_per_patch_at_stride_8():
    extractor = build_extractor("tf_efficientnet_lite0", patch=3, dimension=1024)
    features = extractor(torch.zeros(2, 64, 96, 3, dtype=torch.uint8))
    assert features.shape == (2, 8, 12, 40 + 112)
    assert features.dtype == torch.float32


def test_dimension_is_pooled_down_when_the_backbone_has_more_channels():
    extractor = build_extractor("tf_efficientnet_lite0", patch=3, dimension=50)
    assert extractor(torch.zeros(1, 64, 64, 3, dtype=torch.uint8)).shape == (1, 8, 8, 50)
