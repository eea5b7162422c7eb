"""How a model file is damaged or made hostile: every way is a function of a seed."""

from __future__ import annotations

import copy
import json
import math
import struct
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from pni_fast.model.file.header import DIGEST, KEY
from pni_fast.runtime.tensor_file import TensorFile
from pni_fast.runtime.tensor_values import as_bytes, digest

Random = np.random.Generator
Header = dict[str, Any]
Tensors = dict[str, torch.Tensor]

WORDS = (
    "",
    "x",
    "\x1b[2J",
    "none",
    "a\nb",
    "hf-hub:timm/resnet18.a1_in1k",
    "local-dir:/etc",
    "/etc/passwd",
    "resnet18",
)
NUMBERS = (0, -1, 1, 2, 7, 255, 20_001, 100_000, 10**9, 2**63, 10**400, -(10**30))
FLOATS = (0.0, -0.0, 1e-320, 1e-30, 0.5, -3.5, 1e6, 1e30, 1e300)
LITERALS = ("@1e999@", "@-1e999@", "@NaN@", "@Infinity@", "@1e-999@")
HOLLOW: tuple[Any, ...] = (
    None,
    True,
    False,
    [],
    {},
    [[]],
    [0],
    [-1, -1],
    [1, 2, 3, 4],
    [10**9] * 4,
    {"a": 1},
)
VALUES = (math.nan, math.inf, -math.inf, -1.0, 0.0, 1e38, -1e38, 1e-40, 1e15, 1e20)


def picked(rng: Random, options: Any) -> Any:
    """Return one of a sequence."""
    return options[int(rng.integers(len(options)))]


