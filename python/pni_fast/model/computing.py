"""What a model computes with: its settings, its run, and the fitted model behind it."""

from __future__ import annotations

from pni_fast.config import Config, Geometry
from pni_fast.errors import PniError
from pni_fast.features.engines.choose import choose_engine
from pni_fast.runtime.device import Device
from pni_fast.runtime.precision import Precision
from pni_fast.runtime.run import Run

from .attributes import FittedAttributes
from .ensemble import FittedModel


def resolved_run(device: str, precision: str, num_threads: int | None, engine: str) -> Run:
    """Return the run of what a caller asks for, its engine installed; see :meth:`.Run.resolve`."""
    run = Run.resolve(device, precision, num_threads, engine=engine)
    if engine != "auto":
        choose_engine(engine, run.device.type)
    return run


class Computing(FittedAttributes):
    """Settings and run of a model; :class:`pni_fast.PNI` has the rest."""

    _config: Config
    _run: Run

    @property
    def config(self) -> Config:
        """All settings: those asked for, or those of the fitted model."""
        return self._config if self._fitted is None else self._fitted.config

    @property
    def run(self) -> Run:
        """Device, precision and threads as one, for those who build on this class."""
        return self._run

    @property
    def device(self) -> Device:
        """Where the networks run."""
        return self._run.device

    @property
    def precision(self) -> Precision:
        """What the networks compute in."""
        return self._run.precision

    @property
    def engines(self) -> list[str]:
        """What runs the backbone of each member, of :data:`pni_fast.config.choices.ENGINES`."""
        return [member.extractor.engine(self.run) for member in self.fitted.members]

    @property
    def num_threads(self) -> int:
        """CPU threads; results do not depend on them."""
        return self._run.threads

    @property
    def geometry(self) -> Geometry:
        """How images and masks are cropped."""
        return self.config.geometry

    @property
    def fitted(self) -> FittedModel:
        """The fitted model behind this estimator.

        Raises
        ------
        PniError
            There is none yet.
        """
        if self._fitted is None:
            raise PniError("this PNI is not fitted yet; call fit() or PNI.load() first")
        return self._fitted
