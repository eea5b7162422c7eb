"""Read `.safetensors` files that anybody may have written, and write ones that show damage.

The format: eight bytes with the length of a JSON table, the table (names to dtype, shape and place; metadata
under ``__metadata__``), then the tensors' bytes without gaps. Everything the table says is checked against
the size of the file before a tensor is read. Tensors are read into memory of their own: a mapped file would
stay tied to what others do to it, and the format asks for no alignment, which processors like.

Tensors come as arrays. Three types of the format NumPy does not have (bfloat16 and two of 8 bits); only files
of weights hold them, and only torch reads those: :meth:`TensorFile.read_torch`. What is written
may be either.
"""

from __future__ import annotations

import json
import os
import struct
import types
from collections.abc import Container, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .copies import Values
from .tensor_values import KINDS, NAMES, TORCH_ALONE, Place, as_bytes, place_of

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_TABLE = 10 * 2**20
"""Bytes of JSON, which may take twenty times as much in memory; a model's table has less than a megabyte."""

MOST_DIMENSIONS = 8


class TensorFileError(ValueError):
    """A file is no whole `.safetensors` file; the message says why, without the file's name."""


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

    def read(self, only: Container[str] | None = None) -> dict[str, NDArray[Any]]:
        """Return tensors as arrays, each in memory of its own.

        Parameters
        ----------
        only
            The names of those wanted; None: all.

        Raises
        ------
        TensorFileError
            The file became shorter, or a tensor is of a type that NumPy does not have.
        """
        found = {}
        for name, place in self.places.items():
            if only is not None and name not in only:
                continue
            if place.dtype in TORCH_ALONE:
                raise TensorFileError(f"tensor {name!r} is of type {place.dtype}")
            dtype = np.dtype(place.dtype)
            found[name] = self._bytes(name, place).view(dtype).reshape(place.shape)
        return found

    def read_torch(self) -> dict[str, Tensor]:
        """Return every tensor as one of torch, of whatever type, each in memory of its own.

        Raises
        ------
        TensorFileError
            The file became shorter.
        """
        import torch

        return {
            name: torch.from_numpy(self._bytes(name, place))
            .view(getattr(torch, place.dtype))
            .reshape(place.shape)
            for name, place in self.places.items()
        }

    def _bytes(self, name: str, place: Place) -> NDArray[np.uint8]:
        # Asked for as the widest type, so that it lies as any type must.
        count = place.end - place.start
        content = np.empty(-(-count // 8), dtype=np.float64).view(np.uint8)[:count]
        self._file.seek(self._begin + place.start)
        left = memoryview(content.data)
        while left:
            got = self._file.readinto(left)  # type: ignore[attr-defined]
            if not got:
                raise TensorFileError(f"it ends within tensor {name!r}")
            left = left[got:]
        return content


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
    if not isinstance(kind, str) or kind not in KINDS:
        raise TensorFileError(f"tensor {name!r} is of an unknown type")
    dtype, width = KINDS[kind]
    whole = isinstance(shape, list) and all(
        type(number) is int and number >= 0 for number in [*shape, start, end]
    )
    if not whole or len(shape) > MOST_DIMENSIONS or start + prod(shape) * width != end:
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


def write_tensors(path: Path, tensors: Mapping[str, Values], metadata: Mapping[str, str]) -> None:
    """Write a file, tensor by tensor; what the system says against it is an OSError.

    It is written in place, for `atomic_path`: the library's own writer makes a file beside `path` and renames
    it, and one that is killed leaves that file for ever. The bytes are those it writes.

    Parameters
    ----------
    path
        The file; overwritten.
    tensors
        By name.
    metadata
        The file's own text.
    """
    places = {name: place_of(value) for name, value in tensors.items()}
    ordered = sorted(tensors, key=lambda name: (-KINDS[NAMES[places[name].dtype]][1], name))
    table: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name in ordered:
        place = places[name]
        start, end = end, end + place.end
        kind = NAMES[place.dtype]
        table[name] = {"dtype": kind, "shape": list(place.shape), "data_offsets": [start, end]}
    text = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in ordered:
            file.write(as_bytes(tensors[name]).data)
