from pathlib import Path

import pytest
import timm
from pni_fast import PniError, WeightsError
from pni_fast.config import member_weights
from pni_fast.presets import PRESETS, Config, preset


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (None, (None, None, None)),
        ([], (None, None, None)),
        ("x.pth", (Path("x.pth"), None, None)),
        ([Path("x.pth")], (Path("x.pth"), None, None)),
        (["x.pth", None, "z.pth"], (Path("x.pth"), None, Path("z.pth"))),
    ],
)
def test_each_backbone_gets_the_file_in_its_place(weights, expected):
    assert member_weights(("a", "b", "c"), weights) == expected


@pytest.mark.parametrize(
    ("backbones", "weights", "message"),
    [
        (("a", "b", "c"), ["x", "y"], r"one file for each backbone, .*; got 2 for 3 \(a, b, c\)"),
        (("a",), ["x", None], r"got 2 for 1 \(a\)"),
        (("a", "b"), ["x", "y", "z"], r"got 3 for 2 \(a, b\)"),
    ],
)
def test_other_counts_are_refused(backbones, weights, message):
    with pytest.raises(WeightsError, match=message):
        member_weights(backbones, weights)


def test_one_backbone_is_one_however_it_is_given():
    assert preset("lite", backbone=["resnet18"]) == preset("lite", backbone="resnet18")
    assert preset("lite", backbone=["resnet18"]).as_dict()["backbone"] == "resnet18"
    assert preset("lite", backbone=["resnet18", "resnet34"]).backbones == ("resnet18", "resnet34")


@pytest.mark.parametrize(
    ("backbone", "message"),
    [([], "must name at least one timm model, got none"), (["resnet18", None], "got None"), ("", "got ''")],
)
def test_names_that_are_none_are_refused(backbone, message):
    with pytest.raises(PniError, match=f"backbone .*{message}"):
        preset("lite", backbone=backbone)


def test_members_have_the_settings_of_the_whole():
    whole = preset("lite", backbone=["resnet18", "resnet34"], seed=7)
    assert whole.members == tuple(preset("lite", backbone=name, seed=7) for name in ("resnet18", "resnet34"))
    assert Config.from_dict({**whole.as_dict(), "backbone": ["resnet18", "resnet34"]}) == whole


def test_the_papers_ensemble_is_paper_with_three_backbones_timm_has_weights_of():
    ensemble, paper = PRESETS["paper-ensemble"], PRESETS["paper"]
    architectures = [name.partition(".")[0] for name in ensemble.backbones]
    assert architectures == ["wide_resnet101_2", "resnext101_32x8d", "densenet201"]
    assert all(timm.get_pretrained_cfg(name) is not None for name in ensemble.backbones)
    differing = {key for key, value in ensemble.as_dict().items() if value != paper.as_dict()[key]}
    assert differing == {"preset", "backbone"}
    assert ensemble.backbones[0] == paper.backbone
