"""`pni-fast score`: a score, and on request a map and an overlay, for every image."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pni_fast.errors import DataError, PniError

from . import options
from .decided import NONE, counted_verdicts
from .outputs import check_folder
from .progress import shown
from .results import is_ours, staged_folder
from .scores import KINDS, REGIONS, REPORT, SUMMARY, TABLE, ScoreWriter, earlier_files
from .speech import say
from .summary import print_json, skipped_records, warn_skipped

if TYPE_CHECKING:
    from pni_fast.decision import Drift
    from pni_fast.model.pni import PNI

DEFECTIVE = 3
"""Exit status, where it is asked for, of a run with a defective image."""


@click.command(short_help="Score images.")
@click.argument("model", type=options.PATH)
@click.argument("inputs", type=options.PATH, nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "--output", "-o", type=options.PATH, required=True, metavar="DIR", help="Folder for the results."
)
@click.option("--maps", is_flag=True, help="Also write the anomaly maps.")
@click.option("--overlays", is_flag=True, help="Also write the maps drawn over the photographs.")
@click.option("--report", is_flag=True, help="Also write report.html, a page for people.")
@click.option(
    "--min-area",
    type=click.FloatRange(min=0),
    default=0,
    metavar="PIXELS",
    help="Leave regions of fewer pixels of the photograph out.",
)
@click.option("--exit-code", is_flag=True, help="End with status 3 when an image is defective.")
@options.device
@options.precision
@options.threads
@options.skip_broken
@options.quiet
@options.as_json
def score(
    *,
    model: Path,
    inputs: tuple[Path, ...],
    output: Path,
    maps: bool,
    overlays: bool,
    report: bool,
    min_area: float,
    exit_code: bool,
    device: str,
    precision: str,
    threads: int | None,
    skip_broken: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Score every INPUT, images or folders of them, with the fitted MODEL; a higher score is more anomalous.

    \b
    DIR/scores.csv           columns image,score,p_value,verdict; one row an image, in input order
    DIR/regions.csv          columns image,x,y,width,height,area,peak: where defective images are defective,
                             in pixels of the photograph
    DIR/summary.json         counts, the threshold, and whether images have drifted from those fitted
    DIR/maps/NAME.npy        float32 anomaly map (height, width), with --maps
    DIR/overlays/NAME.png    the map over the photograph, regions outlined, with --overlays
    DIR/report.html          all of it on a page, with --report

    An image is defective whose score is above the model's threshold, and p_value says how likely a good image
    scores as much. Change the threshold with `pni-fast threshold`.

    NAME is the image's path relative to its INPUT, without the image's suffix; where two images differ only
    in their suffix, every NAME of the run keeps it (000.jpg.npy). Results appear all together at the end, in
    place of those of an earlier run; other files in DIR stay.
    """  # noqa: D301  click's mark against rewrapping
    began = time.monotonic()
    from pni_fast.data import collect_inputs

    found = _without_own_overlays(collect_inputs(inputs), output)
    check_folder(output)
    from pni_fast.model.pni import PNI  # seconds: what can be refused without it has been

    fitted = PNI.load(model, device=device, precision=precision, num_threads=threads)
    if exit_code and fitted.threshold_ is None:
        raise PniError(f"{model}: --exit-code needs a threshold. {NONE}")
    run = score_images(
        fitted,
        found,
        output,
        maps=maps,
        overlays=overlays,
        report=report,
        min_area=min_area,
        skip_broken=skip_broken,
        quiet=quiet,
    )
    warn_skipped(run.skipped)
    if as_json:
        print_json(
            {
                "scores": output / TABLE,
                "maps": output / "maps" if maps else None,
                "overlays": output / "overlays" if overlays else None,
                "regions": output / REGIONS if run.told else None,
                "summary": output / SUMMARY,
                "report": output / REPORT if report else None,
                "images": run.images,
                "defective": run.defective if run.told else None,
                "good": run.images - run.defective if run.told else None,
                "drift": None if run.drift is None else run.drift.as_dict(),
                "skipped": skipped_records(run.skipped),
                "seconds": round(time.monotonic() - began, 3),
            }
        )
    elif not quiet:
        seconds = time.monotonic() - began
        counts = f": {counted_verdicts(run.defective, run.images)}" if run.told else ""
        say(f"Scored {run.images} images in {seconds:.1f} s{counts}. Scores: {output / TABLE}")
        if not run.told:
            say(f"{NONE}.")
    if run.drift is not None and run.drift.found and not quiet:
        say(f"Drift: {run.drift.words}.", err=True)
    if exit_code and run.defective:
        raise click.exceptions.Exit(DEFECTIVE)


@dataclass
class ScoreRun:
    """What was written: images scored, (name, reason) of those skipped, verdicts and drift."""

    images: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    defective: int = 0
    told: bool = False
    drift: Drift | None = None


def score_images(
    model: PNI,
    found: Sequence[tuple[Path, str]],
    output: Path,
    *,
    maps: bool = False,
    overlays: bool = False,
    report: bool = False,
    min_area: float = 0,
    skip_broken: bool = False,
    quiet: bool = False,
) -> ScoreRun:
    """Score the images `found`, pairs of path and relative name, and write the results into `output`.

    Memory does not grow with the number of images, but for their names.

    Raises
    ------
    PniError
        `output` cannot be written, an image is broken (without `skip_broken`), or all are.
    """
    from pni_fast.data import Source
    from pni_fast.report import Production, colour_scale
    from pni_fast.runtime.files import mark_results

    from .verdicts import Verdicts

    run = ScoreRun()
    with (
        staged_folder(
            output,
            TABLE,
            (*KINDS, REGIONS, SUMMARY, REPORT),
            earlier_files(output),
            sometimes=(REGIONS, REPORT),
        ) as folder,
        shown(quiet=quiet) as progress,
        ScoreWriter(
            folder,
            maps=maps,
            overlays=overlays,
            names=[name for _, name in found],
            value_range=colour_scale(model.normalization_),
            output=output,
        ) as writer,
        Verdicts(
            folder,
            getattr(model, "decision_", None),
            getattr(model, "geometry", None),
            min_area=min_area,
            output=output,
        ) as verdicts,
    ):
        if is_ours(output):
            mark_results(folder, output)
        page = None
        if report:
            page = Production(output.resolve().name, verdicts.decision, colour_scale(model.normalization_))
        sources = [Source(name, path) for path, name in found]
        for prediction in model.predict(sources, skip_broken=skip_broken, progress=progress):
            mask = verdicts.add(prediction.name, prediction)
            writer.write(prediction.name, prediction, mask)
            if page is not None:
                page.add(prediction.name, prediction, mask)
            run.images += 1
        run.skipped = model.skipped_
        if not run.images:
            raise DataError(f"no image could be read, of {len(found)}; the first: {run.skipped[0][1]}")
        verdicts.write_summary(len(run.skipped))
        if page is not None:
            page.write(folder / REPORT, drift=verdicts.drift(), skipped=run.skipped)
        run.defective, run.told, run.drift = verdicts.defective, verdicts.told, verdicts.drift()
    return run


def _without_own_overlays(found: list[tuple[Path, str]], output: Path) -> list[tuple[Path, str]]:
    """Leave out the overlays of an earlier run, when the results lie inside the folder that is scored."""
    own = (output / "overlays").resolve()
    if not own.is_dir():
        return found
    kept = [(path, name) for path, name in found if own not in path.resolve().parents]
    if not kept:
        raise DataError(f"{own}: nothing to score but the overlays of an earlier run")
    return kept
