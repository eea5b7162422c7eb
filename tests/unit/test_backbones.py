import pytest
import safetensors.torch
import timm
import torch
from pni_fast.errors import WeightsError
from pni_fast.features.backbones import build_backbone, build_extractor, create_pyramid
from pni_fast.features.extractor import FeatureExtractor
from pni_fast.features.families import shapes_alone
from pni_fast.features.weights import assign_state_dict, load_weights, read_state_dict


def test_embedded_weights_give_the_same_features_as_timms_own_loading():
    name = "tf_efficientnet_lite0"
    network = build_backbone(name)
    assert load_weights(network, name, None) == "embedded"
    from pni_fast.features.weights import embedded_state_dict

    full = timm.create_model(name)
    full.load_state_dict(embedded_state_dict())
    reference = timm.create_model(name, features_only=True, out_indices=(2, 3))
    reference.load_state_dict({k: v for k, v in full.state_dict().items() if k in reference.state_dict()})
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for mine, theirs in zip(network.eval()(image), reference.eval()(image), strict=True):
        torch.testing.assert_close(mine, theirs)
    assert network.eval()(image)[0].std() > 0.05, (
        "pretrained features vary; untrained ones are nearly constant"
    )


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_local_file_may_lack_layers_that_are_not_used(tmp_path, suffix):
    state = timm.create_model("resnet18").state_dict()
    state = {
        k: v.half() if v.dtype == torch.float32 else v
        for k, v in state.items()
        if not k.startswith(("layer4", "fc"))
    }
    file = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": state}, file)
    else:
        safetensors.torch.save_file(state, file)
    network = build_backbone("resnet18")
    assert load_weights(network, "resnet18", file) == file.name
    torch.testing.assert_close(
        network.state_dict()["layer3.1.conv2.weight"], state["layer3.1.conv2.weight"].float()
    )


def test_flattened_names_of_features_only_are_found():
    full = timm.create_model("densenet121").state_dict()
    network = build_backbone("densenet121")
    assign_state_dict(network, full, "test")
    torch.testing.assert_close(network.state_dict()["features_conv0.weight"], full["features.conv0.weight"])


def test_unknown_backbone_names_close_ones():
    with pytest.raises(WeightsError, match=r"got 'resnet1888'; close names: .*resnet18"):
        build_backbone("resnet1888")


def test_missing_layers_are_counted_and_the_first_named(tmp_path):
    file = tmp_path / "w.safetensors"
    safetensors.torch.save_file({"conv1.weight": torch.zeros(64, 3, 7, 7)}, file)
    with pytest.raises(
        WeightsError, match=r"w\.safetensors: weights must hold every layer .* the first is 'bn1.weight'"
    ):
        load_weights(build_backbone("resnet18"), "resnet18", file)


def test_wrong_shape_is_named():
    state = dict(timm.create_model("resnet18").state_dict())
    state["conv1.weight"] = torch.zeros(64, 1, 7, 7)
    with pytest.raises(
        WeightsError, match=r"tensor 'conv1.weight' must have shape \(64, 3, 7, 7\), got \(64, 1, 7, 7\)"
    ):
        assign_state_dict(build_backbone("resnet18"), state, "file")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_foreign_file_is_refused(tmp_path, suffix):
    file = tmp_path / f"w{suffix}"
    file.write_text("not weights at all")
    with pytest.raises(WeightsError, match=rf"w\{suffix}: not a readable"):
        read_state_dict(file)


def test_a_pickle_with_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("executed",))

    file = tmp_path / "w.pth"
    torch.save({"a": Evil()}, file)
    with pytest.raises(WeightsError, match="not a readable"):
        read_state_dict(file)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"nowhere\.pth: no such weights file"):
        read_state_dict(tmp_path / "nowhere.pth")


def test_unreachable_hub_says_what_to_do(monkeypatch):
    def unreachable(*_, **__):
        raise OSError("network is unreachable")

    network = build_backbone("resnet18")
    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(
        WeightsError, match=r"cannot be fetched from the model hub .*--weights FILE.*--preset lite"
    ):
        load_weights(network, "resnet18", None)


def test_statistics_of_the_backbones_own_training_are_used():
    lite = build_extractor("tf_efficientnet_lite0", 3, 1024)
    assert lite.mean.flatten().tolist() == [0.5, 0.5, 0.5]
    dense = build_extractor("densenet121", 3, 1024)
    assert dense.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])


def test_an_encoder_with_its_channels_last_is_refused():
    what = "encoder"
    told = f"{what} must give feature maps with channels first, got 'swin_tiny_.*': channels last"
    with shapes_alone(), pytest.raises(WeightsError, match=told):
        create_pyramid("swin_tiny_patch4_window7_224", what)


def test_a_network_for_images_of_one_size_says_so():
    class ForOneSize(torch.nn.Module):
        def forward(self, pixels):
            raise AssertionError(f"Input height ({pixels.shape[2]}) doesn't match model (224).")

    extractor = FeatureExtractor(ForOneSize(), (0.5,) * 3, (0.5,) * 3, 3, 8)
    with pytest.raises(WeightsError, match=r"does not take crops of 96 x 64 pixels: Input height \(64\)"):
        extractor(torch.zeros(1, 64, 96, 3, dtype=torch.uint8))
