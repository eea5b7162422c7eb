"""The greedy coreset as a scikit-learn estimator."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from . import _core
from .kernels import greedy_coreset, nearest
from .kernels.narrowing import less

__all__ = ["GreedyCoreset"]

HELD = 1 << 53
"""float64 holds every integer up to here."""


class GreedyCoreset(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Cover the rows of X by a few of them, each the farthest from those before it (greedy k-center).

    Parameters
    ----------
    size : int or float, default=0.01
        How many rows to pick: an int (at most all are picked), or a float in (0, 1] for that share of
        the rows (rounded down, at least 1).
    start : int, default=0
        The row picked first.
    n_jobs : int, default=None
        Threads to use; None is ``PNI_FAST_NUM_THREADS`` if set, else every core. Negative numbers count from
        there, as in scikit-learn: -1 is the same, -2 one fewer, and at least one is used.

    Attributes
    ----------
    sample_indices_ : ndarray of shape (n_picks,)
        Rows of X in the order they were picked.
    cluster_centers_ : ndarray of shape (n_picks, n_features_in_)
        Those rows, float32 where X is that and float64 for anything else; but int64 or uint64 where X is that
        and has integers beyond 2**53.
    labels_ : ndarray of shape (n_samples,)
        For every row of X the index of the nearest pick, the earliest among equals.
    radii_ : ndarray of shape (n_picks,)
        Distance of each pick to those before it; infinity for the first.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has any.

    Examples
    --------
    >>> from pni_fast.sklearn import GreedyCoreset
    >>> GreedyCoreset(size=3).fit([[0.0], [1.0], [10.0], [4.0]]).sample_indices_
    array([0, 2, 3])
    """

    def __init__(self, size: float = 0.01, *, start: int = 0, n_jobs: int | None = None) -> None:
        self.size = size
        self.start = start
        self.n_jobs = n_jobs

    def fit(self, X: ArrayLike, y: object = None) -> GreedyCoreset:  # noqa: ARG002, N803
        """Pick rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The points; worked on as `pni_fast.greedy_coreset` does.
        y : None
            Ignored.

        Returns
        -------
        GreedyCoreset
            This estimator.

        Raises
        ------
        TypeError
            A parameter of the wrong kind.
        ValueError
            A parameter out of range; X empty, not two-dimensional, or holding NaN or infinity.
        """
        rows = self._rows(X, reset=True)
        count = self.size
        if isinstance(count, Integral) and not isinstance(count, bool):
            count = min(int(count), len(rows))
        found = greedy_coreset(rows, count, start=self.start, num_threads=self._threads())
        self.sample_indices_ = found.indices
        self.radii_ = found.radii
        self.cluster_centers_ = rows[found.indices]
        self.labels_, _ = nearest(rows, self.cluster_centers_, num_threads=self._threads())
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.floating]:  # noqa: N803
        """Return the distance of every row to every pick, as ``sklearn.cluster.KMeans`` does.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The points.

        Returns
        -------
        ndarray of shape (n_samples, n_picks)
            Euclidean distances, float32 for float32 and float64 for anything else.
        """
        from sklearn.metrics import euclidean_distances

        check_is_fitted(self)
        rows, centers = self._rows(X, reset=False), self.cluster_centers_
        if rows.dtype == np.float32 and centers.dtype.kind == "f":
            centers = centers.astype(np.float32)
        else:  # scikit-learn multiplies: far from zero little would be left
            dtype = np.float32 if rows.dtype == np.float32 else np.float64
            origin = centers.astype(np.float64).mean(axis=0)
            rows, centers = less(rows, origin).astype(dtype), less(centers, origin).astype(dtype)
        distances: NDArray[np.floating] = euclidean_distances(rows, centers)
        return distances

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:  # noqa: N803
        """Return the index into `sample_indices_` of the pick nearest to every row, exactly.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The points.

        Returns
        -------
        ndarray of shape (n_samples,)
            Indices, the earliest among equals.
        """
        check_is_fitted(self)
        rows = self._rows(X, reset=False)
        return nearest(rows, self.cluster_centers_, num_threads=self._threads())[0]

    def _rows(self, X: ArrayLike, *, reset: bool) -> NDArray[np.number]:  # noqa: N803
        """Return X as scikit-learn checks it, in float64 unless it is float32 or float64 cannot hold it."""
        types = [np.float64, np.float32, np.int64, np.uint64]
        rows: NDArray[np.number] = validate_data(self, X, dtype=types, order="C", reset=reset)
        if rows.dtype.kind in "iu" and rows.min() >= -HELD and rows.max() <= HELD:
            return rows.astype(np.float64)
        return rows

    def _threads(self) -> int | None:
        if self.n_jobs is None:
            return None
        if isinstance(self.n_jobs, bool) or not isinstance(self.n_jobs, Integral) or not self.n_jobs:
            raise ValueError(f"n_jobs must be None or an int other than 0, got {self.n_jobs!r}")
        jobs = int(self.n_jobs)
        return jobs if jobs > 0 else max(1, _core.num_threads() + 1 + jobs)

    @property
    def _n_features_out(self) -> int:
        """Columns that `transform` returns."""
        return len(self.sample_indices_)
