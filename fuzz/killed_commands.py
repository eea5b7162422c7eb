"""The commands that are killed: what they read, and the arguments of an older run and of a new one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ended_runs import prepare, run
from PIL import Image

COMMANDS = ("fit", "checkpoint", "score", "evaluate", "synthesize")
"""``checkpoint`` is ``fit --refine --checkpoint``."""


BACKBONE = "ghostnet_050"
"""A small one: its model has a tenth of a megabyte."""


@dataclass(frozen=True)
class Case:
    """A command, the arguments of the older run and of the new one, and what it writes.

    `table` vouches for the other files; `own` is a file that goes with a run and may stay after a kill.
    """

    name: str
    older: list[str]
    newer: list[str]
    table: str | None = None
    own: str | None = None


def pictures(folder: Path, first: int, rng: np.random.Generator, spot: bool = False) -> Path:
    """Write three small pictures, numbered from `first`, and the masks of those with a spot."""
    folder.mkdir(parents=True)
    for number in range(first, first + 3):
        pixels = rng.normal(120, 12, (96, 96, 3)).clip(0, 255).astype(np.uint8)
        if spot:
            pixels[30:60, 30:60] = (250, 40, 40)
            truth = folder.parent.parent / "ground_truth" / folder.name
            truth.mkdir(parents=True, exist_ok=True)
            mask = np.zeros((96, 96), np.uint8)
            mask[30:60, 30:60] = 255
            Image.fromarray(mask).save(truth / f"{number:03}_mask.png")
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    return folder


def cases(work: Path, seed: int, *, models: bool) -> dict[str, Case]:
    """Make pictures, and models unless they are not needed, and return the commands.

    Each differs from its older run in every file it writes.
    """
    rng = np.random.default_rng(seed)
    before = pictures(work / "before", 0, rng)
    after = pictures(work / "after", 1, rng)
    category = work / "category"
    pictures(category / "train" / "good", 0, rng)
    pictures(category / "test" / "good", 0, rng)
    pictures(category / "test" / "spot", 0, rng, spot=True)
    weights = str(work / "weights.pth")
    quiet = ["--quiet", "--device", "cpu", "--threads", "1"]
    small = [*quiet, "--backbone", BACKBONE, "--weights", weights, "--set", "resize=80"]
    small += ["--set", "crop=64", "--coreset-ratio", "0.1", "--no-neighborhood"]
    refined = ["--refine", "--refiner-weights", weights, "--refine-iterations", "2"]
    settings = (f"encoder={BACKBONE}", "levels=0,1", "widths=8,8", "side=32", "bank=4", "batch=2")
    for text in (*settings, "checkpoint_every=1"):
        refined += ["--set", f"refiner.{text}"]
    place = ["-o", str(work / "place")]
    model = ["-o", str(work / "place" / "latest.safetensors")]
    fits = [["fit", str(folder), *small] for folder in (before, after)]
    files = [str(work / f"{folder.name}.safetensors") for folder in (before, after)]
    prepare(networks=models)
    if models:
        untrained_weights(weights, seed)
        for arguments, target in zip(fits, files, strict=True):
            status, _, said = run([*arguments, "-o", target], work / "place")
            if status:
                raise SystemExit(f"a fit ended with status {status}: {said}")
    maps = ["--maps", "--overlays", *place, *quiet]
    made = ["-q", "--textures", str(before), *place, "--count"]
    checkpoint = ["--checkpoint", str(work / "place" / "training")]
    scores = [["score", files[0], str(before), *maps], ["score", files[1], str(after), *maps]]
    reports = [["evaluate", file, str(category), *place, *quiet] for file in files]
    older_set = ["synthesize", str(before), *made, "4", "--seed", "1"]
    newer_set = ["synthesize", str(after), *made, "3", "--seed", "2"]
    every = (
        Case("fit", [*fits[0], *model], [*fits[1], *model]),
        Case("checkpoint", [*fits[0], *model], [*fits[1], *refined, *checkpoint, *model], None, "training"),
        Case("score", *scores, "scores.csv"),
        Case("evaluate", *reports, "metrics.json"),
        Case("synthesize", older_set, newer_set, "contact_sheet.png"),
    )
    return {case.name: case for case in every}


def untrained_weights(target: str, seed: int) -> None:
    """Write weights that no hub was asked for, and ask timm once for what a child would ask it again."""
    import timm
    import torch
    from pni_fast.features.backbones import build_backbone

    torch.manual_seed(seed)
    build_backbone(BACKBONE, outline=True)
    torch.save(timm.create_model(BACKBONE).state_dict(), target)
