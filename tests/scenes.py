"""Features of small made-up scenes, in place or shifted, and what a fit makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pni_fast import greedy_coreset, nearest
from pni_fast.distribution.bank import Bank
from pni_fast.distribution.left_out import leave_out
from pni_fast.scoring.anomaly_map import Upsampler

SIDE, CLASSES, WINDOW, ROWS = 12, 20, 3, 60


def scene(count: int, *, shift: bool, seed: int = 0) -> NDArray[np.float32]:
    """Return features of `count` pictures of one scene; with `shift` each shows it from another place."""
    random = np.random.default_rng(seed)
    world = np.repeat(np.repeat(random.standard_normal((6, 6, 5)), 4, 0), 4, 1) * 4
    pictures = np.empty((count, SIDE, SIDE, 5), np.float32)
    for picture in pictures:
        y, x = random.integers(0, 13, 2) if shift else (4, 4)
        picture[:] = world[y : y + SIDE, x : x + SIDE] + random.normal(0, 0.3, picture.shape)
    return pictures


def parts(features: NDArray[np.float32], rows: int = ROWS) -> tuple[NDArray[np.int64], ...]:
    """Return labels, picked rows and groups, as a fit makes them."""
    flat = features.reshape(-1, features.shape[-1])
    picked = greedy_coreset(flat, rows, assign=CLASSES)
    coreset = flat[picked.indices]
    groups, _ = nearest(coreset, coreset[:CLASSES])
    assert picked.labels is not None
    return picked.labels.reshape(features.shape[:3]), picked.indices, groups


def left_out(features: NDArray[np.float32], *, position: bool = True, threads: int = 1, **given: Any) -> Any:
    """Return what `leave_out` finds."""
    return leave_out(
        Bank(features, *(given.get("parts") or parts(features)), WINDOW, CLASSES),
        position=position,
        to_map=Upsampler((SIDE, SIDE), (48, 48), 2.0),
        threads=threads,
    )
