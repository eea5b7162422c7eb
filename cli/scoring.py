"""A run of `pni-fast score`, from the images found to the folder of results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pni_fast.config.choices import INSPECTED, ORIGINAL
from pni_fast.errors import DataError
from pni_fast.progress import silent

from .names import keeps_suffixes, result_name
from .outcome import Outcome
from .progress import shown
from .results import is_ours, staged_folder
from .resume import begin, left_by
from .scores import KINDS, REGIONS, REPORT, SUMMARY, TABLE, ScoreWriter, earlier_files
from .verdicts import Verdicts

if TYPE_CHECKING:
    from pni_fast.data import Source
    from pni_fast.decision import Drift
    from pni_fast.model.pni import PNI
    from pni_fast.model.prediction import Prediction
    from pni_fast.model.spread import Spread
    from pni_fast.report import Production


@dataclass
class ScoreRun:
    """What was written: images scored, (name, reason) of those skipped, verdicts and drift."""

    images: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    before: int = 0
    """Images that were done in the run that was ended early."""
    defective: int = 0
    told: bool = False
    """Whether images are called good or defective."""
    drift: Drift | None = None


def _to_be_written(names: Sequence[str], *, maps: bool, overlays: bool, report: bool) -> Iterator[str]:
    """Yield what a run writes beside its table, as far as names do not meet."""
    yield SUMMARY
    yield REGIONS
    if report:
        yield REPORT
    keep = keeps_suffixes(names)
    for kind, wanted in (("maps", maps), ("overlays", overlays)):
        for name in names if wanted else ():
            yield f"{kind}/{result_name(name, KINDS[kind], keep_suffix=keep)}"


Tell = Callable[[Mapping[str, object]], None]
"""Told of every image, in order, what `--json-lines` prints."""


def score_images(
    model: PNI,
    found: Sequence[tuple[Path, str]],
    output: Path,
    *,
    maps: bool = False,
    maps_size: str = INSPECTED,
    overlays: bool = False,
    report: bool = False,
    min_area: float = 0,
    skip_broken: bool = False,
    quiet: bool = False,
    run: Mapping[str, str] | None = None,
    resume: bool = False,
    tell: Tell | None = None,
    spread: Spread | None = None,
) -> ScoreRun:
    """Score the images `found`, pairs of path and relative name, and write the results into `output`.

    Memory does not grow with the number of images, but for their names and what the table says of them.

    Parameters
    ----------
    model, found, output, maps, maps_size, overlays, report, min_area, skip_broken, quiet
        As for the command.
    run
        The run's :func:`.resume.identity`, without which it cannot be resumed.
    resume
        Go on from what a run with this identity has left.
    tell
        Told of every image.
    spread
        Workers that make the maps.

    Raises
    ------
    PniError
        `output` cannot be written, an image is broken (without `skip_broken`), or all are, or what is to be
        resumed is another run.
    """
    from pni_fast.data import Source
    from pni_fast.report.heatmap import colour_scale
    from pni_fast.runtime.files import mark_results

    scale = colour_scale(model.normalization_)
    left = left_by(run, output) if resume and run is not None else None
    with (
        staged_folder(
            output,
            TABLE,
            (*KINDS, REGIONS, SUMMARY, REPORT),
            earlier_files(output),
            sometimes=(REGIONS, REPORT),
            writes=_to_be_written([name for _, name in found], maps=maps, overlays=overlays, report=report),
            left=left,
        ) as folder,
        shown(quiet=quiet) as progress,
        Verdicts(
            folder,
            model.decision_,
            model.geometry,
            min_area=min_area,
            output=output,
            resume=resume,
        ) as verdicts,
        ScoreWriter(
            folder,
            maps=maps,
            overlays=overlays,
            names=[name for _, name in found],
            value_range=scale,
            output=output,
            resume=resume,
            beside=verdicts.whole,
            original=model.geometry if maps_size == ORIGINAL else None,
        ) as writer,
    ):
        if run is not None:
            begin(folder, run)
        if is_ours(output):
            mark_results(folder, output)
        verdicts.begin(writer.done)
        page = None
        if report:
            from pni_fast.report import Production

            page = Production(output.resolve().name, verdicts.decision, scale)
        scoring = _Scoring(found, writer, verdicts, page, output, tell)
        again = scoring.repeat()
        for prediction in model.predict(again, skip_broken=skip_broken, progress=silent) if again else ():
            scoring.show(prediction)
        first = scoring.done.before
        sources = [Source(name, path) for path, name in found[first:]]
        if sources:

            def shifted(stage: str, count: int, total: int) -> None:
                progress(stage, first + count, first + total)

            predict = model.predict if spread is None else partial(model.predict, spread=spread)
            for prediction in predict(sources, skip_broken=skip_broken, progress=shifted):
                scoring.add(prediction, model.skipped_)
            scoring.skip(model.skipped_)
        done = scoring.done
        if not done.images:
            raise DataError(f"no image could be read, of {len(found)}; the first: {done.skipped[0][1]}")
        verdicts.write_summary(len(done.skipped))
        done.defective, done.told, done.drift = verdicts.defective, verdicts.told, verdicts.drift()
        if page is not None:
            page.write(folder / REPORT, drift=done.drift, skipped=done.skipped)
    return done


class _Scoring:
    """Where a run is among its images: which is written next, and which were left out before it."""

    def __init__(
        self,
        found: Sequence[tuple[Path, str]],
        writer: ScoreWriter,
        verdicts: Verdicts,
        page: Production | None,
        output: Path,
        tell: Tell | None,
    ) -> None:
        self._found, self._output = found, output
        self._writer, self._verdicts, self._page = writer, verdicts, page
        self._tell = (lambda _: None) if tell is None else tell
        self._next = self._seen = 0
        self.done = ScoreRun()

    def repeat(self) -> list[Source]:
        """Tell of the images that were done before; return those that are to be shown once more."""
        from pni_fast.data import Source

        files = iter(self._writer.files_of_done)
        scored: list[tuple[tuple[Path, str], Outcome]] = []
        for image, outcome in zip(self._found, self._writer.done, strict=False):
            if outcome.reason is None:
                scored.append((image, outcome))
                self._say(image[1], outcome, next(files))
            else:
                self._leave_out(image[1], outcome.reason)
        self._next = self.done.before = len(self._writer.done)
        if self._page is None:
            return []
        numbers = self._page.shown([(outcome.value, outcome.is_defective) for _, outcome in scored])
        return [Source(name, path) for path, name in (scored[number][0] for number in numbers)]

    def show(self, prediction: Prediction) -> None:
        """Give the page the pictures of an image."""
        if self._page is not None:
            self._page.show(prediction.name, prediction, self._verdicts.marked(prediction))

    def add(self, prediction: Prediction, skipped: Sequence[tuple[str, str]]) -> None:
        """Write what is said of an image, once those left out before it are noted."""
        while self._next < len(self._found) and self._is_skipped(prediction.path, skipped):
            self._skip_next(skipped)
        mask = self._verdicts.add(self._next, prediction.name, prediction)
        files = self._writer.write(prediction.name, prediction, mask)
        self._next += 1
        self._say(prediction.name, Outcome.of(prediction), files)
        if self._page is not None:
            self._page.show(prediction.name, prediction, mask)

    def skip(self, skipped: Sequence[tuple[str, str]]) -> None:
        """Note those that were left out at the end."""
        while self._seen < len(skipped):
            self._skip_next(skipped)

    def _is_skipped(self, path: Path | None, skipped: Sequence[tuple[str, str]]) -> bool:
        own, name = self._found[self._next]
        return own != path and self._seen < len(skipped) and skipped[self._seen][0] == name

    def _skip_next(self, skipped: Sequence[tuple[str, str]]) -> None:
        name, reason = skipped[self._seen]
        self._writer.skip(self._next, reason)
        self._leave_out(name, reason)
        self._seen += 1
        self._next += 1

    def _leave_out(self, name: str, reason: str) -> None:
        self.done.skipped.append((name, reason))
        self._tell({"image": name, "error": reason})

    def _say(self, name: str, outcome: Outcome, files: Mapping[str, str]) -> None:
        """Count an image, and say on the page and to whoever listens what came of it."""
        self.done.images += 1
        if self._page is not None:
            self._page.enter(name, outcome.value, outcome.chance, outcome.is_defective)
        places = {kind[:-1]: self._output / kind / relative for kind, relative in files.items()}
        self._tell({"image": name, **outcome.as_dict(), **places})
