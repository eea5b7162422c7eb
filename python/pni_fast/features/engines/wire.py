"""Just enough of Protocol Buffers to write ONNX and to read it strictly; no package is needed for either.

A message is a sequence of fields: a key (number and wire type), then a whole number or so many bytes. Two
encoded messages put behind each other are one message: repeated fields are joined, inner messages merged.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import TypeAlias

Value: TypeAlias = "int | float | str | bytes"

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types; groups (3 and 4) are history."""


_SHORT = [bytes([number]) for number in range(0x80)]


class WireError(ValueError):
    """Bytes that are no message."""


def varint(number: int) -> bytes:
    """Return a whole number of 64 bits, seven bits a byte; a negative one as its two's complement."""
    if 0 <= number < 0x80:
        return _SHORT[number]
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, value: Value) -> bytes:
    """Return one field: an int as a varint, a float as 32 bits, text and bytes with their length."""
    if isinstance(value, float):
        return varint(number << 3 | FIXED32) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | BYTES) + varint(len(content)) + content


def message(*fields: tuple[int, Value | Iterable[Value]]) -> bytes:
    """Return a message of (number, value) or (number, values), in that order."""
    out = bytearray()
    for number, values in fields:
        single = isinstance(values, (int, float, str, bytes))
        for value in [values] if single else values:  # type: ignore[union-attr]
            out += field(number, value)  # type: ignore[arg-type]
    return bytes(out)


def fields(data: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Yield the fields of a message, inner messages and texts as bytes.

    Raises
    ------
    WireError
        It is none, or ends within a field.
    """
    at = 0
    while at < len(data):
        key, at = _number(data, at)
        number, kind = key >> 3, key & 7
        if number == 0 or number >= 1 << 29:
            raise WireError(f"a field of number {number}")
        if kind == VARINT:
            value, at = _number(data, at)
            yield number, value
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
            if at + size > len(data):
                raise WireError("it ends within a field")
            yield number, struct.unpack_from("<f" if kind == FIXED32 else "<d", data, at)[0]
            at += size
        elif kind == BYTES:
            size, at = _number(data, at)
            if size > len(data) - at:
                raise WireError("it ends within a field")
            yield number, data[at : at + size]
            at += size
        else:
            raise WireError(f"a field of wire type {kind}")


def signed(number: int) -> int:
    """Return what a varint says as an int64."""
    return number - (1 << 64) if number >= 1 << 63 else number


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise WireError("it ends within a number")
        byte = data[at]
        at += 1
        if byte < 0x80 and not shift:
            return byte, at
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 1 << 64:
                break
            return value, at
    raise WireError("a number of more than 64 bits")
