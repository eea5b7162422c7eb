"""A graph written, read, and refused where a stranger wrote it."""

import contextlib

import numpy as np
import pytest
import torch
from pni_fast.errors import ModelFileError
from pni_fast.features.engines import wire
from pni_fast.features.engines.building import GraphBuilder
from pni_fast.features.engines.checking import check_graph
from pni_fast.features.engines.export import extractor_graph, state_arrays
from pni_fast.features.engines.graph import Declared, Node, decode, encode
from pni_fast.features.engines.networks import asked_by_extractor, extractor_model
from pni_fast.features.extractor import FeatureExtractor
from torch import nn

CROP, SHAPE = (16, 24), (4, 6, 9)


class Pyramid(nn.Module):
    """Two levels, of strides 4 and 8."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 4, stride=4)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 6, 3, stride=2, padding=1)

    def forward(self, x):
        fine = torch.relu(self.norm(self.first(x)))
        return [fine, self.second(fine)]


@pytest.fixture(scope="module")
def extractor():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return FeatureExtractor(Pyramid(), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), 3, 9)


@pytest.fixture(scope="module")
def content(extractor):
    return extractor_graph(extractor, *CROP)


@pytest.fixture(scope="module")
def tensors(extractor):
    return state_arrays(extractor.backbone, "backbone.")


def test_numbers_of_every_length():
    for number in (0, 1, 127, 128, 300, 2**32, 2**63 - 1):
        assert list(wire.fields(wire.field(3, number))) == [(3, number)]
    [(_, minus)] = wire.fields(wire.field(3, -1))
    assert wire.signed(minus) == -1


@pytest.mark.parametrize(
    "data", [b"\x80", b"\x08", b"\x0a\x05ab", b"\x0d\x00", b"\x0b", b"\x00\x01", b"\xff" * 11]
)
def test_bytes_that_are_no_message(data):
    with pytest.raises(wire.WireError):
        list(wire.fields(data))


def test_a_graph_is_read_as_it_was_written(content):
    read = decode(content)
    assert encode(read) == content
    assert read.inputs == {"crops": Declared("uint8", (1, *CROP, 3))}
    assert read.outputs == {"features": Declared("float32", (1, *SHAPE))}


def test_the_weights_are_asked_for_and_not_held(content, tensors):
    asked = decode(content).asked()
    assert set(asked) == set(tensors)
    assert len(content) < 4000
    model = extractor_model(content, tensors, CROP, SHAPE)
    assert tensors["backbone.second.weight"].tobytes() in model
    assert tensors["backbone.second.weight"].tobytes() not in content


def test_shapes_are_enough_to_know_what_is_asked_for(content, tensors):
    shapes = {name: value.shape for name, value in tensors.items()}
    assert set(asked_by_extractor(content, shapes, CROP, SHAPE)) == set(tensors)
    with pytest.raises(ModelFileError, match="that the model lacks"):
        asked_by_extractor(content, {}, CROP, SHAPE)


def test_the_onnx_package_reads_the_same(content, tensors):
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(extractor_model(content, tensors, CROP, SHAPE))
    onnx.checker.check_model(model, full_check=True)
    assert {item.name for item in model.graph.initializer} >= set(tensors)


def refused(content, tensors):
    with pytest.raises(ModelFileError) as error:
        extractor_model(content, tensors, CROP, SHAPE)
    line = str(error.value)
    assert line.isprintable()
    assert len(line) < 500
    return line


@pytest.mark.parametrize("kept", [0, 1, 10, 100, -1])
def test_a_cut_graph(content, tensors, kept):
    refused(content[:kept], tensors)


def test_any_changed_byte_is_refused_or_harmless(content, tensors):
    random = np.random.default_rng(0)
    for place in random.choice(len(content), 300, replace=False):
        changed = bytearray(content)
        changed[place] ^= 1 << random.integers(8)
        with contextlib.suppress(ModelFileError):
            extractor_model(bytes(changed), tensors, CROP, SHAPE)


def tensor_elsewhere():
    entry = wire.message((1, "location"), (2, "/etc/passwd"))
    return wire.message((1, 4), (2, 1), (8, "c99"), (13, entry), (14, 1))


@pytest.mark.parametrize(
    ("added", "said"),
    [
        (wire.message((7, wire.message((5, tensor_elsewhere())))), "field 7 of a model twice"),
        (wire.message((25, b"")), "field 25 of a model"),
        (wire.message((20, b"")), "field 20 of a model"),
        (wire.message((8, wire.message((1, "com.microsoft"), (2, 1)))), "field 8 of a model twice"),
    ],
)
def test_what_stands_behind_a_graph(content, tensors, added, said):
    assert said in refused(content + added, tensors)


def rebuilt(content, change):
    """Return a graph with its message's fields changed."""
    model = list(wire.fields(content))
    inner = next(value for number, value in model if number == 7)
    rest = [(number, value) for number, value in model if number != 7]
    return wire.message(*rest, (7, wire.message(*change(list(wire.fields(inner))))))


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ((5, tensor_elsewhere()), "field 13 of a constant"),
        ((15, b""), "field 15 of a graph"),
        ((1, wire.message((2, "x"), (4, "Relu"), (7, "com.microsoft"))), "field 7 of a node"),
        (
            (1, wire.message((2, "x"), (4, "If"), (5, wire.message((1, "a"), (6, b""), (20, 5))))),
            "field 6 of a",
        ),
        ((1, wire.message((1, "crops"), (2, "x"), (4, "Loop"))), "the operation 'Loop'"),
        ((1, wire.message((1, "nothing"), (2, "x"), (4, "Relu"))), "asks for a tensor 'nothing'"),
        ((1, wire.message((1, "crops"), (2, "v0"), (4, "Relu"))), "the value 'v0' twice"),
        ((5, wire.message((1, [2, 3]), (2, 1), (8, "c99"), (9, b"\x00" * 4))), "do not fit each other"),
        ((5, wire.message((1, 1), (2, 11), (8, "c99"), (9, b"\x00" * 8))), "ONNX's type 11"),
        ((5, wire.message((1, 1), (2, 1), (8, "c99"), (9, b"\x00\x00\xc0\x7f"))), "not finite"),
        (
            (5, wire.message((1, 1), (2, 1), (8, "backbone.norm.bias"), (9, b"\x00" * 4))),
            "named 'backbone.norm",
        ),
        (
            (11, wire.message((1, "more"), (2, wire.message((1, wire.message((1, 1), (2, b""))))))),
            "must have the input",
        ),
    ],
)
def test_what_stands_in_a_graph(content, tensors, entry, said):
    assert said in refused(rebuilt(content, lambda inner: [*inner, entry]), tensors)


