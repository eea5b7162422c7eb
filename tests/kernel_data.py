"""Adversarial inputs for the kernels, and the check that a kernel agrees with its oracle to the last bit."""

from __future__ import annotations

import numpy as np
from pni_fast import kernels
from pni_fast.kernels import oracle as _reference


def adversarial(seed: int = 0) -> dict[str, np.ndarray]:
    """Matrices where low precision or careless ties give another answer."""
    rng = np.random.default_rng(seed)
    basis = rng.normal(size=(12, 200)) * (0.7 ** np.arange(12))[:, None]
    return {
        "lattice 3": rng.integers(0, 4, size=(400, 3)).astype(np.float32),
        "lattice 40": rng.integers(0, 2, size=(300, 40)).astype(np.float32),
        "lattice 130": rng.integers(0, 2, size=(200, 130)).astype(np.float32),
        "duplicates": np.repeat(rng.normal(size=(7, 90)), 30, axis=0).astype(np.float32),
        "all equal": np.full((50, 5), 3.25, dtype=np.float32),
        "offset": (1e4 + rng.normal(size=(500, 100))).astype(np.float32),
        "offset 3": (1e4 + rng.normal(size=(500, 3))).astype(np.float32),
        "one column": rng.normal(size=(300, 1)).astype(np.float32),
        "one row": rng.normal(size=(1, 9)).astype(np.float32),
        "low rank": (rng.normal(size=(900, 12)) @ basis + 1e-3 * rng.normal(size=(900, 200))).astype(
            np.float32
        ),
        "clusters": (
            rng.normal(size=(20, 150))[rng.integers(0, 20, 900)] * 5 + rng.normal(size=(900, 150))
        ).astype(np.float32),
        "noise": rng.normal(size=(400, 257)).astype(np.float32),
        "huge": (rng.normal(size=(200, 70)) * 1e30).astype(np.float32),
        "huge 3": (rng.normal(size=(200, 3)) * 1e30).astype(np.float32),
        "largest": np.where(rng.random((60, 80)) < 0.5, -1, 1).astype(np.float32) * np.finfo(np.float32).max,
        "one outlier": np.concatenate([rng.normal(size=(200, 80)), np.full((1, 80), 1e25)]).astype(
            np.float32
        ),
        "denormal": (rng.integers(-9, 9, size=(200, 5)) * 1e-44).astype(np.float32),
        "tiny": (rng.normal(size=(200, 100)) * 1e-25).astype(np.float32),
        "mixed scales": (rng.normal(size=(300, 90)) * 10.0 ** rng.integers(-20, 12, size=(300, 1))).astype(
            np.float32
        ),
        "float16": rng.normal(size=(300, 75)).astype(np.float16),
    }


def check_coreset(features: np.ndarray, size: int, **options: object) -> kernels.Coreset:
    """Compare `greedy_coreset` with the oracle, bit by bit; return its result."""
    threads = options.pop("num_threads", None)
    found = kernels.greedy_coreset(features, size, num_threads=threads, **options)
    indices, radii, labels, distances = _reference.greedy_coreset(features, size, **options)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_array_equal(found.radii, radii)
    if labels is None:
        assert found.labels is None
        assert found.distances is None
    else:
        np.testing.assert_array_equal(found.labels, labels)
        np.testing.assert_array_equal(found.distances, distances)
    return found
