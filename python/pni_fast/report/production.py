"""The page of a run without ground truth: what was called defective, and how sure one can be of it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pni_fast.config.choices import VERDICTS
from pni_fast.decision import Decision, Drift
from pni_fast.runtime.files import atomic_path

from .cards import MOST_DEFECTIVE, MOST_GOOD, Card, Few, pictures, section
from .histogram import histogram_svg
from .page import begin, end, header

if TYPE_CHECKING:
    from pni_fast.model.prediction import Prediction


class Production:
    """Collects a run as it comes; memory grows by a line an image, not by its pictures.

    Parameters
    ----------
    title
        Of the page.
    decision
        Of the model.
    colours
        Map values where colour sets in and where it is full.
    """

    def __init__(self, title: str, decision: Decision, colours: tuple[float, float]) -> None:
        self.title, self.decision, self.colours = title, decision, colours
        self.rows: list[tuple[str, float, float | None, bool | None]] = []
        self._defective, self._good = Few(MOST_DEFECTIVE), Few(MOST_GOOD)

    def add(self, name: str, found: Prediction, mask: NDArray[np.bool_] | None) -> None:
        """Add one image, with what is to be outlined in it."""
        self.enter(name, found.score, found.p_value, found.is_defective)
        self.show(name, found, mask)

    def enter(self, name: str, score: float, p_value: float | None, is_defective: bool | None) -> None:
        """Add one image to the counts and the table."""
        self.rows.append((name, score, p_value, is_defective))

    @staticmethod
    def shown(verdicts: Sequence[tuple[float, bool | None]]) -> list[int]:
        """Return the numbers of the images of a run that are shown, were there no others, in order.

        Parameters
        ----------
        verdicts
            Score and verdict of each.
        """
        found: list[int] = []
        for bad, most in ((True, MOST_DEFECTIVE), (False, MOST_GOOD)):
            own = [number for number, (_, told) in enumerate(verdicts) if bool(told) is bad]
            found += sorted(own, key=lambda number: -verdicts[number][0])[:most]
        return sorted(found)

    def show(self, name: str, found: Prediction, mask: NDArray[np.bool_] | None) -> None:
        """Draw one image, if its score is among the highest of its kind so far."""
        few = self._defective if found.is_defective else self._good
        if few.takes(found.score):
            chance = "" if found.p_value is None else f"p = {found.p_value:.3g}"
            badge = "defective" if found.is_defective else ""
            shown = pictures(found.image, found.anomaly_map, self.colours, mask)
            facts = (chance, f"{found.score:.4g}")
            few.add(Card(name, found.score, bool(found.is_defective), badge, facts, shown))

    def write(self, path: Path, *, drift: Drift | None, skipped: Sequence[tuple[str, str]]) -> None:
        """Write the page, whole or not at all.

        Raises
        ------
        PniError
            It cannot be written.
        """
        with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", errors="replace") as page:
            page.write(begin(f"{self.title} · pni-fast"))
            page.write(header("Production report", self.title, self._verdict(), self._notes(drift, skipped)))
            page.write(self._figures(drift))
            bad, good = self._defective.cards, self._good.cards
            count = sum(bool(row[3]) for row in self.rows)
            page.write(section("Defective", f"{_of(len(bad), count)}, the highest score first", bad))
            told = self.decision.threshold is not None
            title = "Closest calls" if told else "Highest scores"
            page.write(section(title, f"{_of(len(good), len(self.rows) - count)}", good))
            page.write(self._table())
            page.write(end("Scores of good images the model does not know stand behind the threshold."))

    def _verdict(self) -> str:
        images, threshold = len(self.rows), self.decision.threshold
        if threshold is None:
            return f"{images} images scored; the model has no threshold, so none is called defective."
        count = sum(bool(row[3]) for row in self.rows)
        words = f'<span class="alert">{count} of {images} images are defective</span>'
        shown = words if count else f"none of {images} images is defective"
        return f"At a threshold of {threshold:.4g}, {shown}."

    def _notes(self, drift: Drift | None, skipped: Sequence[tuple[str, str]]) -> list[str]:
        notes = [f"Threshold {self.decision.words}."] if self.decision.threshold is not None else []
        if self.decision.shortage is not None:
            notes.append(f"{self.decision.shortage}.")
        if drift is not None and drift.found:
            notes.append(f"Drift: {drift.words}.")
        if skipped:
            first = f"{skipped[0][0]}: {skipped[0][1]}"
            notes.append(f"{len(skipped)} files could not be read and are left out; the first: {first}")
        named = [one.name for one in self.decision.suspects]
        if named:
            shown = ", ".join(named[:5]) + (", …" if len(named) > 5 else "")
            notes.append(
                f"Among the good images of the fit some look like defects ({len(named)}), which makes the "
                f"threshold higher: {shown}."
            )
        return notes

    def _figures(self, drift: Drift | None) -> str:
        run = np.array([row[1] for row in self.rows], dtype=np.float64)
        known = self.decision.scores
        drawing = histogram_svg(
            known, run, self.decision.threshold, ".4g", "the model's own", names=("known good", "of this run")
        )
        lines = "" if drift is None else _drift_rows(drift)
        return (
            '<section class="panel alone"><h3>Image scores <span class="key good"><i class="swatch"></i>'
            f'{len(known)} good images the model does not know</span><span class="key bad">'
            f'<i class="swatch"></i>{len(run)} of this run</span></h3>{drawing}'
            '<p class="hint">Each side to its own scale.</p>'
            f"{lines}</section>\n"
        )

    def _table(self) -> str:
        rows = "".join(
            f'<tr><th scope="row">{escape(name)}</th><td class="n">{score:.6g}</td>'
            f'<td class="n">{"" if chance is None else f"{chance:.3g}"}</td>'
            f'<td class="n">{VERDICTS[told]}</td></tr>\n'
            for name, score, chance, told in sorted(self.rows, key=lambda row: -row[1])
        )
        return (
            f'<details><summary>All {len(self.rows)} images</summary><table class="lazy"><thead><tr>'
            '<th>image</th><th class="n">score</th><th class="n">p-value</th><th class="n">verdict</th>'
            "</tr></thead>"
            f"<tbody>{rows}</tbody></table></details>\n"
        )


def _drift_rows(drift: Drift) -> str:
    told = "yes" if drift.found else "no"
    small = ""
    if drift.small is not None:
        share = f"{100 * drift.small:.1f} % of all images; of good ones 1 %"
        small = f"<tr><th>p-values up to 0.01</th><td>{share}</td></tr>"
    return (
        '<table class="facts"><tbody>'
        f"<tr><th>Drift of the {drift.images} images called good</th><td>{told} "
        f"(Kolmogorov-Smirnov D = {drift.statistic:.3f}, p = {drift.p_value:.2g})</td></tr>"
        f"{small}</tbody></table>"
    )


def _of(shown: int, count: int) -> str:
    return str(count) if shown == count else f"{shown} of {count} shown"
