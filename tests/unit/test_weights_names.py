"""Weights under their authors' names, at other sizes, and from where a hub's client keeps them."""

import json
import re
import socket

import huggingface_hub
import pytest
import safetensors.torch
import timm
import torch
from pni_fast import PNI
from pni_fast.errors import PniError, WeightsError
from pni_fast.features import hub
from pni_fast.features.backbones import build_backbone
from pni_fast.features.families import shapes_alone, without_values
from pni_fast.features.hub import cached, described, weights_in
from pni_fast.features.weights import load_weights
from timm.layers import resample_abs_pos_embed

DINO = "vit_small_patch14_reg4_dinov2.lvd142m"
SIZE = {"img_size": (56, 42), "dynamic_img_size": False}


def made(shapes):
    generator = torch.Generator().manual_seed(0)
    return {name: torch.rand(shape, generator=generator) for name, shape in shapes.items()}


def blank(name, *arguments):
    with without_values():
        return build_backbone(name, *arguments)


def whole_state(name):
    """Return random values of all of a network's tensors under timm's names."""
    with shapes_alone():
        state = timm.create_model(name).state_dict()
    return made({key: value.shape for key, value in state.items()})


@pytest.fixture(scope="module")
def dino_state():
    state = whole_state(DINO)
    return {key: value for key, value in state.items() if not re.match(r"blocks\.([2-9]|1\d)", key)}


def test_dinov2_under_metas_names_at_another_size(dino_state, tmp_path):
    published = dict(dino_state)
    published["register_tokens"] = published.pop("reg_token")
    with_class = torch.cat([torch.full((1, 1, 384), 0.25), published["pos_embed"]], 1)
    published |= {"mask_token": torch.zeros(1, 384), "pos_embed": with_class}
    file = tmp_path / "dinov2_vits14_reg4_pretrain.pth"
    torch.save(published, file)
    network = blank(DINO, (56, 42), (0, 1))
    assert load_weights(network, DINO, file, SIZE) == file.name
    found = network.model.state_dict()
    expected = resample_abs_pos_embed(dino_state["pos_embed"], (4, 3), (37, 37), num_prefix_tokens=0)
    torch.testing.assert_close(found["pos_embed"], expected)
    torch.testing.assert_close(found["cls_token"], dino_state["cls_token"] + 0.25)
    assert torch.equal(found["reg_token"], dino_state["reg_token"])
    assert torch.equal(found["blocks.1.mlp.fc2.weight"], dino_state["blocks.1.mlp.fc2.weight"])


def test_dinov2_under_timms_names_at_another_size(dino_state, tmp_path):
    file = tmp_path / "model.safetensors"
    safetensors.torch.save_file(dino_state, file)
    network = blank(DINO, (56, 42), (0, 1))
    load_weights(network, DINO, file, SIZE)
    found = network.model.state_dict()
    expected = resample_abs_pos_embed(dino_state["pos_embed"], (4, 3), (37, 37), num_prefix_tokens=0)
    torch.testing.assert_close(found["pos_embed"], expected)
    assert torch.equal(found["cls_token"], dino_state["cls_token"])


def test_a_block_that_is_missing(dino_state, tmp_path):
    file = tmp_path / "model.safetensors"
    safetensors.torch.save_file(dino_state, file)
    with pytest.raises(WeightsError, match=r"model\.safetensors: .* the first is 'blocks\.2\.norm1\.weight'"):
        load_weights(blank(DINO, (56, 42), (0, 2)), DINO, file, SIZE)


def test_convnext_under_its_authors_names(tmp_path):
    state = whole_state("test_convnext")
    published = {}
    for name, value in state.items():
        theirs = re.sub(r"^stem\.", "downsample_layers.0.", name)
        theirs = re.sub(r"^stages\.(\d+)\.downsample\.", r"downsample_layers.\1.", theirs)
        theirs = theirs.replace(".blocks.", ".").replace("conv_dw", "dwconv").replace("mlp.fc", "pwconv")
        published[theirs.replace("head.norm", "norm").replace("head.fc", "head")] = value
    file = tmp_path / "convnext.pth"
    torch.save({"model": published}, file)
    network = blank("test_convnext")
    load_weights(network, "test_convnext", file)
    assert torch.equal(
        network.state_dict()["stages_1.blocks.0.conv_dw.weight"], state["stages.1.blocks.0.conv_dw.weight"]
    )
    assert torch.equal(network.state_dict()["stem_0.weight"], state["stem.0.weight"])


