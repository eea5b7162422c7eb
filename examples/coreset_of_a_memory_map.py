"""The exact greedy coreset of a matrix that need not fit into memory.

python examples/coreset_of_a_memory_map.py features.npy 0.01 picks.npy
"""

import sys

import numpy as np
from pni_fast import greedy_coreset

source, share, target = sys.argv[1:]
features = np.load(source, mmap_mode="r")  # float32 or float16 in C order is searched where it lies

picks = greedy_coreset(features, float(share))
np.save(target, picks.indices)
print(
    f"{len(picks.indices)} of {len(features)} rows; every row is within {picks.radii[-1]:.4g} of one of them"
)
