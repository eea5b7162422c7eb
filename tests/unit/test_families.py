"""What timm's networks give, which crops they take, and how the extractor puts their levels together."""

import subprocess
import sys
from dataclasses import replace

import pytest
import timm
import torch
from pni_fast.config import PRESETS, Config
from pni_fast.config.backbones import default_blocks, default_strides
from pni_fast.config.families import FAMILIES
from pni_fast.errors import PniError, WeightsError
from pni_fast.features import families
from pni_fast.features.backbones import build_backbone, build_extractor
from pni_fast.features.extractor import FeatureExtractor, aggregate_patches
from pni_fast.features.families import family_of, shapes_alone, told_size
from pni_fast.features.sizes import size_multiple


@pytest.mark.parametrize("row", FAMILIES, ids=lambda row: row.example)
def test_the_table_of_families_is_timms(row):
    family = family_of(row.example)
    assert (family.levels, family.usual) == (row.levels, row.usual)
    assert (family.blocks, family.multiple()) == (row.blocks, row.multiple)


def test_defaults():
    assert default_strides((2, 4, 8, 16, 32)) == (8, 16)
    assert default_strides((16, 32, 64)) == (16, 32)
    assert default_strides((7, 14, 28)) == (7, 14)
    assert default_strides((4,)) == (4,)
    assert default_blocks(12) == (2, 5, 8, 11)
    assert default_blocks(24) == (5, 11, 17, 23)
    assert default_blocks(2) == (0, 1)


def test_levels_that_do_not_exist_are_answered_with_those_that_do():
    with pytest.raises(WeightsError, match=r"must be strides of resnet18, 2, 4, 8, 16, 32, got 12$"):
        build_backbone("resnet18", levels=(8, 12), outline=True)
    with pytest.raises(WeightsError, match=r"must be blocks of test_vit2, 0 to 7, got 8$"):
        build_backbone("test_vit2", levels=(3, 8), outline=True)


@pytest.mark.parametrize("levels", [(16, 8), (8, 8), (-1,), tuple(range(65))])
def test_levels_that_no_network_has(levels):
    with pytest.raises(PniError, match="levels must be at most 64 different whole numbers"):
        Config(levels=levels)


def test_levels_of_a_pyramid():
    features = build_backbone("resnet18", levels=(4, 32), outline=True).feature_info
    assert features.reduction() == [4, 32]
    assert features.channels() == [64, 512]


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "test_efficientnet", "mobilenetv3_small_050"])
def test_a_network_ends_with_the_last_level_used(name):
    short, whole = build_backbone(name).eval(), build_backbone(name, whole=True).eval()
    assert set(short.state_dict()) < set(whole.state_dict())
    short.load_state_dict({key: whole.state_dict()[key] for key in short.state_dict()})
    crop = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        for found, expected in zip(short(crop), whole(crop), strict=True):
            assert torch.equal(found, expected)


def test_a_network_whose_levels_lie_inside_of_stages_stays_whole():
    levels = {"features_only": True, "feature_location": "expansion", "out_indices": (1, 2)}
    network = timm.create_model("test_efficientnet", **levels)
    before = set(network.state_dict())
    families._end_with_the_last_level(network)
    assert set(network.state_dict()) == before


def test_a_size_that_the_patches_do_not_fill():
    told = "test_vit2 does not take images of 100 x 60 pixels; the nearest .* are 96 x 48 and 112 x 64"
    with pytest.raises(WeightsError, match=told):
        build_backbone("test_vit2", (60, 100))


def test_a_size_that_the_windows_do_not_fill():
    told = "does not take images of 90 x 100 pixels; the nearest .* are 64 x 96 and 96 x 128"
    with pytest.raises(WeightsError, match=told):
        build_backbone("maxvit_rmlp_pico_rw_256", (100, 90))


def test_what_takes_any_size_is_told_none():
    assert told_size("resnet18", (2, 3), (61, 99)) is None
    assert told_size("maxvit_rmlp_pico_rw_256", (2, 3), (96, 64)) == (96, 64)


def test_tokens_that_are_no_patches_are_dropped():
    backbone = build_backbone("test_vit2", (32, 48), (1, 3)).eval()
    assert backbone.model.num_prefix_tokens == 1
    assert backbone.model.reg_token is not None
    image = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = backbone(image)
        tokens = backbone.model.blocks[0](backbone.model._pos_embed(backbone.model.patch_embed(image)))
        tokens = backbone.model.blocks[1](tokens)
    assert [tuple(level.shape) for level in found] == [(1, 64, 2, 3)] * 2
    torch.testing.assert_close(found[0], tokens[:, 1:].transpose(1, 2).view(1, 64, 2, 3))


def test_swin_gives_its_channels_first():
    with shapes_alone(), torch.inference_mode():
        backbone = build_backbone("swin_tiny_patch4_window7_224", (64, 96))
        levels = backbone(torch.empty(1, 3, 64, 96))
    assert [tuple(level.shape) for level in levels] == [(1, 192, 8, 12), (1, 384, 4, 6)]


def test_each_level_has_norm_1_where_that_is_asked_for():
    generator = torch.Generator().manual_seed(0)
    levels = [torch.rand(1, 3, 4, 4, generator=generator), 50 * torch.rand(1, 5, 4, 4, generator=generator)]
    levels[1][0, :, 2, 2] = 0
    plain, normed = (aggregate_patches(levels, 1, 8, normalize) for normalize in (False, True))
    for part in (slice(3), slice(3, 8)):
        norms = normed[..., part].norm(dim=-1)
        assert ((norms - 1).abs() < 1e-6).sum() >= 15
        expected = plain[..., part] / plain[..., part].norm(dim=-1, keepdim=True).clamp_min(1e-12)
        torch.testing.assert_close(normed[..., part], expected)
    assert torch.equal(normed[0, 2, 2, 3:], torch.zeros(5))


def test_vision_transformers_are_normalized_unasked():
    assert build_extractor("test_vit2", 1, 4096, (32, 32)).normalize
    assert not build_extractor("test_vit2", 1, 4096, (32, 32), normalize=False).normalize
    assert not build_extractor("test_resnet", 1, 4096).normalize
    assert isinstance(build_extractor("test_resnet", 1, 4096, normalize=True), FeatureExtractor)


def test_multiples_of_sizes():
    assert size_multiple(replace(Config(), backbone=("resnet18", "vit_small_patch14_reg4_dinov2"))) == 112
    assert size_multiple(Config(backbone="resnet18", levels=(4, 8))) == 8
    assert [size_multiple(PRESETS[name]) for name in ("lite", "dino")] == [16, 14]


def test_the_embedded_backbones_multiple_takes_no_torch(environment):
    code = (
        "import sys; from pni_fast.config import PRESETS; from pni_fast.features.sizes import size_multiple;"
        "assert size_multiple(PRESETS['lite']) == 16; assert not {'torch', 'timm'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


@pytest.mark.parametrize("name", ["dino", "dino-base"])
def test_presets_keep_every_channel_of_their_levels(name):
    config = PRESETS[name]
    features = build_backbone(
        config.backbone, config.geometry.shape, config.levels, outline=True
    ).feature_info
    assert sum(features.channels()) == config.dimension
    assert config.crop == config.resize  # nothing is cut off
    assert timm.get_pretrained_cfg(config.backbone).tag == "lvd142m"
