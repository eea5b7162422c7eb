"""What each operation of torch (ATen) is in ONNX."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from pni_fast.errors import WeightsError

from .building import GraphBuilder
from .shapes import averaging

_REDUCED: dict[str, str] = {"mean": "ReduceMean", "sum": "ReduceSum", "amax": "ReduceMax"}


class NoGraphError(WeightsError):
    """A network holds something that its graph has no word for."""


@dataclass(frozen=True)
class Call:
    """One operation as torch was asked for it.

    Parameters
    ----------
    graph
        Where its nodes go.
    value
        Returns the graph's name of a tensor.
    given
        The arguments by their names, defaults included.
    results
        What torch returned, for its shapes.
    """

    graph: GraphBuilder
    value: Callable[[Any], str]
    given: dict[str, Any]
    results: list[Tensor]

    def __getitem__(self, name: str) -> Any:
        """Return an argument."""
        return self.given[name]

    @property
    def shape(self) -> list[int]:
        """Shape of the first result."""
        return list(self.results[0].shape)

    def first(self, *names: str) -> str:
        """Return the graph's name of the first of these arguments; torch's is ``self`` or ``input``."""
        return self.value(next(self.given[name] for name in (*names, "self", "input") if name in self.given))

    def axes(self, name: str, rank: int) -> list[int]:
        """Return dimensions counted from the front; none given: all."""
        said = self.given[name]
        chosen = range(rank) if said is None or said == [] else [said] if isinstance(said, int) else said
        return [axis % rank for axis in chosen]

    def rank(self) -> int:
        """Return the dimensions of the first argument."""
        return len(next(self.given[name].shape for name in ("self", "input") if name in self.given))

    def plain(self, name: str, expected: Any) -> None:
        """Refuse an argument that is not what nearly every network has."""
        if self.given.get(name, expected) not in (expected, None):
            raise NoGraphError(f"{name}={self.given[name]!r}")


Operator: TypeAlias = Callable[[Call], "str | list[str | None]"]


def _two(operator: str, *, swapped: bool = False) -> Operator:
    """Return what puts two values together, the second times `alpha` where there is one."""

    def convert(call: Call) -> str:
        first, second = call.value(call["self"]), call.value(call["other"])
        alpha = call.given.get("alpha", 1)
        if alpha != 1:
            scaled = call.graph.constant(float(alpha), "float32")
            second = call.graph.node("Mul", [second, scaled])
        return call.graph.node(operator, [second, first] if swapped else [first, second])

    return convert


def _one(operator: str, **attributes: float | str) -> Operator:
    return lambda call: call.graph.node(operator, [call.first()], attributes)


def _attributes(operator: str, **names: str) -> Operator:
    """Return what takes ONNX attributes from torch's arguments: ``alpha="negative_slope"``."""
    return lambda call: call.graph.node(
        operator, [call.first()], {key: float(call[said]) for key, said in names.items()}
    )


def _same(call: Call) -> str:
    return call.first()


def _clip(low: str, high: str) -> Operator:
    def convert(call: Call) -> str:
        ends = [call.given.get(name) for name in (low, high)]
        inputs = [call.first()]
        inputs += ["" if end is None else call.graph.constant(float(end), "float32") for end in ends]
        return call.graph.node("Clip", inputs)

    return convert


def _convolution(call: Call) -> str:
    if call["transposed"]:
        raise NoGraphError("a transposed convolution")
    padding, weight = list(call["padding"]), call["weight"]
    inputs = [call.value(call["input"]), call.value(weight)]
    if call["bias"] is not None:
        inputs.append(call.value(call["bias"]))
    if len(padding) == 1:
        padding *= weight.dim() - 2
    spread: dict[str, Any] = {
        name: list(call[said]) * (1 if len(call[said]) > 1 else weight.dim() - 2)
        for name, said in (("strides", "stride"), ("dilations", "dilation"))
    }
    return call.graph.node(
        "Conv",
        inputs,
        {
            "kernel_shape": list(weight.shape[2:]),
            "pads": padding + padding,
            "group": call["groups"],
            **spread,
        },
    )


