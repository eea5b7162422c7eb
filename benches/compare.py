"""Time the kernels against their peers, turn by turn in one process, and print one table.

    python benches/compare.py [--quick] [--output bench-output] [--repeat 5] [--only nearest,coreset]

Each round runs ours, then the peer (A, B, A, B, …); the ratio is of medians, the spread is the lowest and
highest ratio of a round. Peers that are not installed are named as missing. Features: see `features.py`.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from cases import CASES, Setting
from timing import Row, measure

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
    note = f"{row.low:.1f} to {row.high:.1f}, {row.rounds} rounds"
    return (
        head + f"| {seconds(row.ours)} | {seconds(row.theirs)} | **{row.ratio:.1f}×** | {note} | "
        f"{row.note}{' **we lose**' if row.ratio < 1 else ''} |"
    )


def seconds(value: float) -> str:
    return f"{value * 1e3:.1f} ms" if value < 1 else f"{value:.2f} s"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes: does everything run?")
    parser.add_argument(
        "--output", type=Path, default=Path("bench-output"), help="folder of results and features"
    )
    parser.add_argument("--repeat", type=int, default=5, help="rounds of a case whose round is short")
    parser.add_argument("--only", default="", help="comma-separated parts of case names to run")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    from pni_fast import _core

    threads = _core.num_threads()
    setting = Setting(quick=options.quick, output=options.output, threads=threads)
    facts = machine(threads)
    print(f"{facts['cpu']}, {threads} threads, SIMD {facts['simd']}, load {facts['load_at_start']}")
    print("| kernel | size | peer | ours | peer's | ratio | spread | note |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    chosen = [part for part in options.only.split(",") if part]
    rows: list[Row] = []
    for name, make in CASES.items():
        if chosen and not any(part in name for part in chosen):
            continue
        for case in make(setting):
            rows.append(measure(case, options.repeat))
            print(line(rows[-1]), flush=True)
    losses = [row for row in rows if row.missing is None and row.ratio < 1]
    print(
        "\nWe lose: "
        + ("; ".join(f"{r.kernel} {r.size} to {r.peer} ({r.ratio:.2f}×)" for r in losses) or "nowhere")
    )
    wrong = [row for row in rows if row.agrees is False]
    for row in wrong:
        print(f"Different answers: {row.kernel} {row.size} and {row.peer}, which is exact")
    result = options.output / ("compare-quick.json" if options.quick else "compare.json")
    result.write_text(json.dumps({"machine": facts, "rows": [row.as_dict() for row in rows]}, indent=1))
    print(f"Written: {result}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
