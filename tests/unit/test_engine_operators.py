"""Every operation that a graph has a word for gives under ONNX Runtime what it gives under torch."""

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from pni_fast.features.engines.building import GraphBuilder
from pni_fast.features.engines.call import NoGraphError
from pni_fast.features.engines.checking import check_graph
from pni_fast.features.engines.export import state_arrays
from pni_fast.features.engines.graph import decode, encode
from pni_fast.features.engines.recording import record
from torch import nn

SHAPE = (1, 4, 6, 8)


class Function(nn.Module):
    """A function as a network, with some state of its own."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.linspace(0.5, 1.5, 16).view(4, 4))
        self.register_buffer("places", torch.tensor([[0, 3], [2, 1], [1, 1], [0, 0]]))
        self.register_buffer("offsets", torch.arange(4.0).view(1, 4, 1, 1), persistent=False)

    def forward(self, x):
        return self.function(self, x)


def in_place(_, x):
    y = x * 2
    y += x
    y.relu_()
    return y


def weight_standardised(module, x):
    weight = F.batch_norm(module.weight.view(1, 4, 4), None, None, training=True, eps=1e-6)
    return F.conv2d(x, weight.view(4, 4, 1, 1))


FUNCTIONS = {
    "arithmetic": lambda m, x: (2 - x) / (x.abs() + 1.5) * m.offsets - x.neg().sub(x, alpha=0.5),
    "powers": lambda _, x: (x.abs() + 0.1).pow(0.3) + x.square() + (x * x + 1).rsqrt() + x.exp().reciprocal(),
    "in place": in_place,
    "clamps": lambda _, x: F.relu6(x) + F.hardtanh(x) + x.clamp(min=0.1) + x.clamp(max=0.2) + x.clamp(-1, 1),
    "sigmoids": lambda _, x: x.sigmoid() + x.tanh() + F.silu(x) + F.hardswish(x) + F.hardsigmoid(x),
    "gelu": lambda _, x: F.gelu(x) + F.gelu(x, approximate="tanh") + torch.erf(x),
    "leaky": lambda m, x: F.leaky_relu(x, 0.2) + F.elu(x) + F.mish(x) + F.prelu(x, m.weight[0]),
    "softmax": lambda _, x: x.softmax(1) + F.softplus(x) + (x.abs() + 1).log() + (x.abs() + 1).sqrt(),
    "reductions": lambda _, x: (
        x.mean((2, 3)).view(1, 4, 1, 1) + x.sum(1, keepdim=True) + x.amax((2, 3), True)
    ),
    "moments": lambda _, x: torch.cat(torch.var_mean(x, 1, keepdim=True, correction=0), 1),
    "variance": lambda _, x: x.var((2, 3), keepdim=True),
    "moments without a place": lambda _, x: torch.stack(torch.var_mean(x, (2, 3)), -1),
    "length": lambda _, x: x / x.norm(2, dim=1, keepdim=True),
    "shapes": lambda _, x: (
        x.flatten(1).view(1, 4, 48).transpose(1, 2).permute(1, 0, 2).unsqueeze(1).squeeze(2)
    ),
    "parts": lambda _, x: torch.cat([x[:, 1:3, ::2], x[:, :2, 1::2]], dim=1) + x.select(2, 1).unsqueeze(2),
    "rows of a table": lambda m, x: x + m.weight[:, m.places].reshape(1, 4, 1, 8),
    "products added": lambda m, x: torch.addcmul(x, x, m.offsets, value=0.5) + torch.addcmul(x, x, x),
    "rolled": lambda m, x: x.roll((1, -2), (2, 3)) + x.roll(4, 1) + m.weight[m.places.flatten()].sum(),
    "splits": lambda _, x: torch.cat([*x.chunk(2, 3)][::-1], 3) + torch.stack(x.unbind(1)[::-1], 1),
    "expanded": lambda m, x: (
        m.offsets.expand(1, 4, 6, 8) + x + x[:, :1].repeat(1, 4, 1, 1) + x[:, :1].expand(SHAPE)
    ),
    # Followed by an average, ONNX Runtime before 1.24 joins the two into what it then refuses.
    "padded": lambda m, x: F.conv2d(F.pad(x, (1, 2, 0, 1), value=2.0), m.weight.view(4, 4, 1, 1)),
    "padded below all": lambda _, x: F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=-torch.inf), 3, 2),
    "average": lambda _, x: F.avg_pool2d(x, 3, 2, 1) + F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "average of what is left": lambda _, x: F.avg_pool2d(
        x[:, :, :5], 2, ceil_mode=True, count_include_pad=False
    ),
    "maximum": lambda _, x: (
        F.max_pool2d(x, 3, 2, 1) + F.max_pool2d(x, (3, 3), 2, padding=1, ceil_mode=True)[:, :, :3, :4]
    ),
    "areas": lambda _, x: F.adaptive_avg_pool2d(x, (4, 5)) + F.adaptive_avg_pool2d(x, 1),
    "areas of channels": lambda _, x: F.adaptive_avg_pool1d(x.flatten(2), 7),
    "resized": lambda _, x: (
        F.interpolate(x, (11, 13), mode="bilinear", align_corners=False)
        + F.interpolate(x, (11, 13), mode="nearest")
        + F.interpolate(x, (11, 13), mode="bilinear", align_corners=True)
    ),
    "twice as large": lambda _, x: F.interpolate(x, scale_factor=2),
    "linear": lambda m, x: F.linear(x.permute(0, 2, 3, 1), m.weight, m.weight[0]) @ m.weight.t(),
    "attention": lambda _, x: x.flatten(2) @ x.flatten(2).transpose(1, 2),
    "standardised weights": weight_standardised,
    "types": lambda _, x: (x * 8).to(torch.uint8).float(),
}

LAYERS = {
    "convolution": nn.Conv2d(4, 6, 3, stride=2, padding=1, dilation=2, bias=True),
    "same": nn.Conv2d(4, 6, 3, padding="same"),
    "depthwise": nn.Conv2d(4, 8, (1, 3), groups=4, bias=False),
    "batch norm": nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)),
    "batch norm without weights": nn.BatchNorm2d(4, affine=False),
    "group norm": nn.GroupNorm(2, 4),
    "layer norm": nn.LayerNorm((6, 8)),
    "layer norm without weights": nn.LayerNorm(8, elementwise_affine=False),
}


def compared(network, shape=SHAPE):
    network.eval().requires_grad_(False)
    graph = GraphBuilder()
    x = graph.input("x", "float32", shape)
    [(name, made)] = record(graph, network, [(x, shape)], "backbone.")
    graph.output(name, "y", made)
    read = decode(encode(graph.graph("test")))
    tensors = state_arrays(network, "backbone.")
    weights = {name: value.shape for name, value in tensors.items()}
    asked = check_graph(read, weights, read.inputs, read.outputs)
    content = encode(read, {name: tensors[name] for name in asked})
    given = torch.randn(shape, generator=torch.Generator().manual_seed(0)).abs().sub(0.3)
    with torch.no_grad():
        expected = network(given.clone()).numpy()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": given.numpy()})
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    return read


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    compared(Function(FUNCTIONS[name]))


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    for module in LAYERS[name].modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(torch.linspace(-1, 1, 4))
            module.running_var.copy_(torch.linspace(0.5, 2, 4))
    compared(LAYERS[name])


def test_nothing_of_the_state_is_in_the_graph_and_the_rest_is():
    graph = compared(Function(lambda m, x: x * m.weight[0, 1] + m.offsets))
    assert graph.asked() == ["backbone.weight"]
    assert [value.shape for value in graph.constants.values() if value.dtype.kind == "f"] == [(1, 4, 1, 1)]


def seen_by_others(_, x):
    row = x[:, :1]
    row += 1
    return x


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda _, x: x.cumsum(1), "the operation cumsum"),
        (
            lambda _, x: F.conv_transpose2d(x, x.new_zeros(4, 4, 1, 1)),
            "Function cannot be written as a graph",
        ),
        (seen_by_others, "a change of a value that others see"),
        (lambda _, x: x if x.sum() > 0 else -x, "Function cannot be written as a graph"),
        (lambda m, x: x[:, m.places[0], m.places[0]], "an index along several dimensions"),
        (lambda _, x: x.double(), "numbers of type float64"),
        (lambda _, x: F.interpolate(x, scale_factor=1.3, mode="bilinear"), "a part of a pixel"),
    ],
)
def test_what_has_no_word_is_told(function, said):
    with pytest.raises(NoGraphError, match=said):
        compared(Function(function))