def keep(cache, repository, files):
    """Lay files where a hub's client keeps them; return the folder of the revision."""
    place = cache / f"models--{repository.replace('/', '--')}"
    snapshot = place / "snapshots" / "0a1b2c"
    snapshot.mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("0a1b2c")
    for name, content in files.items():
        if isinstance(content, dict) and name.endswith(".safetensors"):
            safetensors.torch.save_file(content, snapshot / name)
        else:
            (snapshot / name).write_text(json.dumps(content))
    return snapshot


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return the folder of a hub's client that has no connection."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def test_weights_that_a_hubs_client_keeps(cache, tmp_path):
    name = "test_vit2.r160_in1k"
    snapshot = keep(cache, f"timm/{name}", {"model.safetensors": whole_state(name)})
    assert cached(name) == cached("test_vit2") == snapshot / "model.safetensors"
    for folder in (cache, tmp_path, cache / f"models--timm--{name}", snapshot):
        assert weights_in(folder, name) == snapshot / "model.safetensors"
    network = blank(name, (32, 48), (1,))
    assert load_weights(network, name, None, {"img_size": (32, 48)}) == f"hub:{name}"
    assert load_weights(network, name, cache, {"img_size": (32, 48)}) == f"hub:timm/{name}"
    assert described(snapshot / "model.safetensors") == f"hub:timm/{name}"
    assert cached("test_vit3.r160_in1k") is None


def test_a_folder_without_weights(tmp_path):
    with pytest.raises(WeightsError, match=r"must hold model\.safetensors or pytorch_model\.bin, or a hub's"):
        load_weights(blank("test_vit2", (32, 32), (1,)), "test_vit2", tmp_path, {"img_size": (32, 32)})


def test_a_person_may_name_a_place_on_the_hub(cache):
    said = {"architecture": "test_vit2", "pretrained_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    statistics = timm.get_pretrained_cfg("test_vit2")
    said["pretrained_cfg"] = {"mean": list(statistics.mean), "std": list(statistics.std)}
    keep(cache, "somebody/mine", {"model.safetensors": whole_state("test_vit2"), "config.json": said})
    model = PNI(backbone="hf-hub:somebody/mine", resize=32, crop=32, device="cpu")
    assert model.config.backbone == "test_vit2"  # and so is what a model file says
    assert described(model.weights[0]) == "hub:somebody/mine"
    other = said | {"pretrained_cfg": {"mean": [0.1] * 3, "std": [0.2] * 3}}
    keep(cache, "somebody/else", {"model.safetensors": {}, "config.json": other})
    with pytest.raises(WeightsError, match=r"hf-hub:somebody/else: its images have mean"):
        PNI(backbone="hf-hub:somebody/else")


@pytest.mark.parametrize("said", [{}, [], {"architecture": "nonesuch"}, {"architecture": "local-dir:/"}])
def test_a_place_without_a_timm_network(cache, said):
    keep(cache, "somebody/mine", {"model.safetensors": {}, "config.json": said})
    with pytest.raises(PniError, match="hf-hub:somebody/mine: its "):
        PNI(backbone="hf-hub:somebody/mine")


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("place", ["hf-hub:", "hf-hub:mine", "hf-hub:../x/y", "hf-hub:a/b/c"])
def test_a_place_that_is_none(place):
    with pytest.raises(WeightsError, match="must be hf-hub:OWNER/NAME or a timm name"):
        PNI(backbone=place)


@pytest.mark.usefixtures("cache")
def test_a_place_that_cannot_be_reached():
    with pytest.raises(WeightsError, match=r"hf-hub:somebody/mine cannot be fetched .*--weights FILE"):
        PNI(backbone="hf-hub:somebody/mine")


@pytest.mark.usefixtures("cache")
def test_a_machine_that_knows_no_address_of_the_hub_is_told_at_once(monkeypatch):
    def nowhere(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    def asked(*_, **__):
        raise AssertionError("the hub's client would try for a minute")

    network = build_backbone("resnet18")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "getproxies", dict)
    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    monkeypatch.setattr(timm, "create_model", asked)
    with pytest.raises(WeightsError, match=r"'resnet18' cannot be fetched .* \(ConnectionError\)"):
        load_weights(network, "resnet18", None)
    with pytest.raises(WeightsError, match=r"hf-hub:somebody/mine cannot be fetched .*LocalEntryNotFound"):
        PNI(backbone="hf-hub:somebody/mine")
