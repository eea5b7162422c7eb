"""Convolutions, norms, pooling and resizing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .call import Call, NoGraphError, Operator, named
from .shapes import averaging

_REDUCED: dict[str, str] = {"mean": "ReduceMean", "sum": "ReduceSum", "amax": "ReduceMax"}


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


LAYERS: dict[str, Operator] = {
    "convolution": _convolution,
    **named(("native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"), _batch_norm),
    "native_layer_norm": _layer_norm,
    "native_group_norm": _group_norm,
    "var_mean": _var_mean,
    "var": lambda call: _var_mean(call)[0] or "",
    **{name: _reduce(name) for name in _REDUCED},
    "linalg_vector_norm": _norm,
    "avg_pool2d": _avg_pool,
    "max_pool2d_with_indices": _max_pool,
    "_adaptive_avg_pool2d": _adaptive,
    "upsample_bilinear2d": _bilinear,
    "upsample_nearest2d": _nearest,
}
