"""PNI: fit on good images, then score any image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pni_fast.config import WeightsFile, member_weights
from pni_fast.config import preset as preset_config
from pni_fast.config.backbones import as_file
from pni_fast.data import ImagesLike, training_sources
from pni_fast.data.inspected import RoiLike
from pni_fast.decision.decision import FALSE_ALARMS
from pni_fast.errors import needs
from pni_fast.features.hub import resolved as at_the_hub
from pni_fast.progress import Progress, Tell, silent, unheard
from pni_fast.runtime.networks import gradients
from pni_fast.runtime.run import Run

from . import file as model_file
from .computing import resolved_run
from .ensemble import FittedModel
from .predicting import Predicting
from .prediction import Prediction

if TYPE_CHECKING:
    from .spread import Spread


class PNI(Predicting):
    """Anomaly detection with position and neighborhood information (Bae, Lee & Kim, ICCV 2023).

    Parameters
    ----------
    preset
        ``"lite"``: embedded weights, sized for a CPU. ``"best"``: the same backbone, position as a penalty
        that images left out set. ``"dino"``, ``"dino-base"``: frozen DINOv2 transformers, small and
        base. ``"paper"``: section 4.1 of the paper. ``"paper-ensemble"``: the same with the paper's three
        backbones.
    backbone
        Any timm model that gives feature maps, instead of the preset's: convolutional, Swin or a vision
        transformer; ``"hf-hub:OWNER/NAME"`` fetches one from the hub. Several make an ensemble: a whole model
        is fitted with each, one after another, and their normalised maps are averaged.
    weights
        A state dict of the backbone (.safetensors or .pth, names of timm or, as far as timm converts them, of
        its authors), or the folder that a hub's client keeps it in. For several
        backbones one each, in their order, None for embedded or hub weights; a single one is the first's.
    refiner_weights
        A state dict of the refiner's encoder. None: the embedded weights, or timm's hub.
    coreset_ratio
        |C_emb| as a share of all features, in (0, 1].
    position, neighborhood, refinement
        Switch parts on or off, as ``context=False`` does with context; with none the model is PatchCore.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
    precision
        ``"auto"``, ``"fp32"`` or ``"bf16"``, of the networks; see
        :func:`pni_fast.runtime.precision.resolve_precision`.
    engine
        What runs the backbone: ``"auto"`` (on a CPU OpenVINO, else ONNX Runtime, on a GPU torch),
        ``"torch"``, ``"openvino"`` or ``"onnxruntime"``.
    seed
        Seed of everything that is random.
    num_threads
        CPU threads; None takes PNI_FAST_NUM_THREADS or all cores, and no more than four for each core (16 on
        a small machine) are used. Results do not depend on it.
    **settings
        Any other field of :class:`pni_fast.presets.Config`; a field of a part by a mapping,
        ``mlp={"dropout": 0.5}``, or by its dotted name.

    Attributes
    ----------
    config : Config
        All settings: those asked for, or those of the fitted model.
    device, precision, num_threads
        As resolved from what was asked for.
    weights, refiner_weights
        The local files of weights, None where there is none.
    skipped_ : list of (str, str)
        Images left out by the last ``fit`` or ``predict`` with ``skip_broken``, and why.
    suspects_ : list of Prediction
        Images of the last ``fit`` that look like defects among the good, the worst first, with the score and
        the map of a model that does not know them. ``decision_.suspects`` keeps their names.
    members_ : tuple of PNI
        The model of every backbone, fitted, to be used like any other; of an ensemble only they have the
        attributes below that are marked with *.
    n_images_ : int
        Images fitted on.
    normalization_ : tuple of float
        Lowest and highest value of maps of normal images, seen at fit time; (0, 1) for an ensemble.
    decision_, threshold_, pixel_threshold_, offset_
        The threshold, its twin for pixels of the map, and the good images that stand for it.
    coreset_*, groups_*, position_*, context_*, weight_*, trials_*, neighborhood_*, scale_*, gate_*
        The distribution: :class:`pni_fast.model.attributes.FittedAttributes` has their types and shapes.
    extractor_*, grid_*, weights_source_*
        The backbone with its patch aggregation, the size of its maps, and where its weights came from.
    refiner_*, refiner_range_*
        The refinement network or None, and the map values it sees as 0 and 1.

    Raises
    ------
    PniError
        An option is out of its range; the message names it, the value and what is allowed.

    Examples
    --------
    >>> model = PNI().fit("parts/train/good")          # doctest: +SKIP
    >>> for result in model.predict("parts/new"):      # doctest: +SKIP
    ...     print(result.name, result.score)
    """

    def __init__(
        self,
        preset: str = "lite",
        *,
        backbone: str | Sequence[str] | None = None,
        weights: WeightsFile | Sequence[WeightsFile] = None,
        refiner_weights: WeightsFile = None,
        coreset_ratio: float | None = None,
        position: bool | None = None,
        neighborhood: bool | None = None,
        refinement: bool | None = None,
        device: str = "auto",
        precision: str = "auto",
        engine: str = "auto",
        seed: int | None = None,
        num_threads: int | None = None,
        **settings: Any,
    ) -> None:
        backbone, weights = at_the_hub(backbone, weights)
        self._config = preset_config(
            preset,
            backbone=backbone,
            coreset_ratio=coreset_ratio,
            position=position,
            neighborhood=neighborhood,
            refinement=refinement,
            seed=seed,
            **settings,
        )
        self.weights = member_weights(self._config.backbones, weights)
        self.refiner_weights = as_file("refiner_weights", refiner_weights)
        self._run = resolved_run(device, precision, num_threads, engine)
        self.skipped_: list[tuple[str, str]] = []
        self.suspects_: list[Prediction] = []
        self._fitted: FittedModel | None = None

    @classmethod
    def from_fitted(cls, fitted: FittedModel, run: Run) -> PNI:
        """Return the estimator of a fitted model, computing as `run` says."""
        model = cls.__new__(cls)
        model._config, model._run, model._fitted = fitted.config, run, fitted
        model.weights, model.refiner_weights = member_weights(fitted.config.backbones), None
        model.skipped_, model.suspects_ = [], []
        return model

    def fit(
        self,
        images: ImagesLike,
        *,
        skip_broken: bool = False,
        progress: Progress = silent,
        checkpoint: str | os.PathLike[str] | None = None,
        false_alarms: float = FALSE_ALARMS,
        confidence: float | None = None,
        calibrate: ImagesLike | None = None,
        drop_suspects: int = 0,
        roi: RoiLike | None = None,
        store: str | os.PathLike[str] | None = None,
        tell: Tell = unheard,
        spread: Spread | None = None,
    ) -> PNI:
        """Learn what good images look like.

        Parameters
        ----------
        images
            A folder, a category in MVTec layout (then its ``train/good``), paths, PIL images, uint8 arrays
            (H, W) or (H, W, 3), an array (n, H, W, 3), or :class:`pni_fast.data.Source` objects, which keep
            the names they have.
        skip_broken
            Leave unreadable images out and list them in ``skipped_`` instead of raising.
        progress
            Called with (stage, done, total).
        checkpoint
            File that the refiner's training is kept in, with `refinement` only. Where it exists, training
            goes on from it and on a CPU gives the very model of a fit never stopped. It is left in place:
            remove it once the model is saved. Each member of an ensemble has a file, FILE-1 and so on.
        false_alarms
            The rate of good images called defective that the threshold is to promise, in (0, 1). Too few
            good images can promise no less than 1/(n + 1): ``decision_.shortage`` then says so.
        confidence
            The rate holds with this probability over the draw of the good images; None: on average over it.
        calibrate
            Good images that are not fitted on, of other days perhaps: they stand for the threshold in place
            of images left out of the fit.
        drop_suspects
            Leave out so many images, at most, that look like defects among the good, the worst first; a first
            fit finds them. What looks like one and stays is in ``suspects_``.
        roi
            A mask of the part to inspect: an image file, white there, or an array (H, W). What lies outside
            decides nothing, and maps are 0 there. One of another size than the images is scaled to them.
        store
            A folder to keep the features in. Those that are there already, of the same images by their bytes
            and the same settings, are read and not extracted: a fit that was ended early goes on from them.
        tell
            Called with one line on how large the features are and where they go, before they are made.
        spread
            Workers that read the images, extract their features and search them, in place of this process;
            the model is the same to the bit. With a store, neighborhood or refinement the features come back
            to this process, and it searches them.

        Raises
        ------
        PniError
            A checkpoint or weights of a refiner are given and refinement is off, or torch is not installed;
            a rate or `drop_suspects` is out of its range; the features have no room, or the store has others
            or is in use.
        ModelFileError
            The checkpoint is broken or of another run.
        DataError
            A path is missing, a folder is empty, an image or the mask `roi` cannot be read, or an image is
            both fitted on and for calibration.
        WeightsError
            The backbone or its weights cannot be found or do not fit.
        """
        needs("torch", "fit")  # most fits need it, and what is fitted without it is no reason to miss it
        from . import fit as fitting
        from .decision_fit import Asked

        checkpoint_file = None if checkpoint is None else Path(checkpoint)
        fitting.check_refiner_options(self._config, checkpoint_file, self.refiner_weights)
        sources = training_sources(images)
        apart = [] if calibrate is None else training_sources(calibrate)
        self.skipped_, self.suspects_ = [], []
        asked = Asked(false_alarms, confidence, apart, drop_suspects, self.suspects_.append)
        with gradients():
            self._fitted = fitting.fit(
                sources,
                self._config,
                self.weights,
                self.run.reporting(progress, tell),
                on_broken=self._skip if skip_broken else None,
                checkpoint=checkpoint_file,
                refiner_weights=self.refiner_weights,
                asked=asked,
                roi=roi,
                store=None if store is None else Path(store),
                spread=spread,
            )
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the whole model, backbone included, as one ``.safetensors`` file, by rename.

        Raises
        ------
        PniError
            The model is not fitted, or the file cannot be written.
        """
        model_file.save(self.fitted, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        device: str = "auto",
        precision: str = "auto",
        engine: str = "auto",
        num_threads: int | None = None,
    ) -> PNI:
        """Read a model that :meth:`save` wrote; nothing is unpickled and no hub is asked.

        Raises
        ------
        ModelFileError
            The file is missing, truncated, not a model of this package, or of a newer format.
        PniError
            The device is not there, cannot compute in that precision, or `num_threads` or the engine is none.
        """
        run = resolved_run(device, precision, num_threads, engine)
        return cls.from_fitted(model_file.load(path), run)

    @property
    def members_(self) -> tuple[PNI, ...]:
        """The fitted model of every backbone."""
        members = [PNI.from_fitted(member, self.run) for member in self._model("members_").members]
        for member, weights in zip(members, self.weights, strict=True):
            member.weights, member.skipped_ = (weights,), list(self.skipped_)
        return tuple(members)

    def summary(self) -> dict[str, Any]:
        """Return what the model holds, as plain values for JSON.

        Raises
        ------
        PniError
            The model is not fitted.
        """
        return self.fitted.summary()
