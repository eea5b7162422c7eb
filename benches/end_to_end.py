"""Whole ways, beside a peer: fit, a score in a running process, and process start to the first score.

    python benches/end_to_end.py [--data CATEGORY] [--rounds 5] [--output bench-output] [--only …]

Sides take turns within a round; the table has medians and, for the ratio to the first side, the lowest and
the highest of a round. Every side has the same images in MVTec layout, the same backbone (EfficientNet-Lite0
with its embedded weights, levels at strides 8 and 16, 480 pixels, a coreset of 1 %) and two threads. What is
timed: `fit` from the start of the process to the model on disk; `score` by image over the test images, in a
process that has scored them once, all at once (a folder) and one by one (a belt); `start` from the start of
the process to the score of one image. anomalib's exports are made once, outside the clock; its fit is run
once. Peak memory is that of the process. A side whose packages are missing is named so.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
OURS = ("openvino", "onnxruntime", "torch")
SIDES = {
    **{f"pni-fast, {engine}": ("end_to_end_ours.py", engine) for engine in OURS},
    **{f"anomalib, {kind}": ("end_to_end_anomalib.py", kind) for kind in ("torch", "openvino", "onnx")},
}
ONCE = ("anomalib, torch",)
"""Sides whose fit takes minutes: it is run in the first round alone."""

EXPORTED = ("anomalib, openvino", "anomalib, onnx")
"""Sides whose models come with the fit of another, which therefore stands before them."""

ACTIONS = ("fit", "score", "start")


@dataclass
class Cell:
    """What one side took for one action, by round."""

    seconds: list[float] = field(default_factory=list)
    single: list[float] = field(default_factory=list)
    peak: float = 0.0
    missing: str = ""


def run(script: str, kind: str, action: str, data: Path, model: Path, threads: int) -> dict[str, float]:
    """Run a worker; return what it prints, and the seconds of its process.

    Raises
    ------
    RuntimeError
        It failed; with its last line.
    """
    environment = os.environ | {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    environment["PYTHONHASHSEED"] = "0"  # anomalib names the outputs of an ONNX file by the order of a set
    command = [sys.executable, HERE / script, kind, action, data, model, str(threads)]
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    printed: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return {"process": seconds} | printed


def measured(
    sides: list[str], data: Path, output: Path, rounds: int, threads: int
) -> dict[str, dict[str, Cell]]:
    """Return every side's cells, by action."""
    table = {side: {action: Cell() for action in ACTIONS} for side in sides}
    for number in range(rounds):
        for action in ACTIONS:
            for side in sides:
                script, kind = SIDES[side]
                cell = table[side][action]
                if cell.missing or (action == "fit" and side in ONCE and number):
                    continue
                if action == "fit" and side in EXPORTED:
                    continue
                model = output / f"end-to-end-{side.replace(', ', '-')}"
                try:
                    found = run(script, kind, action, data, model, threads)
                except RuntimeError as error:
                    for other in table[side].values():
                        other.missing = str(error)[:200]
                    continue
                cell.seconds.append(found.get("seconds", found["process"]))
                cell.single.append(found.get("single", 0.0))
                cell.peak = max(cell.peak, found["peak"])
                print(f"round {number + 1} {action} {side}: {cell.seconds[-1]:.3f} s", file=sys.stderr)
    return table


def lines(table: dict[str, dict[str, Cell]]) -> list[str]:
    """Return the table in Markdown."""
    sides = list(table)
    first = table[sides[0]]
    head = (
        "| side | fit | a folder, an image | one by one, an image | start to one score | memory: fit, score |"
    )
    rows = [head, "| --- | --- | --- | --- | --- | --- |"]
    for side in sides:
        cells = table[side]
        if any(cell.missing for cell in cells.values()):
            rows.append(
                f"| {side} | missing: {next(c.missing for c in cells.values() if c.missing)} | | | | |"
            )
            continue
        fit, score, start = (told(cells[action].seconds, first[action].seconds) for action in ACTIONS)
        single = told(cells["score"].single, first["score"].single)
        peaks = ", ".join(f"{cells[action].peak:.0f} MB" for action in ("fit", "score"))
        rows.append(f"| {side} | {fit} | {score} | {single} | {start} | {peaks} |")
    return rows


def told(mine: list[float], first: list[float]) -> str:
    """Return a median, and how many times the first side's it is, with the spread over rounds."""
    if not mine:
        return ""
    middle = statistics.median(mine)
    text = f"{middle * 1e3:.1f} ms" if middle < 1 else f"{middle:.2f} s"
    if mine is first:
        return text
    ratios = [a / b for a, b in zip(mine, first, strict=False)]
    return f"{text} ({middle / statistics.median(first):.1f}×, {min(ratios):.1f} to {max(ratios):.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="category in MVTec layout; else the demo's photographs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("bench-output"))
    parser.add_argument("--only", default="", help=f"sides, separated by semicolons, of {'; '.join(SIDES)}")
    chosen = parser.parse_args()
    sides = [side.strip() for side in chosen.only.split(";") if side.strip()] or list(SIDES)
    chosen.output.mkdir(parents=True, exist_ok=True)
    data = chosen.data or made(chosen.output / "end-to-end-data")
    table = measured(sides, data, chosen.output, chosen.rounds, chosen.threads)
    print("\n".join(lines(table)))
    record = {side: {action: vars(cell) for action, cell in cells.items()} for side, cells in table.items()}
    (chosen.output / "end-to-end.json").write_text(json.dumps(record, indent=1))


def made(folder: Path) -> Path:
    """Return a category made of the demo's photographs."""
    from pni_fast.demo import build_demo_set

    return build_demo_set(folder)


if __name__ == "__main__":
    main()
