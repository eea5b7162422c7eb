"""How the two conditions may act on the search; `pni_fast.scoring.rules` holds one class for each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RuleChoice:
    """One way of combining the conditions.

    Parameters
    ----------
    calibrated
        Whether images left out of the fit set λ and how far the position histogram is shrunken
        (:mod:`pni_fast.distribution.shrinkage`).
    tried
        Whether conditions are tried on images left out of the fit, which decide whether position, context or
        none of them acts, and with which weight (:mod:`pni_fast.distribution.trials`).
    """

    calibrated: bool = False
    tried: bool = False


RULES: dict[str, RuleChoice] = {
    "average": RuleChoice(),  # the mean of the two probabilities against τ, equation (6)
    "both": RuleChoice(),  # each probability against τ by itself; what both allow
    "scores": RuleChoice(),  # the mean of the scores found under each, as the authors' code has it
    # No threshold: −log p(c|Ω) of equation (5) is added to the distance.
    "penalty": RuleChoice(calibrated=True),
    # The distance with and without the condition that good images speak for, by a weight they choose.
    "blend": RuleChoice(tried=True),
}
"""The rules by name."""
