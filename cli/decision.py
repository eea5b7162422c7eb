"""What is said of a model's threshold, and of the verdicts of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pni_fast.model.pni import PNI

NONE = (
    "The model has no threshold, so no image is called good or defective. Give it one: pni-fast threshold "
    "MODEL --calibrate GOOD_IMAGES -o MODEL2 (or --at SCORE), or fit it again"
)
SHOWN = 5
"""Suspects named on the command line."""


def described_decision(model: PNI) -> list[str]:
    """Return the threshold, what it cannot promise, and images that look like defects, a line each."""
    decision = model.decision_
    if decision is None or decision.threshold is None:
        return [f"{NONE}."]
    lines = [f"Threshold {decision.words}."]
    if decision.shortage is not None:
        lines.append(f"{decision.shortage}.")
    named = [suspect.name for suspect in decision.suspects]
    if named:
        looks = "image looks like a defect" if len(named) == 1 else "images look like defects"
        makes = "makes" if len(named) == 1 else "make"
        lines.append(
            f"{len(named)} {looks} among the good and {makes} the threshold higher: {listed(named)}. "
            "See them with --suspects DIR, leave them out with --drop-suspects N."
        )
    return lines


def counted_verdicts(defective: int, images: int) -> str:
    """Return how many images are good and defective, in words."""
    return f"{defective} defective, {images - defective} good"


def listed(names: Sequence[str], most: int = SHOWN) -> str:
    """Return some names as a line has them."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
