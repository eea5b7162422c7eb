"""A fitted model asked about images: their maps and scores, and the good ones that they were held against."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pni_fast.data import ImagesLike, prediction_sources
from pni_fast.progress import Progress, silent

from .alike import alike_images
from .prediction import Prediction, predictions
from .verdicts import Verdicts

if TYPE_CHECKING:
    from .spread import Spread


class Predicting(Verdicts):
    """What a fitted model says of images; :class:`pni_fast.PNI` has the rest."""

    skipped_: list[tuple[str, str]]

    def predict(
        self,
        images: ImagesLike,
        *,
        skip_broken: bool = False,
        progress: Progress = silent,
        spread: Spread | None = None,
    ) -> Iterator[Prediction]:
        """Yield a :class:`Prediction` for every image, in order, reading as it goes.

        A folder, a list and whatever else has a length is read ahead, by all threads. A generator, a live
        camera behind it perhaps, is asked for its next image when the prediction of the one before it has
        been taken; whatever is not a list or an array may hand over the same buffer again and again, as
        its pixels are copied at once.

        Parameters
        ----------
        images, skip_broken, progress
            As for :meth:`fit`; a folder gives every image below it.
        spread
            Workers that read the images and make their maps, in place of this process; same bits. All images
            are listed before the first goes out.

        Raises
        ------
        PniError
            The model is not fitted, an image cannot be read, or `spread` is no :class:`Spread`.
        """
        fitted, self.skipped_ = self.fitted, []
        if spread is not None:
            from .spread import check_spread

            check_spread(spread)
        yield from predictions(
            *(fitted, images, self.run, self.skipped_),
            skip_broken=skip_broken,
            progress=progress,
            streaming=None if spread is None else spread.maps(fitted, self.run),
        )

    def score_samples(self, images: ImagesLike) -> NDArray[np.float32]:
        """Return the anomaly scores of the images, float32 (n,); higher is more anomalous.

        Raises
        ------
        PniError
            The model is not fitted, or an image cannot be read.
        """
        return np.array([result.score for result in self.predict(images)], dtype=np.float32)

    def alike(self, images: ImagesLike) -> Iterator[tuple[str, ...]]:
        """Yield for every image the names of the training images that context holds it against.

        The most alike come first; empty for a model without context. Each image goes through the backbone.

        Raises
        ------
        PniError
            The model is not fitted, or an image cannot be read.
        """
        return alike_images(self.fitted, prediction_sources(images), self.run)

    def _skip(self, name: str, reason: str) -> None:
        self.skipped_.append((name, reason))