def _batch_norm(call: Call) -> list[str | None]:
    if call.given.get("training"):
        return _standardised(call)
    size = call["running_mean"].shape[0]
    weight, bias = (
        call.graph.constant(np.full(size, fill), "float32") if call[name] is None else call.value(call[name])
        for name, fill in (("weight", 1), ("bias", 0))
    )
    inputs = [call.first(), weight, bias, call.value(call["running_mean"]), call.value(call["running_var"])]
    epsilon = call.given.get("eps", call.given.get("epsilon"))
    return [
        call.graph.node("BatchNormalization", inputs, {"epsilon": float(epsilon)}),  # type: ignore[arg-type]
        *[None] * (len(call.results) - 1),
    ]


def _standardised(call: Call) -> list[str | None]:
    """Return a batch norm by the values at hand, which some networks do to weights, and none to an image."""
    if call["running_mean"] is not None:
        raise NoGraphError("a batch norm that is still learning")
    graph, rank = call.graph, call.rank()
    _, centred, variance = _moments(call, [0, *range(2, rank)], 0)
    spread = graph.node("Sqrt", [graph.node("Add", [variance, graph.constant(call["eps"], "float32")])])
    out = graph.node("Div", [centred, spread])
    by_channel = graph.constant([1, -1] + [1] * (rank - 2), "int64")
    for name, operator in (("weight", "Mul"), ("bias", "Add")):
        if call[name] is not None:
            factor = graph.node("Reshape", [call.value(call[name]), by_channel])
            out = graph.node(operator, [out, factor])
    return [out, None, None]


def _moments(call: Call, axes: list[int], correction: float) -> tuple[str, str, str]:
    """Return mean, difference from it and variance over some axes, which keep their places."""
    graph = call.graph
    shape = call.given["input" if "input" in call.given else "self"].shape
    count = math.prod(shape[axis] for axis in axes)
    over: dict[str, Any] = {"axes": axes, "keepdims": 1}
    mean = graph.node("ReduceMean", [call.first()], over)
    centred = graph.node("Sub", [call.first(), mean])
    variance = graph.node("ReduceMean", [graph.node("Mul", [centred, centred])], over)
    if correction:
        factor = graph.constant(count / max(count - correction, 1), "float32")
        variance = graph.node("Mul", [variance, factor])
    return mean, centred, variance


def _layer_norm(call: Call) -> list[str | None]:
    graph, rank = call.graph, call.rank()
    axes = list(range(rank - len(call["normalized_shape"]), rank))
    _, centred, variance = _moments(call, axes, 0)
    spread = graph.node("Sqrt", [graph.node("Add", [variance, graph.constant(call["eps"], "float32")])])
    out = graph.node("Div", [centred, spread])
    for name, operator in (("weight", "Mul"), ("bias", "Add")):
        if call[name] is not None:
            out = graph.node(operator, [out, call.value(call[name])])
    return [out, None, None]


def _group_norm(call: Call) -> list[str | None]:
    graph, groups, shape = call.graph, call["group"], call.shape
    rows = graph.node("Reshape", [call.first(), graph.constant([shape[0], groups, -1], "int64")])
    ones, zeros = (graph.constant(np.full(groups, fill), "float32") for fill in (1, 0))
    out = graph.node("InstanceNormalization", [rows, ones, zeros], {"epsilon": float(call["eps"])})
    out = graph.node("Reshape", [out, graph.constant(shape, "int64")])
    by_channel = graph.constant([1, shape[1]] + [1] * (len(shape) - 2), "int64")
    for name, operator in (("weight", "Mul"), ("bias", "Add")):
        if call[name] is not None:
            factor = graph.node("Reshape", [call.value(call[name]), by_channel])
            out = graph.node(operator, [out, factor])
    return [out, None, None]


def _var_mean(call: Call) -> list[str | None]:
    axes = call.axes("dim", call.rank())
    correction = call.given.get("correction", 1)
    mean, _, variance = _moments(call, axes, 1.0 if correction is None else float(correction))
    if call["keepdim"]:
        return [variance, mean]
    squeezed = call.graph.constant(axes, "int64")
    return [call.graph.node("Squeeze", [value, squeezed]) for value in (variance, mean)]


