"""Read a state dict in torch's first file format without torch: it takes seconds to import.

The format, which torch wrote before 1.6 and still reads: five pickles one after another (magic number,
protocol, system, the state dict, the keys of the storages in the order of the file), then of each storage its
number of elements as int64 and its bytes. A pickle may call anything it names; here it may name two things,
an ordered dictionary and "a tensor of that storage", and anything else is refused before it is called.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001

_DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


@dataclass(frozen=True)
class _Storage:
    """A storage as the pickle names it: type, key, number of elements."""

    dtype: np.dtype[Any]
    key: str
    size: int


@dataclass(frozen=True)
class _Tensor:
    """A tensor as the pickle describes it: a part of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return what a state dict is made of, and nothing else."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _DTYPES:
            return np.dtype(_DTYPES[name])
        raise ValueError(f"a state dict holds tensors only, got {module}.{name}")

    def persistent_load(self, saved: Any) -> _Storage:
        """Return the storage that a pickle means."""
        kind, dtype, key, _, size, view = saved
        if kind != "storage" or not isinstance(dtype, np.dtype) or view is not None:
            raise ValueError(f"a state dict holds whole storages of numbers, got {saved!r}")
        return _Storage(dtype, str(key), int(size))


def read_first_format(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a state dict by name, in the order of the file.

    Raises
    ------
    ValueError
        The file is of another format, or holds something else than tensors of float32 and int64.
    """
    file = io.BytesIO(path.read_bytes())
    magic, protocol, _, state, keys = (_Unpickler(file).load() for _ in range(5))
    if (magic, protocol) != (MAGIC, PROTOCOL):
        raise ValueError("not a state dict in torch's first format")
    if not isinstance(state, dict) or not all(isinstance(one, _Tensor) for one in state.values()):
        raise ValueError("not a state dict of tensors")
    storages = {one.storage.key: one.storage for one in state.values()}
    numbers: dict[str, NDArray[Any]] = {}
    for key in keys:
        storage = storages[key]
        size = int.from_bytes(file.read(8), "little")
        data = file.read(size * storage.dtype.itemsize)
        if size != storage.size or len(data) != size * storage.dtype.itemsize:
            raise ValueError("the file is truncated")
        numbers[key] = np.frombuffer(data, storage.dtype)
    return {name: _part(numbers[one.storage.key], one) for name, one in state.items()}


def _part(numbers: NDArray[Any], tensor: _Tensor) -> NDArray[Any]:
    """Return the numbers of a tensor, which may lie in its storage with its axes in any order."""
    last = tensor.offset + sum(
        (side - 1) * step for side, step in zip(tensor.shape, tensor.strides, strict=True)
    )
    if min(*tensor.shape, tensor.offset + 1, *(step + 1 for step in tensor.strides), 1) < 1 or last >= len(
        numbers
    ):
        raise ValueError("a tensor reaches beyond its storage")
    steps = [step * numbers.itemsize for step in tensor.strides]
    return np.array(as_strided(numbers[tensor.offset :], tensor.shape, steps), order="C")
