"""`pni-fast compare`: what changes where one model takes the place of another."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import click
from pni_fast.config.choices import VERDICTS
from pni_fast.errors import PniError

from . import options
from .computing import Computing, computing
from .names import cell
from .outputs import check_folder
from .progress import shown
from .results import staged_folder
from .speech import say
from .summary import print_json

TABLE, REPORT = "changes.csv", "report.html"
COLUMNS = ("image", "score", "verdict", "score_2", "verdict_2")


@click.command(short_help="Show which verdicts another model changes.")
@click.argument("model", type=options.PATH)
@click.argument("model_2", type=options.PATH, metavar="MODEL2")
@click.argument("inputs", type=options.PATH, nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "--output", "-o", type=options.PATH, required=True, metavar="DIR", help="Folder for the results."
)
@computing
@options.quiet
@options.as_json
def compare(
    *,
    model: Path,
    model_2: Path,
    inputs: tuple[Path, ...],
    output: Path,
    computing: Computing,
    quiet: bool,
    as_json: bool,
) -> None:
    """Score every INPUT, images or folders of them, with MODEL and MODEL2 and show which verdicts change.

    \b
    DIR/changes.csv    columns image,score,verdict,score_2,verdict_2; the largest change first
    DIR/report.html    the images whose verdict changes, with both maps
    """  # noqa: D301  click's mark against rewrapping
    began = time.monotonic()
    from pni_fast.data import Source, collect_inputs

    sources = [Source(name, path) for path, name in collect_inputs(inputs)]
    check_folder(output)
    from pni_fast.report.compared import Comparison
    from pni_fast.runtime.table import table_writer

    models = [computing.load(file, quiet=quiet) for file in (model, model_2)]
    for file, one in zip((model, model_2), models, strict=True):
        if one.threshold_ is None:
            raise PniError(f"{file}: has no threshold, so no verdict to compare; see pni-fast threshold")
    comparison = Comparison((model.name, model_2.name), [one.decision_ for one in models])
    page = (REPORT,)
    with (
        staged_folder(output, TABLE, page, writes=page) as folder,
        shown(quiet=quiet) as progress,
    ):
        both = (one.predict(sources, progress=progress) for one in models)
        ranges = [one.normalization_ for one in models]
        for source, first, second in zip(sources, *both, strict=True):
            comparison.add(source.name, first, second, ranges)
        comparison.write(folder / REPORT)
        with (folder / TABLE).open("w", encoding="utf-8", errors="surrogateescape", newline="") as table:
            rows = table_writer(table)
            rows.writerow(COLUMNS)
            for name, scores, verdicts in comparison.changed:
                pairs = zip(scores, verdicts, strict=True)
                cells = [text for score, told in pairs for text in (f"{score:.9g}", VERDICTS[told])]
                rows.writerow((cell(name), *cells))
    ways = Counter(verdicts for _, _, verdicts in comparison.changed)
    if as_json:
        print_json(
            {
                "changes": output / TABLE,
                "report": output / REPORT,
                "images": len(sources),
                "changed": len(comparison.changed),
                "now_defective": ways[False, True],
                "now_good": ways[True, False],
                "seconds": round(time.monotonic() - began, 3),
            }
        )
    elif not quiet:
        say(
            f"{len(comparison.changed)} of {len(sources)} verdicts change: {ways[False, True]} to defective, "
            f"{ways[True, False]} to good. Report: {output / REPORT}"
        )