def _reduce(name: str) -> Operator:
    def convert(call: Call) -> str:
        axes = call.axes("dim", call.rank()) if "dim" in call.given else list(range(call.rank()))
        keep = {"keepdims": int(call.given.get("keepdim", False))}
        if name == "sum":
            return call.graph.node("ReduceSum", [call.first(), call.graph.constant(axes, "int64")], keep)
        return call.graph.node(_REDUCED[name], [call.first()], {"axes": axes, **keep})

    return convert


def _norm(call: Call) -> str:
    call.plain("ord", 2)
    axes = call.axes("dim", call.rank())
    return call.graph.node("ReduceL2", [call.first()], {"axes": axes, "keepdims": int(call["keepdim"])})


def _gelu(call: Call) -> str:
    graph, x = call.graph, call.first()

    def number(value: float) -> str:
        return graph.constant(value, "float32")

    if call["approximate"] == "tanh":
        cube = graph.node("Mul", [graph.node("Mul", [graph.node("Mul", [x, x]), x]), number(0.044715)])
        inner = graph.node("Mul", [graph.node("Add", [x, cube]), number(math.sqrt(2 / math.pi))])
        curve = graph.node("Tanh", [inner])
    else:
        curve = graph.node("Erf", [graph.node("Div", [x, number(math.sqrt(2))])])
    half = graph.node("Mul", [x, graph.node("Add", [curve, number(1.0)])])
    return graph.node("Mul", [half, number(0.5)])


def _silu(call: Call) -> str:
    x = call.first()
    return call.graph.node("Mul", [x, call.graph.node("Sigmoid", [x])])


def _mish(call: Call) -> str:
    x = call.first()
    return call.graph.node("Mul", [x, call.graph.node("Tanh", [call.graph.node("Softplus", [x])])])


def _hardsigmoid(call: Call) -> str:
    return call.graph.node("HardSigmoid", [call.first()], {"alpha": 1 / 6, "beta": 0.5})


def _pow(call: Call) -> str:
    exponent = call["exponent"]
    given = call.graph.constant(float(exponent), "float32") if not isinstance(exponent, Tensor) else None
    return call.graph.node("Pow", [call.first(), given or call.value(exponent)])


def _rsqrt(call: Call) -> str:
    return call.graph.node("Reciprocal", [call.graph.node("Sqrt", [call.first()])])


def _shape(call: Call) -> str:
    return call.graph.node("Reshape", [call.first(), call.graph.constant(call.shape, "int64")])


def _expand(call: Call) -> str:
    return call.graph.node("Expand", [call.first(), call.graph.constant(call.shape, "int64")])


def _permute(call: Call) -> str:
    return call.graph.node("Transpose", [call.first()], {"perm": call.axes("dims", call.rank())})


def _transpose(call: Call) -> str:
    order = list(range(call.rank()))
    first, second = (call.given.get(name, axis) for name, axis in (("dim0", 0), ("dim1", -1)))
    if order:
        order[first], order[second] = order[second], order[first]
    return call.graph.node("Transpose", [call.first()], {"perm": order})


def _cast(call: Call) -> str:
    name = str(call.results[0].dtype).removeprefix("torch.")
    source = call.given["self"]
    if source.dtype == call.results[0].dtype:
        return call.first()
    kinds = {"float32": 1, "uint8": 2, "int64": 7, "bool": 9}
    if name not in kinds:
        raise NoGraphError(f"numbers of type {name}")
    return call.graph.node("Cast", [call.first()], {"to": kinds[name]})


def _cat(call: Call) -> str:
    axis = call["dim"] % call.results[0].dim()
    parts = [part for part in call["tensors"] if part.numel()]
    return call.graph.node("Concat", [call.value(part) for part in parts], {"axis": axis})


def _stack(call: Call) -> str:
    axis = call["dim"] % call.results[0].dim()
    at = call.graph.constant([axis], "int64")
    raised = [call.graph.node("Unsqueeze", [call.value(part), at]) for part in call["tensors"]]
    return call.graph.node("Concat", raised, {"axis": axis})


def _slice(call: Call) -> str:
    axis, step = call["dim"] % call.rank(), call["step"]
    length = call["self"].shape[axis]
    start, end, _ = slice(call["start"], call["end"], step).indices(length)
    ends = [call.graph.constant([number], "int64") for number in (start, end, axis, step)]
    return call.graph.node("Slice", [call.first(), *ends])


