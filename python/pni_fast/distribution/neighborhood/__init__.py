"""The neighborhood MLP: p(c_dist | N_p(x)) (paper section 3.2, equation 7)."""

from .network import NeighborhoodMLP
from .training import train_neighborhood

__all__ = ["NeighborhoodMLP", "train_neighborhood"]
