"""Read `.safetensors` files that anybody may have written, and write ones that show damage.

The format: eight bytes with the length of a JSON table, the table (names to dtype, shape and place; metadata
under ``__metadata__``), then the tensors' bytes without gaps. Everything the table says is checked against
the size of the file before a tensor is read. Tensors are read into memory of their own: a mapped file would
stay tied to what others do to it, and the format asks for no alignment, which torch needs.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import types
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

LARGEST_TABLE = 10 * 2**20
"""Bytes of JSON, which may take twenty times as much in memory; a model's table has less than a megabyte."""

MOST_DIMENSIONS = 8

_KINDS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "U16": torch.uint16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_NAMES = {dtype: name for name, dtype in _KINDS.items()}


class TensorFileError(ValueError):
    """A file is no whole `.safetensors` file; the message says why, without the file's name."""


@dataclass(frozen=True)
class Place:
    """What the table says of a tensor: its type, its shape and its bytes, counted from the first tensor's."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    end: int


class TensorFile:
    """An open `.safetensors` file whose table is in order; to be used in a ``with`` block.

    Parameters
    ----------
    path
        The file.

    Attributes
    ----------
    metadata : dict of str to str
        The file's own text.
    places : dict of str to Place
        Every tensor, in the order of their bytes.

    Raises
    ------
    TensorFileError
        The file is truncated or of another kind.
    OSError
        The file cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file: BinaryIO = open(path, "rb")  # noqa: SIM115, PTH123  (closed by __exit__)
        try:
            size = os.fstat(self._file.fileno()).st_size
            self.metadata, self.places, self._begin = _table(self._file, size)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> TensorFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self._file.close()

    def read(self) -> dict[str, Tensor]:
        """Return every tensor, each in memory of its own.

        Raises
        ------
        TensorFileError
            The file became shorter.
        """
        self._file.seek(self._begin)
        return {name: self._tensor(name, place) for name, place in self.places.items()}

    def _tensor(self, name: str, place: Place) -> Tensor:
        tensor = torch.empty(place.shape, dtype=place.dtype)
        left = memoryview(as_bytes(tensor))
        while left:
            count = self._file.readinto(left)  # type: ignore[attr-defined]
            if not count:
                raise TensorFileError(f"it ends within tensor {name!r}")
            left = left[count:]
        return tensor


def _table(file: BinaryIO, size: int) -> tuple[dict[str, str], dict[str, Place], int]:
    """Return metadata, the tensors' places in order, and where the first tensor begins."""
    start = file.read(8)
    if len(start) < 8:
        raise TensorFileError("it is shorter than a header")
    (length,) = struct.unpack("<Q", start)
    if length > min(size - 8, LARGEST_TABLE):
        raise TensorFileError(
            "its header is longer than the file" if length > size - 8 else "its header is too long"
        )
    table = parsed(file.read(length))
    if not isinstance(table, dict):
        raise TensorFileError("its header is no table")
    metadata = table.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise TensorFileError("its metadata is no text by names")
    places = {name: _place(name, entry) for name, entry in table.items()}
    ordered = dict(sorted(places.items(), key=lambda item: (item[1].start, item[1].end)))
    end = 0
    for name, place in ordered.items():
        if place.start != end:
            raise TensorFileError(f"tensor {name!r} does not begin where the one before it ends")
        end = place.end
    if 8 + length + end != size:
        raise TensorFileError(f"its tensors take {end} bytes and there are {size - 8 - length}")
    return metadata, ordered, 8 + length


def _place(name: str, entry: Any) -> Place:
    try:
        kind, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        raise TensorFileError(f"the header lacks dtype, shape or place of tensor {name!r}") from None
    if not isinstance(kind, str) or kind not in _KINDS:
        raise TensorFileError(f"tensor {name!r} is of an unknown type")
    dtype = _KINDS[kind]
    whole = isinstance(shape, list) and all(
        type(number) is int and number >= 0 for number in [*shape, start, end]
    )
    if not whole or len(shape) > MOST_DIMENSIONS or start + prod(shape) * dtype.itemsize != end:
        raise TensorFileError(f"shape and place of tensor {name!r} do not fit each other")
    return Place(dtype, tuple(shape), start, end)


def parsed(text: str | bytes) -> Any:
    """Return what JSON holds.

    Raises
    ------
    TensorFileError
        It is no JSON, holds NaN or an infinity by name, has a name twice or is too deep.
    """
    try:
        return json.loads(
            text if isinstance(text, str) else text.decode(),
            parse_constant=_no_constant,
            object_pairs_hook=_no_name_twice,
        )
    except (ValueError, RecursionError):
        raise TensorFileError("its header is no JSON") from None


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a name twice")
    return values


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a file, tensor by tensor; what the system says against it is an OSError.

    It is written in place, for `atomic_path`: the library's own writer makes a file beside `path` and renames
    it, and one that is killed leaves that file for ever. The bytes are those it writes.

    Parameters
    ----------
    path
        The file; overwritten.
    tensors
        By name, on any device.
    metadata
        The file's own text.
    """
    ordered = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    table: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name in ordered:
        start, end = end, end + tensors[name].numel() * tensors[name].element_size()
        kind, shape = _NAMES[tensors[name].dtype], list(tensors[name].shape)
        table[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in ordered:
            file.write(as_bytes(tensors[name].detach().cpu().contiguous()))


def as_bytes(tensor: Tensor) -> Any:
    """Return the bytes of a contiguous tensor on the CPU, as a NumPy array without a copy."""
    return tensor.detach().reshape(-1).view(torch.uint8).numpy()


def digest(header: Any, tensors: Mapping[str, Tensor]) -> str:
    """Return a digest of tensors and of what is said of them, which shows damage; it proves no origin.

    Parameters
    ----------
    header
        Anything JSON can hold. What reads as the same values has the same digest.
    tensors
        By name, contiguous, on the CPU. Their order in a file does not matter.
    """
    # The fastest of hashlib that is still sound wherever processors have instructions for it.
    total = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        total.update(as_bytes(tensor))
    return f"sha256:{total.hexdigest()}"


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first tensor that holds NaN or an infinity, None where there is none."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.numel():
            small = tensor.element_size() < 4
            values = (tensor.float() if small else tensor).detach().cpu().numpy()  # waits for no threads
            with np.errstate(invalid="ignore"):
                # Both are NaN where one value is.
                if not np.isfinite((values.min(), values.max())).all():
                    return name
    return None
