"""A refiner's graph gives under every engine what the network gives under torch."""

import numpy as np
import pytest
import torch
from pni_fast.config import RefinerConfig
from pni_fast.errors import ModelFileError
from pni_fast.features.engines.choose import open_engine
from pni_fast.features.engines.export import state_arrays
from pni_fast.features.engines.networks import refiner_ends, whole_model
from pni_fast.refinement import RefinementNetwork
from pni_fast.refinement.exported import refiner_graph

SIZE = (64, 48)


def network(**settings):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = RefinementNetwork(RefinerConfig(levels=(0, 1), widths=(8, 6), **settings))
        made.eval().requires_grad_(False)
        made.head.weight.normal_(0, 0.3)
        for module in made.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
    return made


@pytest.mark.parametrize(
    "settings",
    [
        {"side": 32, "encoder": "test_efficientnet.r160_in1k"},
        {"side": 41, "residual": True, "encoder": "resnet18"},
        {"side": None, "encoder": "densenet121"},
    ],
)
def test_every_engine_refines_as_torch_does(settings):
    refiner = network(**settings)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (2, *SIZE, 3), dtype=np.uint8)
    maps = random.random((2, *SIZE), dtype=np.float32)
    content = whole_model(
        refiner_graph(refiner, *SIZE), state_arrays(refiner, "refiner."), *refiner_ends(SIZE)
    )
    expected = refiner.refine(images, maps)
    for name in ("openvino", "onnxruntime"):
        np.testing.assert_allclose(open_engine(name, content)(images, maps), expected, atol=1e-5)
        with pytest.raises(ValueError, match="float32"):
            open_engine(name, content)(images, maps[:1])


def test_a_refiners_graph_is_no_extractors():
    refiner = network(side=32, encoder="test_efficientnet.r160_in1k")
    graph, tensors = refiner_graph(refiner, *SIZE), state_arrays(refiner, "backbone.")
    with pytest.raises(ModelFileError, match=r"asks for a tensor 'refiner\."):
        whole_model(graph, tensors, *refiner_ends(SIZE))