def _select(call: Call) -> str:
    axis = call["dim"] % call.rank()
    index = call["index"] % call["self"].shape[axis]
    return call.graph.node("Gather", [call.first(), call.graph.constant(index, "int64")], {"axis": axis})


def _index(call: Call) -> str:
    """Return rows picked by whole numbers along one dimension: a table of places."""
    picked = [(axis, index) for axis, index in enumerate(call["indices"]) if index is not None]
    if len(picked) != 1 or "int" not in str(picked[0][1].dtype):
        raise NoGraphError("an index along several dimensions")
    ((axis, index),) = picked
    return call.graph.node("Gather", [call.first(), call.value(index)], {"axis": axis})


def _add_product(call: Call) -> str:
    product = call.graph.node("Mul", [call.value(call["tensor1"]), call.value(call["tensor2"])])
    if call["value"] != 1:
        product = call.graph.node("Mul", [product, call.graph.constant(float(call["value"]), "float32")])
    return call.graph.node("Add", [call.first(), product])


def _split(call: Call) -> list[str | None]:
    axis = call["dim"] % call.rank()
    sizes = call.graph.constant([part.shape[axis] for part in call.results], "int64")
    names = call.graph.nodes("Split", [call.first(), sizes], len(call.results), {"axis": axis})
    return list(names)


def _unbind(call: Call) -> list[str | None]:
    axis = call["dim"] % call.rank()
    return [
        call.graph.node("Gather", [call.first(), call.graph.constant(index, "int64")], {"axis": axis})
        for index in range(len(call.results))
    ]


