"""Structure of the network: fused stems, any size, pretrained start."""

from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from pni_fast.errors import WeightsError
from pni_fast.refinement import REFINERS, RefinementNetwork, RefinerConfig
from pni_fast.refinement.network import working_size

SMALL = RefinerConfig(levels=(0, 1), widths=(8, 8), side=None)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    built = RefinementNetwork(SMALL)
    assert built.load_pretrained() == "embedded"
    return built.eval()


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 17)])
def test_any_size_comes_back_at_full_size(network, size):
    with torch.inference_mode():
        refined = network(torch.rand(2, 3, *size), torch.rand(2, *size))
    assert refined.shape == (2, *size)
    assert 0 < refined.min() <= refined.max() < 1


def test_starts_as_the_pretrained_encoder_whatever_the_map(network):
    reference = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=(0, 1))
    from pni_fast.features.weights import load_weights

    load_weights(reference, "tf_efficientnet_lite0", None)
    images = torch.rand(1, 3, 40, 40)
    with torch.inference_mode():
        wanted = reference.eval()((images - 0.5) / 0.5)
        got = network.encoder(torch.cat(((images - 0.5) / 0.5, torch.rand(1, 1, 40, 40)), dim=1))
    for level, expected in zip(got, wanted, strict=True):
        torch.testing.assert_close(level, expected, atol=1e-4, rtol=1e-4)


def test_stems_are_averaged():
    from pni_fast.refinement.network import FusedStem

    stem = FusedStem(torch.nn.Conv2d(3, 4, 3, padding=1, bias=False))
    with torch.no_grad():
        stem.map.weight.normal_()
    inputs = torch.rand(1, 4, 6, 6)
    wanted = (stem.image(inputs[:, :3]) + stem.map(inputs[:, 3:])) / 2
    torch.testing.assert_close(stem(inputs), wanted)


def test_a_residual_network_starts_from_the_map(network):
    maps = torch.rand(1, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(network(torch.rand(1, 3, 32, 32), maps), torch.sigmoid(6 * maps - 6))


def test_both_inputs_are_learnt_from(network):
    state = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    with torch.no_grad():
        network.head.weight.fill_(0.1)
    refined = network(torch.rand(1, 3, 32, 32), torch.rand(1, 32, 32))
    refined.sum().backward()
    missing = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    network.zero_grad()
    network.load_state_dict(state)
    network.eval()
    assert missing == []


def test_batch_norms_keep_their_statistics_in_training(network):
    before = {name: value.clone() for name, value in network.named_buffers()}
    with torch.no_grad():
        together = network.train()(torch.ones(2, 3, 32, 32), torch.zeros(2, 32, 32))
        alone = network(torch.ones(1, 3, 32, 32), torch.zeros(1, 32, 32))
    network.eval()
    torch.testing.assert_close(together[:1], alone)
    for name, value in network.named_buffers():
        assert torch.equal(value, before[name]), name


def test_refine_reduces_and_returns_full_size():
    reduced = RefinementNetwork(replace(SMALL, side=32)).eval()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 64, 48, 3), dtype=np.uint8)
    maps = rng.random((2, 64, 48), dtype=np.float32)
    refined = reduced.refine(images, maps)
    assert refined.shape == maps.shape
    assert refined.dtype == np.float32
    # What an image gets does not depend on what else is in its batch.
    np.testing.assert_allclose(reduced.refine(images[1:], maps[1:])[0], refined[1], atol=1e-6)


@pytest.mark.parametrize(
    "shapes", [((1, 8, 8), (1, 8, 8)), ((1, 8, 8, 3), (1, 8, 9)), ((2, 8, 8, 3), (1, 8, 8))]
)
def test_refine_refuses_shapes_that_do_not_fit(network, shapes):
    with pytest.raises(ValueError, match="of the same B, H and W"):
        network.refine(np.zeros(shapes[0], np.uint8), np.zeros(shapes[1], np.float32))


@pytest.mark.parametrize(
    ("size", "side", "wanted"),
    [
        ((480, 480), None, (480, 480)),
        ((480, 480), 240, (240, 240)),
        ((100, 400), 200, (50, 200)),
        ((30, 20), 240, (30, 20)),
    ],
)
def test_working_size(size, side, wanted):
    assert working_size(size, side) == wanted


def test_fused_mixes_at_the_configured_ratio():
    mixing = RefinementNetwork(replace(SMALL, ratio=0.25)).eval()
    images, maps = np.zeros((1, 32, 32, 3), np.uint8), np.full((1, 32, 32), 2, np.float32)
    np.testing.assert_allclose(
        mixing.fused(images, maps), 0.25 * mixing.refine(images, maps) + 1.5, rtol=1e-6
    )


def test_state_dict_rebuilds_the_network(network):
    again = RefinementNetwork(RefinerConfig.from_dict(network.config.as_dict())).eval()
    again.load_state_dict(network.state_dict())
    inputs = torch.rand(1, 3, 32, 32), torch.rand(1, 32, 32)
    with torch.inference_mode():
        assert torch.equal(again(*inputs), network(*inputs))


def test_the_papers_network_has_five_levels_and_fits_weights_from_a_file(tmp_path):
    config = REFINERS["paper"]
    assert (config.encoder, config.iterations, config.batch, config.learning_rate) == (
        "densenet161",
        55_000,
        8,
        1e-4,
    )
    # The same build with the family's smallest member: the full one takes seconds to fill.
    small = replace(config, encoder="densenet121", widths=(16, 16, 8, 8, 8))
    path = tmp_path / "densenet121.safetensors"
    source = timm.create_model("densenet121")
    safetensors.torch.save_file(source.state_dict(), path)
    network = RefinementNetwork(small)
    assert network.load_pretrained(path) == "densenet121.safetensors"
    torch.testing.assert_close(network.encoder.features_conv0.image.weight, 2 * source.features.conv0.weight)
    with torch.inference_mode():
        assert network.eval()(torch.rand(1, 3, 64, 64), torch.rand(1, 64, 64)).shape == (1, 64, 64)


def test_weights_that_lack_a_layer_are_refused(tmp_path):
    path = tmp_path / "poor.safetensors"
    safetensors.torch.save_file({"conv_stem.weight": torch.zeros(32, 3, 3, 3)}, path)
    with pytest.raises(WeightsError, match=r"poor\.safetensors"):
        RefinementNetwork(SMALL).load_pretrained(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": (8,)}, "widths must name 4 blocks"),
        ({"side": 8}, "side must be at least 16, got 8"),
        ({"iterations": 0}, "iterations must be at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"ratio": 1.5}, r"ratio must be in \[0, 1\], got 1.5"),
        ({"bank": 3}, "bank must be 0 or at least the batch of 8, got 3"),
        ({"sound": -0.5}, r"sound must be in \[0, 1\], got -0.5"),
        ({"faintest": 1.5}, r"faintest must be in \[0, 1\], got 1.5"),
        ({"bank": 0, "sound": 0.5}, "bank must be at least 1 where sound is not 0"),
    ],
)
def test_configuration_refuses_what_cannot_be(changes, message):
    with pytest.raises(ValueError, match=message):
        RefinerConfig(**changes)
