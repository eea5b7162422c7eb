"""The compiled module in the wheel holds every SIMD path, whatever this machine can run itself.

Symbols are stripped, but the unwind tables still say where each function begins and ends. So instructions
are counted function by function: a path is there when enough functions work with its registers and with none
of the next wider path. The folds of the AVX-512 functions use 256 bits too; they do not count for AVX2.
"""

from __future__ import annotations

import bisect
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter, defaultdict

import pytest

LEAST = {"float": 5, "double": 2, "fused": 6}
"""Functions a path must have, by kind: every body is compiled for every path (seen: 9, 3 and 12)."""


def count(frames: str, listing: str) -> dict[str, Counter[str]]:
    """Count functions by path and kind of arithmetic.

    `frames` is what ``readelf --debug-dump=frames`` says, `listing` what ``objdump --disassemble`` does.
    Kinds: ``float`` and ``double`` for packed float32 and float64, ``fused`` for fused multiply-add.
    """
    starts = sorted({int(start, 16) for start in re.findall(r"\bpc=([0-9a-f]+)\.\.", frames)})
    functions: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for address, name, operands in re.findall(r"^ *([0-9a-f]+):\t(\w+)(?:\s+(.*))?$", listing, re.MULTILINE):
        found = kind_x86(name, operands) or kind_arm(name, operands)
        if found is not None:
            functions[bisect.bisect(starts, int(address, 16))].add(found)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for seen in functions.values():
        widest = max((path for path, _ in seen), key=["scalar", "neon", "avx2", "avx512"].index)
        counts[widest].update(kind for path, kind in seen if path == widest)
    return counts


def kind_x86(name: str, operands: str) -> tuple[str, str] | None:
    arithmetic = re.fullmatch(r"(v?)(?:(fn?m(?:add|sub)\d+)|add|sub|mul)p([sd])", name)
    if arithmetic is None:
        return None
    vex, fused, width = arithmetic.groups()
    kind = "fused" if fused else {"s": "float", "d": "double"}[width]
    if "%zmm" in operands:
        return "avx512", kind
    if "%ymm" in operands:
        return "avx2", kind
    return None if vex else ("scalar", kind)  # 128 bits of AVX: the ends of folds


def kind_arm(name: str, operands: str) -> tuple[str, str] | None:
    lanes = re.match(r"v\d+\.(4s|2d)\b", operands)
    if lanes is None or name not in {"fmla", "fadd", "fsub", "fmul"}:
        return None
    # The compiler makes vectors of plain Rust too, which never fuses.
    if name == "fmla":
        return "neon", "fused"
    return "scalar", {"4s": "float", "2d": "double"}[lanes.group(1)]


def said(tool: str, *arguments: object) -> str:
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"needs {tool}, of binutils")
    command = [found, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="reads ELF files")
def test_the_wheel_holds_every_simd_path(wheel, tmp_path):
    expected = {
        "x86_64": {
            "scalar": ("float", "double"),
            "avx2": ("float", "double", "fused"),
            "avx512": ("float", "double", "fused"),
        },
        "aarch64": {"scalar": ("float", "double"), "neon": ("fused",)},
    }.get(platform.machine())
    if expected is None:
        pytest.skip(f"{platform.machine()} has the scalar path only")
    with zipfile.ZipFile(wheel) as archive:
        (module,) = [name for name in archive.namelist() if name.endswith(".so")]
        binary = archive.extract(module, tmp_path)
    counts = count(
        said("readelf", "--wide", "--debug-dump=frames", binary),
        said("objdump", "--disassemble", "--no-show-raw-insn", binary),
    )
    few = {
        (path, kind): counts[path][kind]
        for path, kinds in expected.items()
        for kind in kinds
        if counts[path][kind] < LEAST[kind]
    }
    assert not few, f"too few functions of a path: {few}; all: {dict(counts)}"


FRAMES = "\n".join(f"FDE cie=00000000 pc={start:016x}..{start + 16:016x}" for start in (0x100, 0x200, 0x300))


def listed(*instructions: tuple[int, str, str]) -> str:
    return "\n".join(f"  {address:x}:\t{name:6} {operands}" for address, name, operands in instructions)


def test_narrow_ends_of_a_wide_function_do_not_stand_for_the_narrow_path():
    wide = [(0x100, "vfmadd231ps", "%zmm1,%zmm2,%zmm3"), (0x108, "vaddpd", "%ymm1,%ymm2,%ymm3")]
    assert count(FRAMES, listed(*wide)) == {"avx512": {"fused": 1}}
    both = [*wide, (0x200, "vmulpd", "%ymm1,%ymm2,%ymm3"), (0x20A, "vaddpd", "%xmm1,%xmm2,%xmm3")]
    assert count(FRAMES, listed(*both)) == {"avx512": {"fused": 1}, "avx2": {"double": 1}}


def test_plain_and_arm_arithmetic_are_told_apart():
    plain = [
        (0x100, "mulps", "%xmm1,%xmm2"),
        (0x108, "addpd", "%xmm1,%xmm2"),
        (0x30A, "addss", "%xmm1,%xmm2"),
    ]
    assert count(FRAMES, listed(*plain)) == {"scalar": {"float": 1, "double": 1}}
    arm = [
        (0x100, "fmla", "v0.4s, v1.4s, v2.s[0]"),
        (0x200, "fadd", "v0.2d, v1.2d, v2.2d"),
        (0x204, "add", "x0, x1"),
    ]
    assert count(FRAMES, listed(*arm)) == {"neon": {"fused": 1}, "scalar": {"double": 1}}
