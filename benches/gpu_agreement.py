"""How far a GPU's scores are from a CPU's: the same images, fitted and scored on each, by every precision.

    python benches/gpu_agreement.py CATEGORY [--preset lite] [--weights FILE] [--set NAME=VALUE]

CATEGORY is in MVTec layout. What is fitted and scored on the CPU by torch is what the others are held
against: differences are shares of the range of its scores (of its maps, for maps). Each fit is made twice.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pni_fast import PNI
from sklearn.metrics import roc_auc_score

HEAD = (
    "fitted on",
    "scored on",
    "score, largest",
    "median",
    "map, largest",
    "verdicts changed",
    "image AUROC",
    "images/s",
)


class Scored(NamedTuple):
    """What a model says of the test images, and how fast."""

    scores: NDArray[Any]
    maps: NDArray[Any]
    verdicts: NDArray[Any]
    rate: float


def scored(model: Any, images: list[Path]) -> Scored:
    list(model.predict(images[:8]))
    began = time.perf_counter()
    found = list(model.predict(images))
    rate = len(found) / (time.perf_counter() - began)
    scores, verdicts = np.array([one.score for one in found]), np.array([one.is_defective for one in found])
    return Scored(scores, np.stack([one.anomaly_map for one in found]), verdicts, rate)


def row(found: Scored, reference: Scored, bad: list[bool]) -> tuple[str, ...]:
    far = np.abs(found.scores - reference.scores) / np.ptp(reference.scores)
    maps = np.abs(found.maps - reference.maps).max() / np.ptp(reference.maps)
    changed = int((found.verdicts != reference.verdicts).sum())
    return (
        f"{far.max():.1e}", f"{np.median(far):.1e}", f"{maps:.1e}", f"{changed} of {len(bad)}",
        f"{roc_auc_score(bad, found.scores):.4f}", f"{found.rate:.1f}",
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("category", type=Path)
    parser.add_argument("--preset", default="lite")
    parser.add_argument("--backbone")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--gpu", default="cuda", help="the device held against the CPU")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting")
    options = parser.parse_args(arguments)
    if options.gpu.startswith("cuda") and not torch.cuda.is_available():
        parser.error("torch sees no CUDA GPU")
    settings = dict(text.split("=", 1) for text in options.set)
    made = {"backbone": options.backbone, "weights": options.weights}
    test = sorted((options.category / "test").glob("*/*.*"))
    bad = [path.parent.name != "good" for path in test]
    ways = {"CPU": {"device": "cpu", "engine": "torch"}}
    ways |= {f"GPU {name}": {"device": options.gpu, "precision": name} for name in ("fp32", "auto", "bf16")}
    print(f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}", flush=True)
    reference: Scored | None = None
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{name}.safetensors" for name in ("one", "two")]
        for fitted in ("CPU", "GPU auto"):
            seconds = []
            for file in files:
                began = time.perf_counter()
                model = PNI(options.preset, **made, **ways[fitted], **settings).fit(options.category)
                model.save(file)
                seconds.append(time.perf_counter() - began)
            same = "the same file" if files[0].read_bytes() == files[1].read_bytes() else "ANOTHER FILE"
            for name, way in ways.items():
                found = scored(PNI.load(files[0], **way), test)
                reference = reference or found
                print(f"| {' | '.join((fitted, name, *row(found, reference, bad)))} |", flush=True)
            print(
                f"(fitted on {fitted} in {seconds[0]:.1f} s, then in {seconds[1]:.1f} s: {same})", flush=True
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
