"""The page of two models: images whose verdict changes, the largest change first."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from pni_fast.config.choices import VERDICTS
from pni_fast.decision import Decision
from pni_fast.runtime.files import atomic_path

from .cards import MOST_DEFECTIVE, Card, Few, pictures, section
from .heatmap import colour_scale
from .page import begin, end, header

if TYPE_CHECKING:
    from pni_fast.model.prediction import Prediction


class Comparison:
    """Collects verdicts of two models as they come.

    Parameters
    ----------
    names
        Of the two models.
    decisions
        Theirs, both with a threshold.

    Attributes
    ----------
    changed : list
        Name, both scores and both verdicts of every image whose verdict changes, the largest change first: of
        how far its score lies above the threshold, as a share of it.
    """

    def __init__(self, names: tuple[str, str], decisions: Sequence[Decision | None]) -> None:
        self.names = names
        self.decisions = [decision or Decision() for decision in decisions]
        self.images = 0
        self._found: list[tuple[float, str, tuple[float, float], tuple[bool, bool]]] = []
        self._cards = Few(MOST_DEFECTIVE)

    @property
    def changed(self) -> list[tuple[str, tuple[float, float], tuple[bool, bool]]]:
        """Name, scores and verdicts of the images whose verdict changes."""
        return [row[1:] for row in sorted(self._found, key=lambda row: (-row[0], row[1]))]

    def add(
        self, name: str, first: Prediction, second: Prediction, ranges: Sequence[tuple[float, float]]
    ) -> None:
        """Add one image; `ranges` are those of both models' maps of normal images."""
        self.images += 1
        told = bool(first.is_defective), bool(second.is_defective)
        if told[0] == told[1]:
            return
        away = [self._above(number, one.score) for number, one in enumerate((first, second))]
        far, scores = abs(away[1] - away[0]), (first.score, second.score)
        self._found.append((far, name, scores, told))
        if self._cards.takes(far):
            _, own = pictures(first.image, first.anomaly_map, colour_scale(ranges[0]))
            photo, other = pictures(second.image, second.anomaly_map, colour_scale(ranges[1]))
            shown = tuple((f"{what} by model {n}", one) for n, (what, one) in enumerate((own, other), 1))
            facts = (f"{VERDICTS[told[0]]} → {VERDICTS[told[1]]}", f"{first.score:.4g} → {second.score:.4g}")
            badge = "now defective" if told[1] else ""
            self._cards.add(Card(name, far, told[1], badge, facts, (photo, *shown)))

    def _above(self, number: int, score: float) -> float:
        threshold = self.decisions[number].threshold or 0.0
        return (score - threshold) / (abs(threshold) or 1.0)

    def write(self, path: Path) -> None:
        """Write the page, whole or not at all.

        Raises
        ------
        PniError
            It cannot be written.
        """
        count = len(self._found)
        first, second = map(escape, self.names)
        words = f"{count} of {self.images} verdicts change from {first} to {second}."
        notes = [
            f"{name}: threshold {decision.words}."
            for name, decision in zip(self.names, self.decisions, strict=True)
        ]
        cards = self._cards.cards
        small = f"{len(cards)} of {count} shown, the largest change first"
        with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", errors="replace") as page:
            page.write(begin("Two models · pni-fast"))
            page.write(header("Two models", f"{self.names[0]} and {self.names[1]}", words, notes))
            page.write(section("Changed verdicts", small, cards))
            page.write(end("A change is that of the score's distance from the threshold, as a share of it."))
