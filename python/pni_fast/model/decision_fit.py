"""A fitted model gets its decision: the scores of images left out of it, or of others that were never in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import Config
from pni_fast.config.checks import plain_number
from pni_fast.data import Source
from pni_fast.data.cropping import read_crop
from pni_fast.data.digests import Digests
from pni_fast.decision import Decision
from pni_fast.decision.conformal import promise
from pni_fast.decision.decision import CALIBRATION, FALSE_ALARMS
from pni_fast.decision.suspects import MOST as MOST_SUSPECTS
from pni_fast.decision.suspects import Suspect, outlying
from pni_fast.distribution.bank import Bank
from pni_fast.errors import DataError, PniError
from pni_fast.runtime.run import Run
from pni_fast.runtime.threads import ordered_map
from pni_fast.scoring.image_maps import stream_maps
from pni_fast.scoring.map_range import normalised

from .ensemble import FittedModel
from .fitted import Fitted
from .left_out import LeavingOut, Twins, chosen_images
from .prediction import Prediction, image_score

SHOWN = 50
"""Suspects whose maps are handed over, at most."""


@dataclass(frozen=True)
class Asked:
    """What a threshold is asked to promise.

    Parameters
    ----------
    false_alarms, confidence
        As for :class:`pni_fast.decision.Decision`.
    calibration
        Good images that are not fitted on, in place of those left out.
    dropped
        Images that look like defects among the good to leave out of the fit, at most, the worst first.
    suspected
        Handed every suspect that stays, with its map as left out, the worst first.
    found
        Handed the image itself of every suspect, the worst first.

    Raises
    ------
    PniError
        A rate is none.
    """

    false_alarms: float = FALSE_ALARMS
    confidence: float | None = None
    calibration: Sequence[Source] = ()
    dropped: int = 0
    suspected: Callable[[Prediction], object] | None = None
    found: Callable[[Source], object] | None = None

    def __post_init__(self) -> None:
        rate, confidence = promise(self.false_alarms, self.confidence)
        plain = {"false_alarms": rate, "confidence": confidence, "dropped": plain_number(self.dropped)}
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        if type(self.dropped) is not int or self.dropped < 0:
            raise PniError(f"drop_suspects must be a whole number from 0 up, got {self.dropped!r}")


class Tally:
    """The left-out images of a fit, member by member of an ensemble.

    Parameters
    ----------
    config
        All settings.
    asked
        What is promised; with images for calibration none is left out but to find suspects.
    known
        Digests of images that were made already.
    """

    def __init__(self, config: Config, asked: Asked, known: Digests | None = None) -> None:
        self.config, self.asked, self.known = config, asked, known or Digests()
        self.digests: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.sources: Sequence[Source] = ()
        self._totals: dict[int, NDArray[np.float32]] | None = None
        self._twins: Twins = {}
        self._shown: dict[int, NDArray[np.float32]] = {}

    def add(self, fitted: Fitted, bank: Bank, sources: Sequence[Source], run: Run) -> Fitted:
        """Leave images out of one member, fitted on `sources`; return it with the decision it has alone."""
        if not self.sources:
            self.sources, self.digests = sources, digests_of(sources, run, self.known)
        return self.count(fitted, LeavingOut(fitted, bank, run, same_as(self.digests)), sources, run)

    def count(self, fitted: Fitted, leaving: LeavingOut, sources: Sequence[Source], run: Run) -> Fitted:
        """Do as :meth:`add` does in a way of one's own; `sources` are those of its bank."""
        if not self.sources:
            self.sources, self.digests = sources, digests_of(sources, run, self.known)
        self._twins = leaving.twins
        chosen = chosen_images(leaving.bank, leaving.twins)
        several = len(self.config.backbones) > 1
        figures: dict[int, tuple[float, float]] = {}
        totals: dict[int, NDArray[np.float32]] = {}
        maps = leaving.maps(sources, chosen)
        for done, (index, found) in enumerate(zip(chosen, maps, strict=True), 1):
            run.progress("left out", done, len(chosen))
            figures[index] = figures_of(found, self.config)
            if not several:
                self._keep(index, found, figures)
                continue
            own = normalised(found, *fitted.normalization)
            if self._totals is None:
                totals[index] = own
            elif index in self._totals:
                totals[index] = self._totals[index] + own
        self._totals = totals
        decision = self._decision(figures)
        if not several:
            self._hand_over(figures, self._shown)
        return replace(fitted, decision=decision)

    def _keep(self, index: int, found: NDArray[np.float32], figures: dict[int, tuple[float, float]]) -> None:
        """Keep the maps with the highest scores: only those can be suspects that are shown."""
        if self.asked.suspected is None:
            return
        self._shown[index] = found
        if len(self._shown) > SHOWN:
            del self._shown[min(self._shown, key=lambda one: figures[one][0])]

    def decided(self, model: FittedModel, run: Run) -> FittedModel:
        """Return the finished model with its decision."""
        if not isinstance(model, Fitted):
            count = np.float32(len(self.config.backbones))
            means = {index: total / count for index, total in (self._totals or {}).items()}
            figures = {index: figures_of(mean, self.config) for index, mean in means.items()}
            model = replace(model, decision=self._decision(figures))
            self._hand_over(figures, means)
        return calibrated(model, self.asked.calibration, run) if self.asked.calibration else model

    def _decision(self, figures: Mapping[int, tuple[float, float]]) -> Decision:
        scores, peaks = as_arrays(list(figures.values()))
        return Decision.of(
            scores,
            peaks,
            false_alarms=self.asked.false_alarms,
            confidence=self.asked.confidence,
            digests=self.digests,
            suspects=tuple(
                Suspect(self.sources[index].name, score) for index, _, score in self._suspects(figures)
            ),
        )

    def _suspects(self, figures: Mapping[int, tuple[float, float]]) -> list[tuple[int, int, float]]:
        """Return the number of every suspect, that of the same image that was scored, and its score."""
        numbers, (scores, _) = list(figures), as_arrays(list(figures.values()))
        found = [(numbers[place], float(scores[place])) for place in outlying(scores)]
        whole = [(twin, index, score) for index, score in found for twin in self._twins.get(index, (index,))]
        return whole[:MOST_SUSPECTS]

    def _hand_over(
        self, figures: Mapping[int, tuple[float, float]], maps: Mapping[int, NDArray[np.float32]]
    ) -> None:
        """Hand over the suspects, and the worst of them as they were scored when left out."""
        for rank, (twin, index, score) in enumerate(self._suspects(figures)):
            source = self.sources[twin]
            if self.asked.found is not None:
                self.asked.found(source)
            if self.asked.suspected is not None and rank < SHOWN and index in maps:
                crop = read_crop(source, self.config.geometry)
                self.asked.suspected(Prediction(source.name, source.path, score, maps[index], crop))


