"""What moves numbers about without changing them."""

from __future__ import annotations

import numpy as np

from .call import Call, NoGraphError, Operator, named

LOWEST = float(np.finfo(np.float32).min)


def _same(call: Call) -> str:
    return call.first()


def _shape(call: Call) -> str:
    values = call.graph.values(call.first())
    if values is not None:  # a table of places, which stays a constant
        return call.graph.constant(values.reshape(call.shape))
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
    # What a maximum is never taken from; a graph has finite numbers.
    fill = call.graph.constant(max(float(call["value"]), LOWEST), "float32")
    return call.graph.node("Pad", [call.first(), call.graph.constant(before + after, "int64"), fill])


def _repeat(call: Call) -> str:
    if len(call["repeats"]) != call.rank():
        raise NoGraphError("a repeat along new dimensions")
    return call.graph.node("Tile", [call.first(), call.graph.constant(list(call["repeats"]), "int64")])


def _roll(call: Call) -> str:
    """Return the last rows before the first, along each dimension: two slices, put together again."""
    name, sides = call.first(), list(call["self"].shape)
    shifts, axes = list(call["shifts"]), list(call["dims"])
    if not axes:
        raise NoGraphError("a roll over all dimensions")
    for shift, said in zip(shifts, axes, strict=True):
        axis = said % len(sides)
        cut = -shift % sides[axis]
        if not cut:
            continue
        parts = []
        for start, end in ((cut, sides[axis]), (0, cut)):
            ends = [call.graph.constant([number], "int64") for number in (start, end, axis, 1)]
            parts.append(call.graph.node("Slice", [name, *ends]))
        name = call.graph.node("Concat", parts, {"axis": axis})
    return name


RESHAPING: dict[str, Operator] = {
    **named(("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "_reshape_alias"), _shape),
    **named(("clone", "contiguous", "alias", "detach", "lift_fresh"), _same),
    "expand": _expand,
    "repeat": _repeat,
    "roll": _roll,
    "permute": _permute,
    **named(("transpose", "t"), _transpose),
    "_to_copy": _cast,
    "cat": _cat,
    "stack": _stack,
    "slice": _slice,
    "select": _select,
    "index": _index,
    **named(("split", "split_with_sizes"), _split),
    "unbind": _unbind,
    "constant_pad_nd": _pad,
}
