"""Which condition acts and how much, by good images left out of the fit and defects made in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pni_fast.errors import PniError

CONDITIONS = ("none", "position", "context")
"""What a patch may be held to, from the weakest to the strongest."""

WEIGHTS = (0.125, 0.25, 0.5)
"""Of a condition, beside the features alone. Never more than half: made defects show what a condition can
see, not how seldom a part of such a kind is wrong, so it has no more say than the features."""

LIMIT = 0.15
"""Most image AUROC that a condition may put at risk (:func:`.gate.risk_of`)."""

OWN_KINDS = ("move", "swap")
"""Kinds of made defects that conditions were thought of for: parts that are right by themselves and in the
wrong place or company. Every other kind is drawn in the picture."""


@dataclass(frozen=True)
class Trial:
    """One condition with one weight, tried on images left out.

    Parameters
    ----------
    condition
        One of :data:`CONDITIONS`.
    weight
        w of S(x) = (1 − w)·free + w·bound, in [0, 1].
    risk
        The most image AUROC that it can cost, in [0, 1].
    seen
        For each kind of made defect the image AUROC and the pixel F1max with which it is told from the same
        images untouched.

    Raises
    ------
    PniError
        A value is out of its range.
    """

    condition: str
    weight: float
    risk: float = 0.0
    seen: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.condition not in CONDITIONS:
            raise PniError(f"trials.condition must be one of {', '.join(CONDITIONS)}, got {self.condition!r}")
        numbers = {"weight": self.weight, "risk": self.risk}
        if not isinstance(self.seen, Mapping):
            raise PniError(f"trials.seen must be figures by kind of defect, got {self.seen!r}")
        for kind, figures in self.seen.items():
            if not isinstance(figures, (list, tuple)) or len(figures) != 2:
                raise PniError(f"trials.seen must be two figures a kind, got {figures!r}")
            numbers |= {f"seen.{kind}.{number}": figure for number, figure in enumerate(figures)}
        for name, value in numbers.items():
            real = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (real and 0 <= value <= 1):
                raise PniError(f"trials.{name} must be in [0, 1], got {value!r}")
        pairs = {kind: (float(first), float(second)) for kind, (first, second) in self.seen.items()}
        object.__setattr__(self, "seen", pairs)

    @property
    def sees(self) -> float:
        """The mean of all figures, each kind counting the same."""
        return _mean(self.seen.values())

    @property
    def gain(self) -> float:
        """What it sees less half its risk: half of :attr:`sees` is image AUROC, which is what is at risk."""
        return self.sees - self.risk / 2

    @property
    def drawn(self) -> float:
        """The mean of the figures of the kinds that are drawn in the picture; 0 where none was."""
        return _mean(pair for kind, pair in self.seen.items() if kind not in OWN_KINDS)


def _mean(pairs: Iterable[tuple[float, float]]) -> float:
    figures = [figure for pair in pairs for figure in pair]
    return sum(figures) / max(len(figures), 1)


@dataclass(frozen=True)
class Trials:
    """All that was tried, and what came of it.

    Parameters
    ----------
    rows
        The first is without any condition.
    chosen
        Number of the row the model is made of.

    Raises
    ------
    PniError
        There is no such row, or the first has a condition.
    """

    rows: tuple[Trial, ...]
    chosen: int

    def __post_init__(self) -> None:
        if not self.rows or self.rows[0].condition != "none":
            raise PniError("trials must begin with one without any condition")
        if type(self.chosen) is not int or not 0 <= self.chosen < len(self.rows):
            raise PniError(f"trials.chosen must be below {len(self.rows)}, got {self.chosen!r}")

    @classmethod
    def decided(cls, rows: Sequence[Trial]) -> Trials:
        """Choose what sees most beyond its risk, of what may be used; of equals the first, the weakest.

        A condition may be used that puts little at risk and holds its own on drawn defects. Move and swap are
        made for it to see: they say which condition sees most, but not that it may lose what the features
        alone see of everything else. What it sees must be worth its risk: where places mean nothing, as in a
        texture, chance alone lets one row or another see a little more.
        """
        least = rows[0].drawn
        usable = [number for number, row in enumerate(rows) if row.risk <= LIMIT and row.drawn >= least]
        return cls(tuple(rows), max(usable, key=lambda number: (rows[number].gain, -number)))

    @property
    def choice(self) -> Trial:
        """The row chosen."""
        return self.rows[self.chosen]

    def as_list(self) -> list[dict[str, Any]]:
        """Return the table as plain values for JSON, in the order of the plan."""
        return [
            {
                "condition": row.condition,
                "weight": row.weight,
                "risk": row.risk,
                "sees": row.sees,
                "chosen": number == self.chosen,
                "seen": {
                    kind: {"image_auroc": pair[0], "pixel_f1_max": pair[1]} for kind, pair in row.seen.items()
                },
            }
            for number, row in enumerate(self.rows)
        ]

    @property
    def words(self) -> str:
        """The choice for a reader."""
        first, choice = self.rows[0], self.choice
        if choice.condition == "none":
            return self._refused
        return (
            f"{choice.condition} with weight {choice.weight:g}: of made defects it sees {choice.sees:.3f}, "
            f"the features alone {first.sees:.3f}; it puts at most {choice.risk:.3f} of image AUROC at risk"
        )

    @property
    def _refused(self) -> str:
        """Why there is no condition, said of the one that sees most."""
        first, best = self.rows[0], max(self.rows, key=lambda row: row.sees)
        if best is first:
            return f"neither position nor context: none sees more than the features alone ({first.sees:.3f})"
        said = f"neither position nor context: {best.condition} with weight {best.weight:g} sees most, but "
        if best.risk > LIMIT:
            return said + f"puts {best.risk:.3f} of image AUROC at risk (at most {LIMIT:g} is allowed)"
        if best.drawn < first.drawn:
            places = 3 if f"{best.drawn:.3f}" != f"{first.drawn:.3f}" else 6
            figures = f"({best.drawn:.{places}f} of {first.drawn:.{places}f})"
            return f"{said}of drawn defects less than the features alone {figures}"
        more = f"{best.sees - first.sees:.3f} more than the features alone"
        return f"{said}{more} is not worth the {best.risk:.3f} of image AUROC that it puts at risk"