def test_another_operator_set(content, tensors):
    version = wire.field(8, wire.message((1, ""), (2, 17)))
    assert version in content
    assert "ai.onnx 17" in refused(
        content.replace(version, wire.field(8, wire.message((1, ""), (2, 18)))), tensors
    )


def test_other_ends_than_the_model_has(content, tensors):
    with pytest.raises(ModelFileError, match="must have the input"):
        extractor_model(content, tensors, (16, 16), SHAPE)
    with pytest.raises(ModelFileError, match="must have the output"):
        extractor_model(content, tensors, CROP, (4, 6, 10))


def test_a_weight_of_another_shape(content, tensors):
    changed = {**tensors, "backbone.second.weight": tensors["backbone.second.weight"][:, :2]}
    assert "a Conv that cannot be" in refused(content, changed)
    del changed["backbone.second.weight"]
    assert "'backbone.second.weight' that the model lacks" in refused(content, changed)


def grown(*nodes, **constants):
    """Return a graph that takes crops and makes what the nodes say."""
    graph = GraphBuilder()
    value = graph.node("Cast", [graph.input("crops", "uint8", (1, *CROP, 3))], {"to": 1})
    for operator, inputs, attributes in nodes:
        names = [value if name == "" else graph.constant(constants[name]) for name in inputs]
        value = graph.node(operator, names, attributes)
    graph.output(value, "features", (1, *SHAPE))
    return encode(graph.graph("grown"))


BIG = np.array([1, 40_000, 40_000, 3])


@pytest.mark.parametrize(
    "content",
    [
        grown(("Resize", ["", "none", "none", "size"], {}), size=BIG, none=np.zeros(0, np.float32)),
        grown(("Expand", ["", "size"], {}), size=np.array([10_000, *CROP, 3])),
        grown(("Tile", ["", "size"], {}), size=BIG),
        grown(("Pad", ["", "size"], {}), size=np.array([0, 0, 0, 0, 0, 100_000, 100_000, 0])),
        grown(("AveragePool", [""], {"kernel_shape": [1, 1], "pads": [10**9] * 4})),
        grown(
            ("Reshape", ["", "tall"], {}),
            ("MatMul", ["", "wide"], {}),
            tall=np.array([16 * 24 * 3, 1]),
            wide=np.zeros((1, 10_000), np.float32),
        ),
        grown(*[("Tile", ["", "size"], {})] * 40, size=np.array([1, 1, 1, 2])),
        grown(("Reshape", ["", "size"], {}), size=np.array([-5, 16])),
        grown(("Slice", ["", "zero", "zero", "zero", "zero"], {}), zero=np.array([0])),
        grown(("Transpose", [""], {"perm": [0, 0, 1, 2]})),
        grown(("ReduceMean", [""], {"axes": [7]})),
        grown(("Reshape", ["", ""], {})),
        grown(("Clip", [], {})),
    ],
)
def test_values_out_of_proportion(content):
    refused(content, {})


def test_more_nodes_than_any_network():
    graph = decode(grown())
    many = graph.nodes[:1] + tuple(Node("Relu", ("v0",), (f"r{number}",)) for number in range(20_000))
    changed = type(graph)("many", many, graph.constants, graph.inputs, graph.outputs)
    with pytest.raises(ModelFileError, match="nodes"):
        check_graph(changed, {}, graph.inputs, graph.outputs)


def test_too_many_bytes():
    with pytest.raises(ModelFileError, match="bytes"):
        decode(bytes(17 << 20))
