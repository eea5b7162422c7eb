"""What comes of one image of a run of `pni-fast score`, as the table has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pni_fast.config.choices import VERDICTS

if TYPE_CHECKING:
    from pni_fast.model.prediction import Prediction

COLUMNS = ("image", "score", "p_value", "verdict")


@dataclass(frozen=True)
class Outcome:
    """The cells of an image, or why it was left out.

    Whatever else a run says follows from these texts, so that one gone on with says what it would have said
    unbroken.
    """

    score: str = ""
    p_value: str = ""
    verdict: str = ""
    reason: str | None = None

    @classmethod
    def of(cls, prediction: Prediction) -> Outcome:
        """Return what is said of an image; nine digits hold a float32 exactly."""
        chance = "" if prediction.p_value is None else f"{prediction.p_value:.6g}"
        return cls(f"{prediction.score:.9g}", chance, VERDICTS[prediction.is_defective])

    @property
    def cells(self) -> tuple[str, str, str]:
        """What stands in the table beside the name."""
        return self.score, self.p_value, self.verdict

    @property
    def value(self) -> float:
        """The score, that of a map's maximum to its last bit."""
        import numpy as np

        return float(np.float32(self.score))

    @property
    def chance(self) -> float | None:
        """The p-value."""
        return float(self.p_value) if self.p_value else None

    @property
    def is_defective(self) -> bool | None:
        """The verdict."""
        return {text: verdict for verdict, text in VERDICTS.items()}.get(self.verdict)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"score": float(self.score), "p_value": self.chance, "verdict": self.verdict or None}
