"""τ, the one threshold of equation (4)."""

from __future__ import annotations

import numpy as np


def threshold(coreset_size: int) -> np.float32:
    """Return τ = 1 / (2·|C_emb|) (paper section 4.1), as the float32 that probabilities are compared with."""
    tau: np.float32 = np.float32(1 / (2 * coreset_size))
    return tau
