"""`pni-fast score`: a score, and on request a map and an overlay, for every image."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click
from pni_fast.config.choices import INSPECTED, MAP_SIZES
from pni_fast.errors import DataError, PniError

from . import options
from .computing import Computing, computing
from .decision import NONE, counted_verdicts
from .outputs import check_folder
from .ray import spread_on
from .ray import workers as ray_workers
from .record import written_before
from .resume import identity
from .scores import KINDS, REGIONS, REPORT, SUMMARY, TABLE, earlier_files
from .speech import say
from .summary import print_json, print_line, skipped_records, warn_skipped

DEFECTIVE = 3
"""Exit status, where it is asked for, of a run with a defective image."""


@click.command(short_help="Score images.")
@click.argument("model", type=options.PATH)
@click.argument("inputs", type=options.PATH, nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "--output", "-o", type=options.PATH, required=True, metavar="DIR", help="Folder for the results."
)
@click.option("--maps", is_flag=True, help="Also write the anomaly maps.")
@click.option(
    "--maps-size",
    type=click.Choice(MAP_SIZES),
    default=INSPECTED,
    show_default=True,
    help="Size of those maps: that of what the model sees, or each photograph's own.",
)
@click.option("--overlays", is_flag=True, help="Also write the maps drawn over the photographs.")
@click.option("--report", is_flag=True, help="Also write report.html, a page for people.")
@click.option(
    "--min-area",
    type=options.FiniteRange(min=0),
    default=0,
    metavar="PIXELS",
    help="Leave regions of fewer pixels of the photograph out.",
)
@click.option("--exit-code", is_flag=True, help="End with status 3 when an image is defective.")
@ray_workers("Score the images")
@computing
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
    maps_size: str,
    overlays: bool,
    report: bool,
    min_area: float,
    exit_code: bool,
    ray: str | None,
    workers: int | None,
    gpus_per_worker: float | None,
    computing: Computing,
    skip_broken: bool,
    resume: bool,
    quiet: bool,
    as_json: bool,
    json_lines: bool,
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
    place of those of an earlier run; other files in DIR stay. Until then they are in a hidden folder,
    DIR/.pni-fast-*, where they can be watched; a run that is killed leaves it for --resume.
    """  # noqa: D301  click's mark against rewrapping
    began = time.monotonic()
    if as_json and json_lines:
        raise click.UsageError("--json and --json-lines both print to standard output; give one of them")
    if maps_size != INSPECTED and not maps:
        raise click.UsageError(f"--maps-size {maps_size} needs --maps")
    from pni_fast.data import collect_inputs

    found = _without_own_overlays(collect_inputs(inputs), output)
    check_folder(output)
    from pni_fast.model.file import identity as model_identity

    from .scoring import score_images

    fitted = computing.load(model, quiet=quiet)
    if exit_code and fitted.threshold_ is None:
        raise PniError(f"{model}: --exit-code needs a threshold. {NONE}")
    options_used = {
        "maps": maps,
        "maps_size": maps_size,
        "overlays": overlays,
        "report": report,
        "min_area": min_area,
        "skip_broken": skip_broken,
        "device": fitted.device,
        "precision": fitted.precision.arithmetic,
        "engines": fitted.engines,
    }
    with spread_on(ray, workers, gpus_per_worker, fitted.run) as spread:
        run = score_images(
            fitted,
            found,
            output,
            maps=maps,
            maps_size=maps_size,
            overlays=overlays,
            report=report,
            min_area=min_area,
            skip_broken=skip_broken,
            quiet=quiet,
            run=identity(model_identity(model), found, options_used),
            resume=resume,
            tell=print_line if json_lines else None,
            spread=spread,
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
        before = f", {run.before} of them before" if run.before else ""
        counts = f": {counted_verdicts(run.defective, run.images)}" if run.told else ""
        say(
            f"Scored {run.images} images in {seconds:.1f} s{before}{counts}. Scores: {output / TABLE}",
            err=json_lines,
        )
        if not run.told:
            say(f"{NONE}.", err=json_lines)
    if run.drift is not None and run.drift.found and not quiet:
        say(f"Drift: {run.drift.words}.", err=True)
    if exit_code and run.defective:
        raise click.exceptions.Exit(DEFECTIVE)


def _without_own_overlays(found: list[tuple[Path, str]], output: Path) -> list[tuple[Path, str]]:
    """Leave out the overlays of an earlier run, when the results lie inside the folder that is scored.

    Those of today's versions are in a folder with a mark, which nobody reads.
    """
    folder = Path(os.path.realpath(output))
    own = {folder / name for name in written_before(folder, TABLE, KINDS, earlier_files(output))}
    if not own:
        return found
    kept = [(path, name) for path, name in found if Path(os.path.realpath(path)) not in own]
    if not kept:
        raise DataError(f"{output / 'overlays'}: nothing to score but the overlays of an earlier run")
    return kept
