"""The fitted attributes of a model, as properties; their names end in an underscore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pni_fast.decision import Decision
from pni_fast.distribution.context import Context
from pni_fast.distribution.distribution import Distribution
from pni_fast.distribution.gate import Gate
from pni_fast.distribution.trials import Trials

from .ensemble import FittedModel
from .fitted import Fitted

if TYPE_CHECKING:
    from pni_fast.distribution.neighborhood import NeighborhoodMLP
    from pni_fast.features.extractor import FeatureExtractor
    from pni_fast.refinement import RefinementNetwork

NO_THRESHOLD = "the model has no threshold; give it one with set_threshold(calibrate=...) or fit it again"


class FittedAttributes:
    """What is there after ``fit()`` or ``load()``; AttributeError before.

    Of an ensemble only `n_images_`, `normalization_` and what follows from `decision_` are its own: the rest
    belongs to one backbone each and is an attribute of ``members_[0]``, ``members_[1]`` and so on.
    """

    _fitted: FittedModel | None

    @property
    def n_images_(self) -> int:
        """Images fitted on."""
        return self._model("n_images_").n_images

    @property
    def normalization_(self) -> tuple[float, float]:
        """Lowest and highest value of maps of normal images, seen at fit time; (0, 1) for an ensemble."""
        return self._model("normalization_").normalization

    @property
    def decision_(self) -> Decision | None:
        """The threshold and the scores of good images behind it; None for files of older versions."""
        return self._model("decision_").decision

    @property
    def threshold_(self) -> float | None:
        """Above it an image is called defective; None where the model has no threshold."""
        decision = self._model("threshold_").decision
        return None if decision is None else decision.threshold

    @property
    def pixel_threshold_(self) -> float | None:
        """Above it a pixel of a map is marked; None where the model has no threshold."""
        decision = self._model("pixel_threshold_").decision
        return None if decision is None else decision.pixel_threshold

    @property
    def offset_(self) -> float:
        """−`threshold_`, as scikit-learn has it: ``decision_function`` is ``−score − offset_``.

        Raises
        ------
        AttributeError
            The model is not fitted, or has no threshold.
        """
        self._model("offset_")
        threshold = self.threshold_
        if threshold is None:
            raise AttributeError(f"'offset_': {NO_THRESHOLD}")
        return -threshold

    @property
    def weights_source_(self) -> str:
        """Where the backbone's weights came from."""
        return self._member("weights_source_").weights_source

    @property
    def extractor_(self) -> FeatureExtractor:
        """Backbone and patch aggregation: uint8 crops (b, H, W, 3) to Φ, float32 (b, h, w, d).

        A network of torch, which is imported for it.
        """
        return self._member("extractor_").extractor.module()

    @property
    def grid_(self) -> tuple[int, int]:
        """(h, w) of the feature maps."""
        return self._member("grid_").grid

    @property
    def coreset_(self) -> NDArray[np.float32]:
        """C_emb, float32 (m, d), in greedy order; its first K rows are C_dist."""
        return self._distribution("coreset_").coreset

    @property
    def groups_(self) -> NDArray[np.int64]:
        """Index of the nearest C_dist vector of each row of C_emb, int64 (m,)."""
        return self._distribution("groups_").groups

    @property
    def position_(self) -> NDArray[np.float32] | None:
        """p(c_dist | x), float32 (h, w, K), or None where position is not used."""
        return self._distribution("position_").position

    @property
    def neighborhood_(self) -> NeighborhoodMLP | None:
        """The model of p(c_dist | N_p(x)), or None where neighborhood is switched off."""
        stored = self._distribution("neighborhood_").neighborhood
        return None if stored is None else stored.module()

    @property
    def scale_(self) -> float:
        """λ of p(Φ|c) = exp(−λ‖Φ − c‖)."""
        return self._distribution("scale_").scale

    @property
    def gate_(self) -> Gate | None:
        """What images left out said about position, or None where they were not asked."""
        return self._distribution("gate_").gate

    @property
    def context_(self) -> Context | None:
        """The training images an image is held against, or None where context is not used."""
        return self._distribution("context_").context

    @property
    def weight_(self) -> float:
        """How much the distance under position or context counts, where the rule weighs it."""
        return self._distribution("weight_").weight

    @property
    def trials_(self) -> Trials | None:
        """What was tried before a condition was chosen, or None where nothing was."""
        return self._distribution("trials_").trials

    @property
    def refiner_(self) -> RefinementNetwork | None:
        """The refinement network, or None where refinement is switched off."""
        stored = self._member("refiner_").refiner
        return None if stored is None else stored.module()

    @property
    def refiner_range_(self) -> tuple[float, float]:
        """Values of the likelihood map that the refiner sees as 0 and 1."""
        return self._member("refiner_range_").refiner_range

    def _model(self, name: str) -> FittedModel:
        if self._fitted is None:
            raise AttributeError(f"{name!r} is there after fit() or load()")
        return self._fitted

    def _member(self, name: str) -> Fitted:
        model = self._model(name)
        if isinstance(model, Fitted):
            return model
        raise AttributeError(
            f"{name!r} belongs to one backbone and this ensemble has {len(model.members)}; "
            f"take members_[0].{name} to members_[{len(model.members) - 1}].{name}"
        )

    def _distribution(self, name: str) -> Distribution:
        return self._member(name).distribution
