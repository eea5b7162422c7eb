"""What the model's own threshold makes of a test set: the figure that a line lives with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Labelled(Protocol):
    """One test image: its score and what is known of it."""

    @property
    def score(self) -> float:
        """Image score."""
        ...

    @property
    def kind(self) -> str | None:
        """Kind of defect, None for a good image."""
        ...


@dataclass(frozen=True)
class OwnThreshold:
    """False alarms and misses at a threshold that no test image had a say in.

    Attributes
    ----------
    threshold
        Of the model.
    promised
        Rate of false alarms that it promises; None where it was set by hand.
    good, false_alarms
        Good test images, and those of them called defective.
    defective, missed
        Defective test images, and those of them called good.
    kinds
        For every kind of defect the images called defective, and all.
    """

    threshold: float
    promised: float | None
    good: int
    false_alarms: int
    defective: int
    missed: int
    kinds: Mapping[str, tuple[int, int]]

    @classmethod
    def of(cls, results: Sequence[Labelled], decision: Mapping[str, Any] | None) -> OwnThreshold | None:
        """Return the outcome of a test set; None for a model without a threshold.

        Parameters
        ----------
        results
            The images.
        decision
            The model's description of its threshold.
        """
        threshold = None if decision is None else decision.get("threshold")
        if decision is None or threshold is None:
            return None
        called = Counter(one.kind for one in results if one.score > threshold)
        images = Counter(one.kind for one in results)
        kinds = {kind: (called[kind], images[kind]) for kind in sorted(filter(None, images))}
        found, bad = (sum(pair[place] for pair in kinds.values()) for place in (0, 1))
        return cls(
            float(threshold),
            decision.get("promised"),
            images[None],
            called[None],
            bad,
            bad - found,
            kinds,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "threshold": self.threshold,
            "promised": self.promised,
            "good": self.good,
            "false_alarms": self.false_alarms,
            "defective": self.defective,
            "missed": self.missed,
            "kinds": {kind: {"found": pair[0], "images": pair[1]} for kind, pair in self.kinds.items()},
        }

    @property
    def lines(self) -> list[str]:
        """The outcome for a reader, most important first."""
        promise = "set by hand" if self.promised is None else f"promised at most {100 * self.promised:.1f} %"
        lines = [f"Threshold {self.threshold:.6g} ({promise})"]
        if self.good:
            share = 100 * self.false_alarms / self.good
            lines.append(f"  false alarms {self.false_alarms} of {self.good} good images ({share:.1f} %)")
        if self.defective:
            share = 100 * self.missed / self.defective
            lines.append(f"  missed       {self.missed} of {self.defective} defective images ({share:.1f} %)")
        if len(self.kinds) > 1:
            lines += [f"  {kind}: {found} of {images} found" for kind, (found, images) in self.kinds.items()]
        return lines
