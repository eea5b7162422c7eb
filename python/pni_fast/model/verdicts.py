"""From scores to verdicts: what a fitted model has of scikit-learn's detectors, and its threshold."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from pni_fast.data import ImagesLike, training_sources
from pni_fast.decision import Decision
from pni_fast.errors import PniError
from pni_fast.progress import Progress, silent

from .attributes import NO_THRESHOLD
from .computing import Computing
from .prediction import Prediction

if TYPE_CHECKING:
    from .update import Updated

Model = TypeVar("Model", bound="Verdicts")


class Verdicts(Computing):
    """What follows from a threshold; :class:`pni_fast.PNI` has the rest."""

    @abstractmethod
    def predict(self, images: ImagesLike) -> Iterator[Prediction]:
        """Yield a prediction for every image."""

    def decision_function(self, images: ImagesLike) -> NDArray[np.float64]:
        """Return how far images are on the good side, float64 (n,), with scikit-learn's signs.

        It is the threshold less the score, ``−score_samples − offset_``: negative for defective images.

        Raises
        ------
        PniError
            The model is not fitted, or has no threshold.
        """
        decision = self.fitted.decision
        threshold = None if decision is None else decision.threshold
        if threshold is None:
            raise PniError(NO_THRESHOLD)
        return np.array([threshold - result.score for result in self.predict(images)], dtype=np.float64)

    def predict_labels(self, images: ImagesLike) -> NDArray[np.int64]:
        """Return +1 for good images and −1 for defective ones, int64 (n,), as scikit-learn's detectors do.

        Raises
        ------
        PniError
            The model is not fitted, or has no threshold.
        """
        return np.where(self.decision_function(images) < 0, -1, 1).astype(np.int64)

    def set_threshold(
        self: Model,
        false_alarms: float | None = None,
        *,
        confidence: float | None = None,
        calibrate: ImagesLike | None = None,
        at: float | None = None,
        progress: Progress = silent,
    ) -> Model:
        """Give the fitted model another threshold, without the images it was fitted on.

        Parameters
        ----------
        false_alarms
            The rate of good images called defective; None: the one it has.
        confidence, calibrate, progress
            As for :meth:`fit`.
        at
            The threshold itself, by hand: it promises nothing.

        Raises
        ------
        PniError
            A rate is none, `at` is given beside `calibrate`, or the model keeps no scores of good images and
            none are given.
        DataError
            An image for calibration was fitted on.
        """
        from .decision_fit import calibrated, known_decision

        changed = (self.fitted.decision or Decision()).changed(false_alarms, confidence, at)
        model = replace(self.fitted, decision=changed)
        if calibrate is not None:
            if at is not None:
                raise PniError("a threshold is either set by hand or calibrated, got both")
            model = calibrated(model, training_sources(calibrate), self.run.reporting(progress))
        elif at is None:
            known_decision(model, "a promised threshold")
        self._fitted = model
        return self

    def update(self, images: ImagesLike, *, progress: Progress = silent) -> Updated:
        """Let more good images into the fitted model, without those it was fitted on.

        The coreset grows by what is new in them (:mod:`pni_fast.model.update` says what stays as it was), and
        their scores, each by the model without it, join those that the threshold follows from.

        Parameters
        ----------
        images
            Good images, as for :meth:`pni_fast.PNI.fit`: false alarms above all.
        progress
            Called with (stage, done, total).

        Raises
        ------
        PniError
            The model is of an older version and keeps no scores, or its rule cannot be counted on.
        DataError
            An image cannot be read, or all are in already.
        """
        from .update import update

        self._fitted, done = update(self.fitted, training_sources(images), self.run.reporting(progress))
        return done
