from collections.abc import Callable
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Shard",
    "_scan_coreset",
    "changed_histogram",
    "changed_sets",
    "decode_png",
    "enlarge",
    "greedy_coreset",
    "max_likelihood",
    "nearest",
    "num_threads",
    "pick_hot",
    "position_histogram",
    "position_sets",
    "simd_level",
    "simd_levels",
    "version",
    "window_counts",
]
version: Final[str]

def simd_level() -> str: ...
def simd_levels() -> list[str]: ...
def num_threads(num_threads: int | None = None) -> int: ...

@final
class Shard:
    def __new__(
        cls, features: NDArray[Any], first: NDArray[Any], num_threads: int | None = None
    ) -> Shard: ...
    def take(self, picks: NDArray[Any]) -> None: ...
    def sample(self) -> NDArray[np.float64]: ...
    def hot(self, threshold: float, most: int) -> tuple[NDArray[np.int64], NDArray[np.float64], float]: ...

def pick_hot(
    rows: NDArray[Any],
    squared: NDArray[np.float64],
    threshold: float,
    size: int,
    num_threads: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...
def greedy_coreset(
    features: NDArray[Any],
    size: int,
    start: int = 0,
    initial: NDArray[Any] | None = None,
    assign: int | None = None,
    num_threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64] | None, NDArray[np.float32] | None]: ...
def _scan_coreset(
    features: NDArray[Any], size: int, start: int = 0, num_threads: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32], None, None]: ...
def decode_png(content: bytes) -> NDArray[np.uint8] | None: ...
def nearest(
    features: NDArray[Any], centers: NDArray[Any], num_threads: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]: ...
def position_histogram(
    labels: NDArray[np.int64], n_classes: int, patch: int = 9, num_threads: int | None = None
) -> NDArray[np.float32]: ...
def window_counts(
    labels: NDArray[np.int64], n_classes: int, patch: int = 9, num_threads: int | None = None
) -> NDArray[np.uint32]: ...
def changed_histogram(
    counts: NDArray[np.uint32],
    changes: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]],
    images: int,
    patch: int = 9,
    num_threads: int | None = None,
) -> NDArray[np.float32]: ...
def changed_sets(
    counts: NDArray[np.uint32],
    changes: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]],
    images: int,
    tau: float,
    patch: int = 9,
    num_threads: int | None = None,
) -> NDArray[np.uint8]: ...
def enlarge(grid: NDArray[Any], rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[np.float32]: ...
def position_sets(
    labels: NDArray[np.uint16],
    images: NDArray[np.int64],
    n_classes: int,
    patch: int = 9,
    num_threads: int | None = None,
) -> NDArray[np.uint8]: ...
def max_likelihood(
    features: NDArray[Any],
    coreset: NDArray[Any],
    groups: NDArray[np.int64],
    allowed: NDArray[np.uint8],
    n_groups: int,
    num_threads: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]: ...
