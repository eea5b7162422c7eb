"""The page of images that look like defects among the good."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pni_fast.decision import Decision
from pni_fast.runtime.files import atomic_path

from .cards import Card, pictures, section
from .page import begin, end, header

if TYPE_CHECKING:
    from pni_fast.model.prediction import Prediction


def write_suspects(
    suspects: Sequence[Prediction], path: Path, decision: Decision | None, colours: tuple[float, float]
) -> None:
    """Write the page, whole or not at all.

    Parameters
    ----------
    suspects
        As :attr:`pni_fast.PNI.suspects_` has them.
    path
        The file.
    decision
        Of the model: the scores of all images left out.
    colours
        Map values where colour sets in and where it is full.

    Raises
    ------
    PniError
        It cannot be written.
    """
    scores = np.zeros(0) if decision is None else decision.scores
    names = {suspect.name for suspect in suspects}
    verdict = (
        f'<span class="alert">{len(names)} of {len(scores)} images look like defects among the good.</span>'
        if names
        else f"None of {len(scores)} images looks like a defect among the good."
    )
    notes = []
    if names:
        others = scores[: len(scores) - len(names)]
        usual = f"; the others reach {others[-1]:.4g} at most" if len(others) else ""
        notes.append(
            "Each was scored by the model without it. If it is defective, leave it out with --drop-suspects; "
            f"if it is good, keep it: the model needs to know it{usual}."
        )
    cards = [
        Card(
            one.name,
            one.score,
            True,
            "suspect",
            ("left out of the fit", f"{one.score:.4g}"),
            pictures(one.image, one.anomaly_map, colours),
        )
        for one in suspects
    ]
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", errors="replace") as page:
        page.write(begin("Suspects · pni-fast"))
        page.write(header("Images of the fit", "Suspects", verdict, notes))
        page.write(section("Suspects", "the highest score first", cards))
        page.write(end("An image is named where good images score as high in one set of a hundred."))
