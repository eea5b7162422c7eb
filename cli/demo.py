"""`pni-fast demo`: the whole job on real photographs, from good images to the report."""

from __future__ import annotations

from pathlib import Path

import click
from pni_fast.errors import needs

from . import options
from .evaluate import evaluate_model, print_metrics
from .fit import fit_model
from .speech import say as tell


@click.command(short_help="Try everything on photographs that come along.")
@click.option(
    "--data", type=options.PATH, metavar="DIR", help="A category in the MVTec AD layout to use instead."
)
@click.option(
    "--output",
    "-o",
    type=options.PATH,
    default=Path("pni-fast-demo"),
    show_default=True,
    metavar="DIR",
    help="Folder for the data, the model, the scores and the report.",
)
@options.device
@options.seed
@options.threads
@options.quiet
def demo(
    *, data: Path | None, output: Path, device: str, seed: int, threads: int | None, quiet: bool
) -> None:
    """Fit, score and evaluate on a small inspection set, then print the metrics and the report's path.

    Without --data the set is built from scikit-image's photographs of brick, gravel and grass (CC0), with
    defects synthesised into its test half; nothing is downloaded.

    \b
    DIR/data/paving          the set that was built
    DIR/model.safetensors    the fitted model
    DIR/scores               scores.csv, maps and overlays of the test images
    DIR/metrics.json, DIR/report.html
    """  # noqa: D301  click's mark against rewrapping
    needs("torch", "pni-fast demo")
    needs("skimage", "pni-fast demo")
    from pni_fast.data import open_category
    from pni_fast.demo import CALIBRATION, build_demo_set

    from .scoring import score_images

    def say(line: str) -> None:
        if not quiet:
            tell(line)

    if data is None:
        say("Building the demo set")
        data = build_demo_set(output / "data")
    category = open_category(data)
    model_file = output / "model.safetensors"
    say(f"Fitting on {len(category.train)} good images")
    others = data / CALIBRATION
    model = fit_model(
        data,
        model_file,
        calibrate=others if others.is_dir() else None,
        device=device,
        seed=seed,
        threads=threads,
        quiet=quiet,
    )
    say(f"Scoring {len(category.test)} test images")
    found = [(sample.path, sample.name) for sample in category.test]
    score_images(model, found, output / "scores", maps=True, overlays=True, quiet=quiet)
    say("Evaluating")
    result = evaluate_model(model, data, output, quiet=quiet)
    if not quiet:
        print_metrics(result)
    tell(str((output / "report.html").absolute()))
