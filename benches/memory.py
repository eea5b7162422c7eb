"""Show that `pni-fast coreset` works on a file larger than the memory it may use.

    python benches/memory.py [--rows 600000] [--columns 1024] [--dtype float32] [--share 0.002]

Writes a .npy file of that shape (real `lite` features of the benches' category, spread over the columns and
repeated with noise), runs the command on it under a limit on anonymous memory (RLIMIT_DATA: private writable
memory; mapped files are free), and compares the picks with those found in memory without a limit. Linux only.
The limit is what the command needs for a file of a few rows, plus 320 bytes a point, the picked centres and
64 MiB of fixed buffers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))

PER_POINT = 320
"""Bytes of anonymous memory a point may cost."""
BUFFERS = 64 << 20
"""Bytes of buffers whose size does not depend on the file."""
FEW = 64
"""Rows of the file that tells what the command needs by itself."""


@dataclass(frozen=True)
class Peak:
    """The most a process held, in bytes: anonymous, of files, and private writable address space."""

    anonymous: int
    file: int
    data: int
    seconds: float


def watched(command: list[str], limit: int | None = None) -> Peak:
    """Run a command, under a limit (bytes) on private writable memory; look at it every few milliseconds.

    Raises
    ------
    RuntimeError
        The command failed; with what it said.
    """

    if limit is not None:
        command = ["sh", "-c", 'ulimit -d "$0" && exec "$@"', str(limit >> 10), *command]
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    most = {"RssAnon": 0, "RssFile": 0, "VmData": 0}
    status = Path(f"/proc/{child.pid}/status")
    while child.poll() is None:
        for line in status.read_text().splitlines():
            name, _, value = line.partition(":")
            if name in most:
                most[name] = max(most[name], int(value.split()[0]) << 10)
        time.sleep(0.005)
    said = child.communicate()[0]
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit {child.returncode}: {said.strip()}")
    return Peak(most["RssAnon"], most["RssFile"], most["VmData"], time.perf_counter() - began)


def command(features: Path, picks: int, indices: Path) -> list[str]:
    """Return the command that selects from a file, with two threads."""
    return [
        *(sys.executable, "-m", "pni_fast.cli", "coreset", str(features), "--quiet"),
        *("--size", str(picks), "--threads", "2", "--output", str(indices)),
    ]


def allowance(folder: Path, rows: int, columns: int, picks: int, buffers: int = BUFFERS) -> tuple[Peak, int]:
    """Return what the command needs by itself, and the limit for a file of `rows` × `columns`."""
    small = folder / "few.npy"
    np.save(small, np.arange(FEW * columns, dtype=np.float32).reshape(FEW, columns))
    alone = watched(command(small, 1, folder / "few-picks.npy"))
    return alone, alone.data + PER_POINT * rows + picks * columns * 4 + buffers


def write_points(
    path: Path, source: NDArray[np.float32], rows: int, columns: int, dtype: str, seed: int = 0
) -> None:
    """Write `rows` × `columns`: rows of `source` through a random map, each repeat with noise of its own."""
    rng = np.random.default_rng(seed)
    spread = rng.normal(size=(source.shape[1], columns)).astype(np.float32) / np.sqrt(columns)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=(rows, columns))
    step = 20_000
    for start in range(0, rows, step):
        taken = source[np.arange(start, min(start + step, rows)) % len(source)]
        noise = rng.normal(scale=0.01 * float(taken.std()), size=(len(taken), columns))
        out[start : start + step] = taken @ spread + noise
    out.flush()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=600_000)
    parser.add_argument("--columns", type=int, default=1024)
    parser.add_argument("--dtype", choices=["float16", "float32"], default="float32")
    parser.add_argument("--share", type=float, default=0.002, help="share of the rows to pick")
    parser.add_argument("--output", type=Path, default=Path("bench-output"))
    options = parser.parse_args(arguments)
    from features import grids

    options.output.mkdir(parents=True, exist_ok=True)
    name, source = grids("lite", "train", options.output)
    rows, columns, picks = options.rows, options.columns, max(1, round(options.rows * options.share))
    path = options.output / "larger-than-memory.npy"
    try:
        write_points(path, source.reshape(-1, source.shape[-1]), rows, columns, options.dtype)
        alone, limit = allowance(options.output, rows, columns, picks)
        confined = watched(command(path, picks, options.output / "confined.npy"), limit)
        from pni_fast import greedy_coreset

        same = np.array_equal(
            np.load(options.output / "confined.npy"),
            greedy_coreset(np.load(path), picks, num_threads=2).indices,
        )
        size = path.stat().st_size
    finally:
        for left in (path, *(options.output / f"{stem}.npy" for stem in ("few", "few-picks", "confined"))):
            left.unlink(missing_ok=True)
    per_point = (confined.anonymous - alone.anonymous - picks * columns * 4) / rows
    mib = 1 << 20
    print(
        f"{name} lite, spread: {rows:,}×{columns} {options.dtype}, {size / mib:,.0f} MiB, {picks:,} picks\n"
        f"limit on anonymous memory (RLIMIT_DATA): {limit / mib:,.0f} MiB; "
        f"the file is {size / limit:.1f} times that\n"
        f"the command alone: RssAnon {alone.anonymous / mib:,.0f} MiB\n"
        f"peak RssAnon {confined.anonymous / mib:,.0f} MiB, RssFile {confined.file / mib:,.0f} MiB, "
        f"{confined.seconds:.1f} s\n"
        f"extra anonymous memory: {per_point:.0f} bytes a point beside picked centres, with fixed buffers "
        f"(at most {PER_POINT} and {BUFFERS / mib:.0f} MiB of buffers)\n"
        f"picks equal those found in memory without a limit: {'yes' if same else 'NO'}"
    )
    record = {
        **{"rows": rows, "columns": columns, "dtype": options.dtype, "picks": picks, "file": size},
        **{"limit": limit, "alone": asdict(alone), "confined": asdict(confined)},
        **{"bytes_per_point": per_point, "same_picks": same},
    }
    result = options.output / "memory.json"
    part = result.with_suffix(".part")
    part.write_text(json.dumps(record, indent=1))
    part.replace(result)
    return 0 if same and per_point * rows <= PER_POINT * rows + BUFFERS else 1


if __name__ == "__main__":
    raise SystemExit(main())
