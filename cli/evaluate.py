"""`pni-fast evaluate`: metrics and the report for a category with a labelled test set."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pni_fast.config.choices import INSPECTED, MAP_SIZES, METRICS

from . import options
from .computing import Computing, computing
from .outputs import check_folder
from .progress import shown
from .results import staged_folder
from .speech import say
from .summary import print_json

if TYPE_CHECKING:
    from pni_fast.evaluation import Evaluation
    from pni_fast.model.pni import PNI


COMPARED = 50
"""Images in the report, at most, that the normal ones are shown with which context held them against."""


@click.command(short_help="Measure a model on a labelled test set.")
@click.argument("model", type=options.PATH)
@click.argument("category", type=options.PATH, metavar="CATEGORY_DIR")
@click.option(
    "--output", "-o", type=options.PATH, required=True, metavar="DIR", help="Folder for the results."
)
@click.option(
    "--metrics-size",
    type=click.Choice(MAP_SIZES),
    default=INSPECTED,
    show_default=True,
    help="Where pixels are counted: at the size that the model sees, or each photograph's own.",
)
@computing
@options.quiet
@options.as_json
def evaluate(
    *,
    model: Path,
    category: Path,
    output: Path,
    metrics_size: str,
    computing: Computing,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure the fitted MODEL on CATEGORY_DIR/test and write the metrics and a report.

    CATEGORY_DIR is a category in the MVTec AD layout: test/good, test/DEFECT and ground_truth/DEFECT.

    \b
    DIR/metrics.json    own_threshold (false alarms and misses at the model's threshold), image_auroc,
                        image_f1_max, pixel_auroc, pixel_f1_max, aupro
    DIR/report.html     one self-contained page: metrics, score histogram, every image, worst mistakes first;
                        with context also the normal images that those called defective were held against
    """  # noqa: D301  click's mark against rewrapping
    began = time.monotonic()
    from pni_fast.data import open_category

    open_category(category)  # refuses a folder without a test set before the model is loaded
    check_folder(output)

    fitted = computing.load(model, quiet=quiet)
    result = evaluate_model(fitted, category, output, metrics_size=metrics_size, quiet=quiet)
    if as_json:
        print_json(
            {
                "own_threshold": None if result.own_threshold is None else result.own_threshold.as_dict(),
                **{name: result.metrics.as_dict()[name] for name in METRICS},
                "notes": result.notes,
                "metrics": output / "metrics.json",
                "report": output / "report.html",
                "seconds": round(time.monotonic() - began, 3),
            }
        )
    elif not quiet:
        print_metrics(result)
        say(f"Report: {output / 'report.html'}")


def evaluate_model(
    model: PNI, category: Path, output: Path, *, metrics_size: str = INSPECTED, quiet: bool = False
) -> Evaluation:
    """Evaluate, write ``metrics.json`` and ``report.html`` into `output`, and return the outcome.

    Raises
    ------
    PniError
        `output` cannot be written, or the category's test set cannot be used.
    """
    from pni_fast.data import open_category
    from pni_fast.evaluation import evaluate as evaluate_category
    from pni_fast.evaluation import write_metrics
    from pni_fast.report import write_report

    page = ("report.html",)
    with (
        staged_folder(output, "metrics.json", page, writes=page) as folder,
        shown(quiet=quiet) as progress,
    ):
        result = evaluate_category(
            *(model, open_category(category)), compared=COMPARED, progress=progress, at=metrics_size
        )
        write_report(result, folder / "report.html")
        write_metrics(result, folder / "metrics.json")
    return result


def print_metrics(result: Evaluation) -> None:
    """Print what the model's threshold does, the five metrics, a dash where one cannot be had, and the notes.

    The best F1 looks at the answers: no threshold on a line can do that.
    """
    for line in [] if result.own_threshold is None else result.own_threshold.lines:
        say(line)
    values = result.metrics.as_dict()
    for name in METRICS:
        value = values[name]
        click.echo(f"{name:<14}{'-' if value is None else f'{value:.4f}'}")
    for note in result.notes:
        click.echo(f"Note: {''.join(sign if sign.isprintable() else '?' for sign in note)}")
