"""Sums, products, activations: what works on each number, and matrices."""

from __future__ import annotations

import math

from torch import Tensor

from .call import Call, NoGraphError, Operator, named


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


def _clip(low: str, high: str) -> Operator:
    def convert(call: Call) -> str:
        ends = [call.given.get(name) for name in (low, high)]
        inputs = [call.first()]
        inputs += ["" if end is None else call.graph.constant(float(end), "float32") for end in ends]
        return call.graph.node("Clip", inputs)

    return convert


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


def _add_product(call: Call) -> str:
    product = call.graph.node("Mul", [call.value(call["tensor1"]), call.value(call["tensor2"])])
    if call["value"] != 1:
        product = call.graph.node("Mul", [product, call.graph.constant(float(call["value"]), "float32")])
    return call.graph.node("Add", [call.first(), product])


def _linear(call: Call) -> str:
    if call["beta"] != 1 or call["alpha"] != 1:
        raise NoGraphError("a weighed addmm")
    names = [name for name in ("mat1", "batch1") if name in call.given]
    second = "mat2" if names[0] == "mat1" else "batch2"
    product = call.graph.node("MatMul", [call.value(call[names[0]]), call.value(call[second])])
    return call.graph.node("Add", [product, call.value(call["self"])])


def _product(call: Call) -> str:
    return call.graph.node("MatMul", [call.value(call["self"]), call.value(call["mat2"])])


def _softmax(call: Call) -> str:
    return call.graph.node("Softmax", [call.first()], {"axis": call["dim"] % call.rank()})


def _prelu(call: Call) -> str:
    return call.graph.node("PRelu", [call.first(), call.value(call["weight"])])


ARITHMETIC: dict[str, Operator] = {
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
    **named(("_softmax", "_safe_softmax"), _softmax),
    **named(("addmm", "baddbmm"), _linear),
    **named(("mm", "bmm"), _product),
}