def flipped_bits(content: bytes, rng: Random) -> bytes:
    """Flip 1 to 16 bits, half of the time in the header."""
    changed = bytearray(content)
    (length,) = struct.unpack("<Q", content[:8])
    most = 8 + length if rng.random() < 0.5 else len(content)
    for _ in range(2 ** int(rng.integers(5))):
        changed[int(rng.integers(most))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def cut(content: bytes, rng: Random) -> bytes:
    """Cut the file, or lose, overwrite or repeat a block of it, as disks and networks do."""
    at, block = int(rng.integers(len(content))), 2 ** int(rng.integers(3, 15))
    rest = content[at + block :]
    middle = content[at : at + block]
    return {
        "short": content[:at],
        "zeros to the end": content[:at] + bytes(len(content) - at),
        "zeros": content[:at] + bytes(len(middle)) + rest,
        "ones": content[:at] + b"\xff" * len(middle) + rest,
        "noise": content[:at] + rng.bytes(len(middle)) + rest,
        "lost": content[:at] + rest,
        "twice": content[:at] + middle + middle + rest,
        "more": content + rng.bytes(block),
    }[picked(rng, ("short", "zeros to the end", "zeros", "ones", "noise", "lost", "twice", "more"))]


def edited_table(content: bytes, rng: Random) -> bytes:
    """Change an entry of the table of tensors."""
    (length,) = struct.unpack("<Q", content[:8])
    table = json.loads(content[8 : 8 + length])
    names = [name for name in table if name != "__metadata__"]
    name, other = picked(rng, names), picked(rng, names)
    large = [name for name in names if len(table[name]["shape"]) > 1]
    if rng.random() < 0.5:
        name = picked(rng, large)
    entry = table[name]
    what = int(rng.integers(9))
    if what == 0:
        entry["dtype"] = picked(rng, ("F16", "I32", "F64", "BOOL", "F8_E4M3", "U64", "X", 3, None))
    elif what == 1:
        entry["shape"] = entry["shape"][::-1]
    elif what == 2:
        entry["shape"] = picked(rng, ([-1], [2**62, 4], [10**30], "x", [1.5], [True], [0], [], [1] * 100))
    elif what == 3:
        entry["data_offsets"] = [number + int(rng.integers(-8, 9)) for number in entry["data_offsets"]]
    elif what == 4:
        del table[name]
    elif what == 5:
        table[name + picked(rng, WORDS)] = table.pop(name)
    elif what == 6:
        table[name], table[other] = table[other], table[name]
    elif what == 7:
        entry["data_offsets"] = picked(rng, ([0, 2**62], [-4, 0], [5], "ab", None, [0, 0]))
    else:
        table["__metadata__"] = picked(rng, ({}, {KEY: 3}, None, [], {KEY: "[" * 100_000}, {"other": "x"}))
    if rng.random() < 0.5 and isinstance(table.get("__metadata__"), dict):
        table["__metadata__"] = unsigned(table["__metadata__"])
    return framed(table, content[8 + length :])


def unsigned(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return metadata without the digest, where it is what a model's is."""
    try:
        header = json.loads(metadata[KEY])
        header.pop(DIGEST)
        return {**metadata, KEY: json.dumps(header)}
    except (KeyError, TypeError, ValueError, RecursionError):
        return metadata


def framed(table: dict[str, Any], data: bytes) -> bytes:
    """Return a file of a table and the tensors' bytes; the table's length is left as it comes, unaligned."""
    text = json.dumps(table).encode()
    return struct.pack("<Q", len(text)) + text + data


def edited_settings(header: Header, _: Tensors, rng: Random) -> None:
    """Replace, remove or add a value anywhere in the header."""
    for _ in range(int(rng.integers(1, 3))):
        path: Any = header
        while True:
            key = picked(rng, sorted(path)) if isinstance(path, dict) else int(rng.integers(len(path)))
            inner = path[key]
            if not (isinstance(inner, (dict, list)) and inner) or rng.random() < 0.1:
                break
            path = inner
        what = rng.random()
        if what < 0.06 and isinstance(path, dict) and len(path) > 1:
            del path[key]
        elif what < 0.1 and isinstance(path, dict):
            path[picked(rng, WORDS)] = picked(rng, NUMBERS)
        else:
            path[key] = copy.deepcopy(picked(rng, picked(rng, (WORDS, NUMBERS, FLOATS, LITERALS, HOLLOW))))


def edited_values(_: Header, tensors: Tensors, rng: Random) -> None:
    """Replace values of a tensor, or the tensor by one of another shape or type."""
    names = sorted(tensors)
    short = [name for name in names if "backbone." not in name]
    name = picked(rng, short if rng.random() < 0.5 else names)
    # Few operations take uint16.
    narrow = tensors[name].dtype == torch.uint16
    tensor = tensors[name].to(torch.int32) if narrow else tensors[name].clone()
    what = rng.random()
    if what < 0.7:
        flat = tensor.reshape(-1)
        count = max(1, int(len(flat) * picked(rng, (0.0, 0.1, 1.0))))
        places = torch.from_numpy(rng.integers(0, len(flat), count))
        value = picked(rng, VALUES)
        whole = int(value) if math.isfinite(value) and abs(value) < 2**62 else -(2**62)
        flat[places] = value if tensor.is_floating_point() else whole % 2**16 if narrow else whole
    elif what < 0.8:
        tensor = (
            tensor.T.contiguous() if tensor.ndim == 2 else tensor.flip(0) if tensor.ndim else tensor[None]
        )
    elif what < 0.9:
        tensor = tensor.to(picked(rng, (torch.float16, torch.float64, torch.int32, torch.bool)))
    else:
        tensor = tensor[:0] if tensor.ndim else tensor[None]
    retyped = 0.8 <= what < 0.9
    tensors[name] = tensor.to(torch.uint16) if narrow and not retyped else tensor


def assembled(
    content: bytes, rng: Random, change: Callable[[Header, Tensors, Random], None], sign: bool
) -> bytes:
    """Return a file with header and tensors changed, its digest made anew or left out."""
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as written:
        written.write(content)
        written.flush()
        with TensorFile(written.name) as file:
            header, tensors = json.loads(file.metadata[KEY]), file.read_torch()
    header.pop(DIGEST)
    change(header, tensors, rng)
    text = json.dumps(header, sort_keys=True)
    for literal in LITERALS:
        text = text.replace(json.dumps(literal), literal.strip("@"))
    if sign:
        header = json.loads(text)
        header[DIGEST] = digest(header, tensors)
        text = json.dumps(header)
    kinds = {
        **{torch.float32: "F32", torch.float64: "F64", torch.float16: "F16"},
        **{torch.int64: "I64", torch.int32: "I32", torch.uint16: "U16", torch.bool: "BOOL"},
    }
    table: dict[str, Any] = {"__metadata__": {KEY: text}}
    data = b""
    for name, tensor in tensors.items():
        raw = as_bytes(tensor).tobytes()
        place = [len(data), len(data) + len(raw)]
        table[name] = {"dtype": kinds[tensor.dtype], "shape": list(tensor.shape), "data_offsets": place}
        data += raw
    return framed(table, data)


def mutant(bases: dict[str, bytes], seed: int, case: int) -> tuple[str, str, bytes, bool]:
    """Return a case: its first file, what is done, its content, and whether another model may come out."""
    rng = np.random.default_rng((seed, case))
    base = picked(rng, sorted(bases))
    content = bases[base]
    kind = picked(rng, ("bits", "cuts", "headers", "configs", "configs", "values"))
    if kind in ("configs", "values"):
        sign = bool(rng.random() < 0.5)
        change = edited_settings if kind == "configs" else edited_values
        return base, kind, assembled(content, rng, change, sign), True
    change_bytes = {"bits": flipped_bits, "cuts": cut, "headers": edited_table}[kind]
    return base, kind, change_bytes(content, rng), kind == "headers"
