"""`pni-fast score`: a score, and on request a map and an overlay, for every image."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pni_fast.errors import DataError

from . import options
from .outputs import check_folder
from .progress import shown
from .results import is_ours, staged_folder
from .resume import begin, identity, left_by
from .scores import KINDS, TABLE, ScoreWriter, earlier_files, score_text
from .speech import say
from .summary import print_json, print_line, skipped_records, warn_skipped

if TYPE_CHECKING:
    from pni_fast.model.pni import PNI
    from pni_fast.model.prediction import Prediction


@click.command(short_help="Score images.")
@click.argument("model", type=options.PATH)
@click.argument("inputs", type=options.PATH, nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "--output", "-o", type=options.PATH, required=True, metavar="DIR", help="Folder for the results."
)
@click.option("--maps", is_flag=True, help="Also write the anomaly maps.")
@click.option("--overlays", is_flag=True, help="Also write the maps drawn over the photographs.")
@options.device
@options.precision
@options.engine
@options.threads
@options.skip_broken
@click.option(
    "--resume",
    is_flag=True,
    help="Go on from where a run with the same inputs, model and options was ended, and keep what is done "
    "if this one is.",
)
@options.quiet
@options.as_json
@click.option("--json-lines", is_flag=True, help="Print one JSON object an image, as soon as it is scored.")
def score(
    *,
    model: Path,
    inputs: tuple[Path, ...],
    output: Path,
    maps: bool,
    overlays: bool,
    device: str,
    precision: str,
    engine: str,
    threads: int | None,
    skip_broken: bool,
    resume: bool,
    quiet: bool,
    as_json: bool,
    json_lines: bool,
) -> None:
    """Score every INPUT, images or folders of them, with the fitted MODEL; a higher score is more anomalous.

    \b
    DIR/scores.csv           columns image,score; one row an image, in input order
    DIR/maps/NAME.npy        float32 anomaly map (height, width), with --maps
    DIR/overlays/NAME.png    the map over the photograph, with --overlays

    NAME is the image's path relative to its INPUT, without the image's suffix; where two images differ only
    in their suffix, every NAME of the run keeps it (000.jpg.npy). Results appear all together at the end, in
    place of those of an earlier run; other files in DIR stay. Until then they are in a hidden folder,
    DIR/.pni-fast-*, where they can be watched; a run that is killed leaves it for --resume.
    """  # noqa: D301  click's mark against rewrapping
    began = time.monotonic()
    if as_json and json_lines:
        raise click.UsageError("--json and --json-lines both print to standard output; give one of them")
    from pni_fast.data import collect_inputs

    found = _without_own_overlays(collect_inputs(inputs), output)
    check_folder(output)
    from pni_fast.model.file import identity as model_identity
    from pni_fast.model.pni import PNI  # what can be refused without it has been

    fitted = PNI.load(model, device=device, precision=precision, engine=engine, num_threads=threads)
    options_used = {
        "maps": maps,
        "overlays": overlays,
        "skip_broken": skip_broken,
        "device": fitted.device,
        "precision": fitted.precision.arithmetic,
        "engines": fitted.engines,
    }
    run = score_images(
        fitted,
        found,
        output,
        maps=maps,
        overlays=overlays,
        skip_broken=skip_broken,
        quiet=quiet,
        run=identity(model_identity(model), found, options_used),
        resume=resume,
        tell=print_line if json_lines else None,
    )
    warn_skipped(run.skipped)
    if as_json:
        print_json(
            {
                "scores": output / TABLE,
                "maps": output / "maps" if maps else None,
                "overlays": output / "overlays" if overlays else None,
                "images": run.images,
                "skipped": skipped_records(run.skipped),
                "seconds": round(time.monotonic() - began, 3),
            }
        )
    elif not quiet:
        seconds = time.monotonic() - began
        before = f", {run.before} of them before" if run.before else ""
        say(
            f"Scored {run.images} images in {seconds:.1f} s{before}. Scores: {output / TABLE}", err=json_lines
        )


@dataclass
class ScoreRun:
    """What was written: the number of images scored, and (name, reason) of those skipped."""

    images: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    before: int = 0
    """Images that were done in the run that was ended early."""


Tell = Callable[[Mapping[str, object]], None]
"""Told of every image, in order, what `--json-lines` prints."""


def score_images(
    model: PNI,
    found: Sequence[tuple[Path, str]],
    output: Path,
    *,
    maps: bool = False,
    overlays: bool = False,
    skip_broken: bool = False,
    quiet: bool = False,
    run: Mapping[str, str] | None = None,
    resume: bool = False,
    tell: Tell | None = None,
) -> ScoreRun:
    """Score the images `found`, pairs of path and relative name, and write the results into `output`.

    Memory does not grow with the number of images, but for their names.

    Parameters
    ----------
    model, found, output, maps, overlays, skip_broken, quiet
        As for the command.
    run
        The run's :func:`.resume.identity`, without which it cannot be resumed.
    resume
        Go on from what a run with this identity has left.
    tell
        Told of every image.

    Raises
    ------
    PniError
        `output` cannot be written, an image is broken (without `skip_broken`), or all are, or what is to be
        resumed is another run.
    """
    from pni_fast.data import Source
    from pni_fast.report.heatmap import colour_scale
    from pni_fast.runtime.files import mark_results

    done = ScoreRun()
    left = left_by(run, output) if resume and run is not None else None
    with (
        staged_folder(output, TABLE, KINDS, earlier_files(output), left=left) as folder,
        shown(quiet=quiet) as progress,
        ScoreWriter(
            folder,
            maps=maps,
            overlays=overlays,
            names=[name for _, name in found],
            value_range=colour_scale(model.normalization_),
            output=output,
            resume=resume,
        ) as writer,
    ):
        if run is not None:
            begin(folder, run)
        if is_ours(output):
            mark_results(folder, output)
        scoring = _Scoring(found, writer, done, output, tell)
        scoring.repeat()
        first = done.before
        sources = [Source(name, path) for path, name in found[first:]]
        if sources:

            def shifted(stage: str, count: int, total: int) -> None:
                progress(stage, first + count, first + total)

            for prediction in model.predict(sources, skip_broken=skip_broken, progress=shifted):
                scoring.add(prediction, model.skipped_)
            scoring.skip(model.skipped_)
        if not done.images:
            raise DataError(f"no image could be read, of {len(found)}; the first: {done.skipped[0][1]}")
    return done


class _Scoring:
    """Where a run is among its images: which is written next, and which were left out before it."""

    def __init__(
        self,
        found: Sequence[tuple[Path, str]],
        writer: ScoreWriter,
        done: ScoreRun,
        output: Path,
        tell: Tell | None,
    ) -> None:
        self._found, self._writer, self._done, self._output = found, writer, done, output
        self._tell = (lambda _: None) if tell is None else tell
        self._next = self._seen = 0

    def repeat(self) -> None:
        """Tell of the images that were done before."""
        files = iter(self._writer.files_of_done)
        for (_, name), outcome in zip(self._found, self._writer.done, strict=False):
            if outcome.reason is None:
                self._done.images += 1
                self._say(name, outcome.score, next(files))
            else:
                self._leave_out(name, outcome.reason)
        self._next = self._done.before = len(self._writer.done)

    def add(self, prediction: Prediction, skipped: Sequence[tuple[str, str]]) -> None:
        """Write what is said of an image, once those left out before it are noted."""
        while self._next < len(self._found) and self._is_skipped(prediction.path, skipped):
            self._skip_next(skipped)
        files = self._writer.write(prediction.name, prediction)
        self._next += 1
        self._done.images += 1
        self._say(prediction.name, score_text(prediction.score), files)

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
        self._done.skipped.append((name, reason))
        self._tell({"image": name, "error": reason})

    def _say(self, name: str, score: str, files: Mapping[str, str]) -> None:
        places = {kind[:-1]: self._output / kind / relative for kind, relative in files.items()}
        self._tell({"image": name, "score": float(score), **places})


def _without_own_overlays(found: list[tuple[Path, str]], output: Path) -> list[tuple[Path, str]]:
    """Leave out the overlays of an earlier run, when the results lie inside the folder that is scored."""
    own = (output / "overlays").resolve()
    if not own.is_dir():
        return found
    kept = [(path, name) for path, name in found if own not in path.resolve().parents]
    if not kept:
        raise DataError(f"{own}: nothing to score but the overlays of an earlier run")
    return kept
