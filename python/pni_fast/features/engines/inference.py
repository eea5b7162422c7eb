"""The shape of what each operation gives, from the shapes it takes: the operations an extractor may have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

from .graph import Array, Node

Shape: TypeAlias = tuple[int, ...]

LARGEST_NUMBER = 1 << 31
"""Of a size, a stride or a padding."""


@dataclass(frozen=True)
class Sizes:
    """What is known of one node: its attributes, the shapes it takes, and its constants."""

    node: Node
    shapes: Mapping[str, Shape]
    constants: Mapping[str, Array]

    def shape(self, number: int = 0) -> Shape:
        """Return the shape of an input."""
        return self.shapes[self.node.inputs[number]]

    def all(self) -> list[Shape]:
        """Return the shapes of the inputs that are there."""
        return [self.shapes[name] for name in self.node.inputs if name]

    def numbers(self, number: int) -> list[int]:
        """Return the whole numbers of an input, which must be a constant: no size depends on an image."""
        values = self.constants[self.node.inputs[number]]
        if values.dtype.kind != "i":
            raise ValueError("sizes must be whole numbers")
        return self._bounded([int(value) for value in values.reshape(-1)])

    def ints(self, name: str, default: Any) -> list[int]:
        """Return an attribute of whole numbers."""
        values = self.node.attributes.get(name, default)
        if not all(isinstance(value, int) for value in values):
            raise ValueError(f"{name} must be whole numbers")
        return self._bounded(list(values))

    def number(self, name: str, default: int) -> int:
        """Return an attribute that is a whole number."""
        return self._bounded([self.node.attributes.get(name, default)])[0]

    def _bounded(self, values: list[Any]) -> list[int]:
        for value in values:
            if not isinstance(value, int) or abs(value) > LARGEST_NUMBER:
                raise ValueError(f"a number of {value}")
        return values


Inference: TypeAlias = Callable[[Sizes], list[Shape]]


def _same(at: Sizes) -> list[Shape]:
    return [at.shape()]


def _broadcast(at: Sizes) -> list[Shape]:
    return [broadcast(at.all())]


def broadcast(shapes: list[Shape]) -> Shape:
    """Return the shape that shapes are brought to, as NumPy does."""
    rank = max(len(shape) for shape in shapes)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    out = tuple(max(sides) for sides in zip(*padded, strict=True))
    for shape in padded:
        if any(side not in (1, full) for side, full in zip(shape, out, strict=True)):
            raise ValueError(f"shapes {shapes} do not fit each other")
    return out


def _vectors(at: Sizes) -> list[Shape]:
    """Channels with one value each: the norms."""
    shape = at.shape()
    if any(other != (shape[1],) for other in at.all()[1:]):
        raise ValueError("one value a channel")
    return [shape]


def _slid(at: Sizes, kernel: list[int]) -> list[int]:
    """Return the sides that a window leaves of an image."""
    spatial = at.shape()[2:]
    rank = len(spatial)
    pads, strides = at.ints("pads", [0] * 2 * rank), at.ints("strides", [1] * rank)
    dilations = at.ints("dilations", [1] * rank)
    if not len(kernel) == len(strides) == len(dilations) == rank or len(pads) != 2 * rank:
        raise ValueError("a window of other dimensions")
    if min(kernel + strides + dilations) < 1 or min(pads) < 0 or max(pads) > max(spatial) + max(kernel):
        raise ValueError("a window without an inside")
    sides = []
    for axis, side in enumerate(spatial):
        room = side + pads[axis] + pads[axis + rank] - dilations[axis] * (kernel[axis] - 1) - 1
        steps = -(-room // strides[axis]) if at.number("ceil_mode", 0) else room // strides[axis]
        # A window that begins behind the image and its padding in front is left out.
        if at.number("ceil_mode", 0) and steps * strides[axis] >= side + pads[axis]:
            steps -= 1
        sides.append(steps + 1)
    return sides


def _conv(at: Sizes) -> list[Shape]:
    shape, weight, groups = at.shape(), at.shape(1), at.number("group", 1)
    if at.ints("kernel_shape", weight[2:]) != list(weight[2:]):
        raise ValueError("a kernel of another size than its weight")
    if groups < 1 or weight[1] * groups != shape[1] or weight[0] % groups:
        raise ValueError("channels that do not fit")
    if len(at.node.inputs) > 2 and at.shape(2) != (weight[0],):
        raise ValueError("a bias that does not fit")
    return [(shape[0], weight[0], *_slid(at, list(weight[2:])))]


def _pool(at: Sizes) -> list[Shape]:
    shape = at.shape()
    return [(*shape[:2], *_slid(at, at.ints("kernel_shape", [])))]


def _reduced(shape: Shape, axes: list[int], keep: int) -> Shape:
    chosen = {range(len(shape))[axis] for axis in axes}
    if keep:
        return tuple(1 if axis in chosen else side for axis, side in enumerate(shape))
    return tuple(side for axis, side in enumerate(shape) if axis not in chosen)


def _reduce(at: Sizes) -> list[Shape]:
    return [_reduced(at.shape(), at.ints("axes", []), at.number("keepdims", 1))]


def _sum(at: Sizes) -> list[Shape]:
    return [_reduced(at.shape(), at.numbers(1), at.number("keepdims", 1))]


def _reshape(at: Sizes) -> list[Shape]:
    wanted, size = at.numbers(1), prod(at.shape())
    if wanted.count(-1) > 1 or min(wanted, default=1) < -1 or 0 in wanted:
        raise ValueError(f"a size of {wanted}")
    known = prod(side for side in wanted if side != -1)
    sides = tuple(size // known if side == -1 else side for side in wanted)
    if prod(sides) != size:
        raise ValueError(f"{at.shape()} as {wanted}")
    return [sides]


def _transpose(at: Sizes) -> list[Shape]:
    order = at.ints("perm", [])
    if sorted(order) != list(range(len(at.shape()))):
        raise ValueError(f"an order of {order}")
    return [tuple(at.shape()[axis] for axis in order)]


def _concat(at: Sizes) -> list[Shape]:
    shapes, axis = at.all(), at.number("axis", 0)
    first = list(shapes[0])
    first[axis] = sum(shape[axis] for shape in shapes)
    if any(_without(shape, axis) != _without(shapes[0], axis) for shape in shapes):
        raise ValueError(f"shapes {shapes[:3]} do not fit each other")
    return [tuple(first)]


def _without(shape: Shape, axis: int) -> list[int]:
    rest = list(shape)
    del rest[axis]
    return rest


def _unsqueeze(at: Sizes) -> list[Shape]:
    sides = list(at.shape())
    for axis in at.numbers(1):
        if not 0 <= axis <= len(sides):
            raise ValueError(f"an axis of {axis}")
        sides.insert(axis, 1)
    return [tuple(sides)]


def _squeeze(at: Sizes) -> list[Shape]:
    axes = at.numbers(1)
    if any(at.shape()[axis] != 1 for axis in axes):
        raise ValueError(f"axes {axes} of {at.shape()}")
    return [_reduced(at.shape(), axes, 0)]


def _slice(at: Sizes) -> list[Shape]:
    starts, ends, axes, steps = (at.numbers(number) for number in (1, 2, 3, 4))
    sides = list(at.shape())
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        sides[axis] = len(range(*slice(start, end, step).indices(at.shape()[axis])))
    return [tuple(sides)]


def _gather(at: Sizes) -> list[Shape]:
    axis, index = range(len(at.shape()))[at.number("axis", 0)], at.numbers(1)
    side = at.shape()[axis]
    if not all(-side <= value < side for value in index):
        raise ValueError("an index outside")
    return [(*at.shape()[:axis], *at.shape(1), *at.shape()[axis + 1 :])]


def _split(at: Sizes) -> list[Shape]:
    axis, parts = range(len(at.shape()))[at.number("axis", 0)], at.numbers(1)
    if sum(parts) != at.shape()[axis]:
        raise ValueError(f"parts of {parts}")
    return [(*at.shape()[:axis], part, *at.shape()[axis + 1 :]) for part in parts]


def _pad(at: Sizes) -> list[Shape]:
    pads, rank = at.numbers(1), len(at.shape())
    if len(pads) != 2 * rank or min(pads) < 0:
        raise ValueError(f"a padding of {pads}")
    return [tuple(side + pads[axis] + pads[axis + rank] for axis, side in enumerate(at.shape()))]


def _matmul(at: Sizes) -> list[Shape]:
    left, right = at.shape(), at.shape(1)
    if min(len(left), len(right)) < 2 or left[-1] != right[-2]:
        raise ValueError(f"shapes {left} and {right} do not fit each other")
    outer = broadcast([left[:-2], right[:-2]]) if len(left) > 2 or len(right) > 2 else ()
    return [(*outer, left[-2], right[-1])]


def _resize(at: Sizes) -> list[Shape]:
    sizes = at.numbers(3)
    if at.node.inputs[1] or at.node.inputs[2] or len(sizes) != len(at.shape()):
        raise ValueError("a resize without sizes")
    return [tuple(sizes)]


def _expand(at: Sizes) -> list[Shape]:
    return [broadcast([at.shape(), tuple(at.numbers(1))])]


def _tile(at: Sizes) -> list[Shape]:
    return [tuple(side * times for side, times in zip(at.shape(), at.numbers(1), strict=True))]


INFERENCE: dict[str, Inference] = {
    **dict.fromkeys(
        ("Abs", "Cast", "Clip", "Elu", "Erf", "Exp", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu"),
        _same,
    ),
    **dict.fromkeys(
        ("Log", "Neg", "Reciprocal", "Relu", "Sigmoid", "Softmax", "Softplus", "Sqrt", "Tanh"), _same
    ),
    **dict.fromkeys(("Add", "Div", "Mul", "PRelu", "Pow", "Sub"), _broadcast),
    **dict.fromkeys(("BatchNormalization", "InstanceNormalization"), _vectors),
    **dict.fromkeys(("ReduceL2", "ReduceMax", "ReduceMean"), _reduce),
    **dict.fromkeys(("AveragePool", "MaxPool"), _pool),
    "ReduceSum": _sum,
    "Conv": _conv,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Concat": _concat,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Slice": _slice,
    "Gather": _gather,
    "Split": _split,
    "Pad": _pad,
    "MatMul": _matmul,
    "Resize": _resize,
    "Expand": _expand,
    "Tile": _tile,
}
"""By ONNX's name. An operation that is not here is in no extractor."""
