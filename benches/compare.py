"""Time the kernels against their peers, turn by turn in one process, and print one table.

    python benches/compare.py [--quick] [--output bench-output] [--repeat 5] [--only nearest,coreset]

Each round runs ours, then the peer (A, B, A, B, …); the ratio is of medians, the spread is the lowest and
highest ratio of a round. A case has a budget of time: a peer that takes long is run once, and the table says
so. Peers that are not installed are named as missing. Features: see `features.py`. Results are written after
every case, so that a run cut short keeps what it has.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("TQDM_DISABLE", "1")  # anomalib draws a bar into the table otherwise

import scoring
import selection
from common import Setting
from growth import Growth, growth
from timing import ROUND, Case, Row, measure

CASES: dict[str, Callable[[Setting], Iterator[Case]]] = {
    "nearest": scoring.search,
    "likelihood": scoring.likelihood,
    "histogram": scoring.histogram,
    "cloud": selection.cloud,
    "coreset": selection.coreset,
}
GROWTH = "growth"
PEERS = ("anomalib", "faiss-cpu", "fpsample", "scikit-learn", "torch", "numpy")


def machine(threads: int) -> dict[str, object]:
    from pni_fast import _core

    versions: dict[str, str | None] = {}
    for name in ("pni-fast", *PEERS):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = names[0].split(":", 1)[1].strip() if names else name
    load = os.getloadavg() if hasattr(os, "getloadavg") else None
    return {
        "cpu": name,
        "threads": threads,
        "simd": _core.simd_level(),
        "python": platform.python_version(),
        "versions": versions,
        "load_at_start": load,
    }


def line(row: Row) -> str:
    head = f"| {row.kernel} | {row.size} | {row.peer} "
    if row.missing is not None:
        return head + f"| | | missing: {row.missing} | | |"
    spread = f"{row.low:.1f} to {row.high:.1f}, {row.rounds} rounds" if row.rounds > 1 else "run once (n = 1)"
    notes = [row.note] if row.note else []
    if row.share is not None:
        notes.append(f"answers equal: {'all' if row.share == 1 else f'{row.share:.3%}'}")
    if row.ratio < 1:
        notes.append("**we lose**")
    return (
        head + f"| {seconds(row.ours)} | {seconds(row.theirs)} | **{row.ratio:.1f}×** | {spread} | "
        f"{'; '.join(notes)} |"
    )


def seconds(value: float) -> str:
    return f"{value * 1e3:.1f} ms" if value < 1 else f"{value:.2f} s"


def verdict(rows: list[Row]) -> str:
    """Say where we lose, and where answers differ from an exact peer's."""
    losses = [
        f"{row.kernel} {row.size} to {row.peer} ({row.ratio:.2f}×)"
        for row in rows
        if row.missing is None and row.ratio < 1
    ]
    wrong = [f"{row.kernel} {row.size} and {row.peer}, which is exact" for row in rows if row.wrong]
    return "\n".join(
        [f"We lose: {'; '.join(losses) or 'nowhere'}", *(f"Different answers: {text}" for text in wrong)]
    )


def write(path: Path, facts: dict[str, object], rows: list[Row], grown: Growth | None) -> None:
    record = {
        "machine": facts,
        "rows": [row.as_dict() for row in rows],
        "growth": None if grown is None else grown.as_dict(),
    }
    part = path.with_suffix(".part")
    part.write_text(json.dumps(record, indent=1))
    part.replace(path)


def parse(arguments: list[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Return the options and the names chosen with `--only`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes: does everything run?")
    parser.add_argument(
        "--output", type=Path, default=Path("bench-output"), help="folder of results and features"
    )
    parser.add_argument("--repeat", type=int, default=5, help="rounds of a case whose round is short")
    names = (*CASES, GROWTH)
    parser.add_argument("--only", default="", help=f"comma-separated, of {', '.join(names)}")
    options = parser.parse_args(arguments)
    chosen = [part for part in options.only.split(",") if part] or list(names)
    unknown = sorted(set(chosen) - set(names))
    if unknown:
        parser.error(f"--only: must be of {', '.join(names)}, got {', '.join(unknown)}")
    if options.repeat < 1:
        parser.error(f"--repeat: must be at least 1, got {options.repeat}")
    return options, chosen


def main(arguments: list[str] | None = None) -> int:
    options, chosen = parse(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    from pni_fast import _core

    threads = _core.num_threads()
    setting = Setting(quick=options.quick, output=options.output, threads=threads)
    facts = machine(threads)
    result = options.output / ("compare-quick.json" if options.quick else "compare.json")
    print(f"{facts['cpu']}, {threads} threads, SIMD {facts['simd']}, load {facts['load_at_start']}")
    print("| kernel | size | peer | ours | peer's | ratio | spread | note |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    rows: list[Row] = []
    for name, make in CASES.items():
        for case in make(setting) if name in chosen else ():
            rows.append(measure(case, options.repeat, seconds=0.0 if options.quick else ROUND))
            print(line(rows[-1]), flush=True)
            write(result, facts, rows, None)
    grown = growth(setting, min(3, options.repeat)) if GROWTH in chosen else None
    write(result, facts, rows, grown)
    print()
    if grown is not None:
        print(grown)
    print(verdict(rows))
    print(f"Written: {result}")
    return 1 if any(row.wrong for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