def calibrated(model: FittedModel, sources: Sequence[Source], run: Run) -> FittedModel:
    """Return a model whose threshold other good images stand for, each once, however often it is there.

    Parameters
    ----------
    model
        Its rate and confidence stay.
    sources
        Good images.
    run
        Told the stage "calibrate".

    Raises
    ------
    DataError
        An image was fitted on, or cannot be read.
    """
    decision = model.decision or Decision()
    known = Digests()
    refuse_fitted(sources, decision.digests, run, known)
    _, first = np.unique(digests_of(sources, run, known), return_index=True)
    distinct = [sources[index] for index in np.sort(first)]
    figures = []
    for item in stream_maps(model.scorer(run), distinct, model.config.geometry, run):
        figures.append(figures_of(item.result, model.config))
        run.progress("calibrate", len(figures), len(distinct))
    scores, peaks = as_arrays(figures)
    return replace(
        model,
        decision=replace(decision, scores=np.sort(scores), peaks=np.sort(peaks), source=CALIBRATION, at=None),
    )


def refuse_fitted(
    sources: Sequence[Source], fitted: NDArray[np.int64], run: Run, known: Digests | None = None
) -> None:
    """Refuse images that a model was fitted on: their scores say nothing of new ones.

    Raises
    ------
    DataError
        There is one, by its bytes.
    """
    if not len(fitted):
        return
    for source, twin in zip(sources, np.isin(digests_of(sources, run, known), fitted), strict=True):
        if twin:
            raise DataError(
                f"{source.path or source.name}: the model was fitted on this image (same bytes); calibrate "
                "with good images it has never seen"
            )


def digests_of(sources: Sequence[Source], run: Run, known: Digests | None = None) -> NDArray[np.int64]:
    """Return a number for the bytes of each image, int64 (n,); those that are known are not read again."""
    return np.array(list(ordered_map(known or Digests(), sources, run.threads)), dtype=np.int64)


def same_as(digests: NDArray[np.int64]) -> dict[int, list[int]]:
    """Return, for every image that is there more than once, the numbers of all that are the same."""
    _, inverse, counts = np.unique(digests, return_inverse=True, return_counts=True)
    doubled = np.flatnonzero(counts[inverse] > 1)
    return {int(index): np.flatnonzero(inverse == inverse[index]).tolist() for index in doubled}


def figures_of(anomaly_map: NDArray[np.float32], config: Config) -> tuple[float, float]:
    """Return the score of an image, and the highest value of its map."""
    return image_score(anomaly_map, config.image_score), float(anomaly_map.max())


def as_arrays(figures: Sequence[tuple[float, float]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return scores and peaks, float64 (n,) each."""
    both = np.array(figures, dtype=np.float64).reshape(-1, 2)
    return both[:, 0].copy(), both[:, 1].copy()


def known_decision(model: FittedModel, need: str) -> Decision:
    """Return the decision of a model that has the scores of good images.

    Raises
    ------
    PniError
        It is of an older version, which kept none.
    """
    if model.decision is None or not model.decision.count:
        raise PniError(f"the model keeps no scores of good images, which {need} needs; fit it again")
    return model.decision