def _pad(call: Call) -> str:
    pairs, rank = list(call["pad"]), call.rank()
    before, after = [0] * rank, [0] * rank
    for number in range(len(pairs) // 2):
        before[rank - 1 - number], after[rank - 1 - number] = pairs[2 * number : 2 * number + 2]
    if min(pairs) < 0:
        raise NoGraphError("a negative padding")
    fill = call.graph.constant(float(call["value"]), "float32")
    return call.graph.node("Pad", [call.first(), call.graph.constant(before + after, "int64"), fill])


def _linear(call: Call) -> str:
    if call["beta"] != 1 or call["alpha"] != 1:
        raise NoGraphError("a weighed addmm")
    names = [name for name in ("mat1", "batch1") if name in call.given]
    second = "mat2" if names[0] == "mat1" else "batch2"
    product = call.graph.node("MatMul", [call.value(call[names[0]]), call.value(call[second])])
    return call.graph.node("Add", [product, call.value(call["self"])])


def _product(call: Call) -> str:
    return call.graph.node("MatMul", [call.value(call["self"]), call.value(call["mat2"])])


def _window(call: Call) -> dict[str, Any]:
    kernel, stride, padding = (list(call[name]) for name in ("kernel_size", "stride", "padding"))
    kernel, padding = (side * 2 if len(side) == 1 else side for side in (kernel, padding))
    stride = stride * 2 if len(stride) == 1 else stride or kernel
    return {
        "kernel_shape": kernel,
        "strides": stride,
        "pads": padding + padding,
        "ceil_mode": int(call["ceil_mode"]),
    }


def _avg_pool(call: Call) -> str:
    call.plain("divisor_override", None)
    window = _window(call) | {"count_include_pad": int(call["count_include_pad"])}
    return call.graph.node("AveragePool", [call.first()], window)


def _max_pool(call: Call) -> list[str | None]:
    dilation = list(call["dilation"])
    window = _window(call) | {"dilations": dilation * 2 if len(dilation) == 1 else dilation}
    return [call.graph.node("MaxPool", [call.first()], window), None]


def _adaptive(call: Call) -> str:
    """Average over areas of nearly equal size: a fixed matrix on each side."""
    graph, out = call.graph, call.first()
    sizes = list(call["self"].shape[-2:])
    if call.shape[-2:] == [1, 1]:
        return graph.node("ReduceMean", [out], {"axes": [call.rank() - 2, call.rank() - 1], "keepdims": 1})
    rows, columns = (averaging(size, target) for size, target in zip(sizes, call.shape[-2:], strict=True))
    if sizes[0] != call.shape[-2]:
        out = graph.node("MatMul", [graph.constant(rows, "float32"), out])
    if sizes[1] != call.shape[-1]:
        out = graph.node("MatMul", [out, graph.constant(columns.T, "float32")])
    return out


def _bilinear(call: Call) -> str:
    return resize(call, "linear", "align_corners" if call["align_corners"] else "half_pixel")


def _nearest(call: Call) -> str:
    return resize(call, "nearest", "asymmetric")


def resize(call: Call, mode: str, where: str) -> str:
    """Add a Resize to the size that torch came to."""
    source = call.given["self" if "self" in call.given else "input"].shape[2:]
    for axis, said in enumerate(("scales_h", "scales_w")):
        scale = call.given.get(said)
        if scale is not None and not math.isclose(call.shape[2 + axis], source[axis] * scale):
            raise NoGraphError("a resize to a part of a pixel")
    sizes = call.graph.constant(call.shape, "int64")
    how: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": where}
    if mode == "nearest":
        how["nearest_mode"] = "floor"
    return call.graph.node("Resize", [call.first(), "", "", sizes], how)


def _softmax(call: Call) -> str:
    return call.graph.node("Softmax", [call.first()], {"axis": call["dim"] % call.rank()})


def _prelu(call: Call) -> str:
    return call.graph.node("PRelu", [call.first(), call.value(call["weight"])])


def _repeat(call: Call) -> str:
    if len(call["repeats"]) != call.rank():
        raise NoGraphError("a repeat along new dimensions")
    return call.graph.node("Tile", [call.first(), call.graph.constant(list(call["repeats"]), "int64")])


def _filled(names: Sequence[str], operator: Operator) -> dict[str, Operator]:
    return dict.fromkeys(names, operator)


OPERATORS: dict[str, Operator] = {
    "convolution": _convolution,
    **_filled(("native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"), _batch_norm),
    "native_layer_norm": _layer_norm,
    "native_group_norm": _group_norm,
    "var_mean": _var_mean,
    "var": lambda call: _var_mean(call)[0] or "",
    **{name: _reduce(name) for name in _REDUCED},
    "linalg_vector_norm": _norm,
    "add": _two("Add"),
    "sub": _two("Sub"),
    "rsub": _two("Sub", swapped=True),
    "mul": _two("Mul"),
    "div": _two("Div"),
    "addcmul": _add_product,
    "pow": _pow,
    "rsqrt": _rsqrt,
    "relu": _one("Relu"),
    "sigmoid": _one("Sigmoid"),
    "tanh": _one("Tanh"),
    "exp": _one("Exp"),
    "log": _one("Log"),
    "sqrt": _one("Sqrt"),
    "neg": _one("Neg"),
    "abs": _one("Abs"),
    "erf": _one("Erf"),
    "reciprocal": _one("Reciprocal"),
    "softplus": _one("Softplus"),
    "hardswish": _one("HardSwish"),
    "hardsigmoid": _hardsigmoid,
    "leaky_relu": _attributes("LeakyRelu", alpha="negative_slope"),
    "elu": _attributes("Elu", alpha="alpha"),
    "hardtanh": _clip("min_val", "max_val"),
    "clamp": _clip("min", "max"),
    "clamp_min": _clip("min", ""),
    "silu": _silu,
    "gelu": _gelu,
    "mish": _mish,
    "_prelu_kernel": _prelu,
    **_filled(("_softmax", "_safe_softmax"), _softmax),
    **_filled(("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "_reshape_alias"), _shape),
    **_filled(("clone", "contiguous", "alias", "detach", "lift_fresh"), _same),
    "expand": _expand,
    "repeat": _repeat,
    "permute": _permute,
    **_filled(("transpose", "t"), _transpose),
    "_to_copy": _cast,
    "cat": _cat,
    "stack": _stack,
    "slice": _slice,
    "select": _select,
    "index": _index,
    **_filled(("split", "split_with_sizes"), _split),
    "unbind": _unbind,
    "constant_pad_nd": _pad,
    **_filled(("addmm", "baddbmm"), _linear),
    **_filled(("mm", "bmm"), _product),
    "avg_pool2d": _avg_pool,
    "max_pool2d_with_indices": _max_pool,
    "_adaptive_avg_pool2d": _adaptive,
    "upsample_bilinear2d": _bilinear,
    "upsample_nearest2d": _nearest,
}
"""By the name torch has for it; of one in place without its last underscore."""
