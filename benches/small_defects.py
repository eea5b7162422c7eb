"""Small defects by size: which inspected size sees them, and what it costs.

    python benches/small_defects.py CATEGORY [--sizes 480,auto,960,1440] [--threads 2] [--output bench-output]

CATEGORY is in MVTec layout. Each of its good test pictures gets spots of 4, 8 and 16 pixels of its own
resolution, soft at their edge, darker or brighter than what they lie on by 80 of 255, one to a copy,
anywhere on the picture (seeded). For each inspected size a model is fitted, and printed are: image AUROC of
the copies against the untouched pictures, the share of copies whose map is highest within 16 pixels of the
spot, seconds of the fit and of an image's score, and peak memory of each. Every size is fitted and scored in
processes of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DIAMETERS = (4, 8, 16)
CONTRAST = 80
COPIES = 3
NEAR = 16
"""Pixels of the photograph: what a person would call the place of the spot."""


def spotted(image: NDArray[np.uint8], diameter: int, random: np.random.Generator) -> tuple[Any, int, int]:
    """Return a copy (h, w, 3) with a spot, and the spot's row and column."""
    height, width, _ = image.shape
    row, column = int(random.integers(height)), int(random.integers(width))
    away = np.hypot(*np.ogrid[-row : height - row, -column : width - column])
    inside = np.clip(diameter / 2 + 0.5 - away, 0, 1)[..., None]
    sign = 1 if image[row, column].mean() < 128 else -1
    changed = np.clip(image + sign * CONTRAST * inside, 0, 255)
    return changed.astype(np.uint8), row, column


def action(kind: str, size: str, data: Path, model: Path, threads: int) -> dict[str, Any]:
    """Fit, or score the spots, in this process; return what the table needs."""
    from pni_fast import PNI

    began = time.perf_counter()
    if kind == "fit":
        PNI(size=size, device="cpu", num_threads=threads).fit(data).save(model)
        return {"seconds": time.perf_counter() - began, "peak": peak()}
    fitted = PNI.load(model, device="cpu", num_threads=threads)
    files = sorted((data / "test" / "good").iterdir())
    pictures = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    began = time.perf_counter()
    good = np.array([found.score for found in fitted.predict(pictures)])
    result: dict[str, Any] = {"score": (time.perf_counter() - began) / len(good), "peak": peak()}
    for diameter in DIAMETERS:
        random = np.random.default_rng(diameter)
        made = [spotted(picture, diameter, random) for picture in pictures for _ in range(COPIES)]
        scores, near = [], 0
        for found, (copy, row, column) in zip(fitted.predict([one[0] for one in made]), made, strict=True):
            scores.append(found.score)
            place = np.unravel_index(int(found.anomaly_map.argmax()), found.anomaly_map.shape)
            scale = np.array(copy.shape[:2]) / found.anomaly_map.shape
            near += bool(np.hypot(*((np.array(place) + 0.5) * scale - (row, column))) <= NEAR + diameter / 2)
        against = np.array(scores)[:, None] - good[None]
        auroc = float((against > 0).mean() + (against == 0).mean() / 2)
        result[str(diameter)] = [auroc, near / len(made)]
    return result


def peak() -> float:
    """Return the peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--sizes", default="480,auto,960,1440")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("bench-output"))
    parser.add_argument("--action", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.action:
        kind, size, model = chosen.action
        print(json.dumps(action(kind, size, chosen.data, Path(model), chosen.threads)))
        return
    chosen.output.mkdir(parents=True, exist_ok=True)
    print("| size | " + " | ".join(f"{d} px: AUROC, in place" for d in DIAMETERS) + " | fit | an image |")
    print("| --- " * (len(DIAMETERS) + 3) + "|")
    for size in chosen.sizes.split(","):
        model = chosen.output / f"small-defects-{size}.safetensors"
        fit, score = (
            json.loads(
                subprocess.run(
                    [
                        *(sys.executable, __file__, chosen.data, "--threads", str(chosen.threads)),
                        *("--action", kind, size, model),
                    ],
                    env=dict(os.environ),
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout.splitlines()[-1]
            )
            for kind in ("fit", "score")
        )
        seen = " | ".join("{:.3f}, {:.0%}".format(*score[str(diameter)]) for diameter in DIAMETERS)
        fitted = f"{fit['seconds']:.0f} s, {fit['peak']:.0f} MB"
        scored = f"{score['score'] * 1e3:.0f} ms, {score['peak']:.0f} MB"
        print(f"| {size} | {seen} | {fitted} | {scored} |", flush=True)


if __name__ == "__main__":
    main()
