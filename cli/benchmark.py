"""`pni-fast benchmark`: the paper's tables on a whole data set."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pni_fast.config import PRESETS
from pni_fast.config.choices import DATASETS
from pni_fast.errors import needs

from . import options
from .interrupts import interrupted
from .picture import picture, settled
from .progress import shown
from .speech import say
from .summary import print_json

if TYPE_CHECKING:
    from pni_fast.benchmark import Benchmark, Failure


def _names(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Split names at commas; an option may also be given several times."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


def _presets(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    names = _names(ctx, parameter, values)
    for name in names:
        if name not in PRESETS:
            raise click.BadParameter(f"must be among {', '.join(PRESETS)}, got {name}")
    if not names:
        raise click.BadParameter("must name at least one preset, got none")
    return names


@click.command(short_help="Reproduce the paper's tables on a data set.")
@click.argument("root", type=options.PATH)
@click.option(
    "--dataset",
    type=click.Choice(DATASETS),
    required=True,
    help="Layout of ROOT; folder: every subfolder is a category in the MVTec AD layout.",
)
@click.option(
    "--output", "-o", type=options.PATH, required=True, metavar="DIR", help="Folder for the results."
)
@click.option(
    "--categories",
    multiple=True,
    callback=_names,
    metavar="NAME,...",
    help="Measure these only.  [default: all]",
)
@click.option(
    "--presets",
    multiple=True,
    default=("lite",),
    callback=_presets,
    metavar="NAME,...",
    help=f"Presets to measure: {', '.join(PRESETS)}.  [default: lite]",
)
@click.option(
    "--ablation",
    is_flag=True,
    help="Measure the preset with parts left out: lite as PatchCore, P, C, PC and PCR, paper as PatchCore, "
    "P, N, NP and NPR (Table 3).",
)
@options.backbone
@options.weights
@options.refiner_weights("--refiner-weights")
@picture
@options.settings
@options.device
@options.precision
@options.engine
@options.seed
@options.threads
@options.quiet
@options.as_json
def benchmark(
    *,
    root: Path,
    dataset: str,
    output: Path,
    categories: tuple[str, ...],
    presets: tuple[str, ...],
    ablation: bool,
    backbone: tuple[str, ...],
    weights: list[Path | None],
    refiner_weights: Path | None,
    settings: dict[str, str],
    device: str,
    precision: str,
    engine: str,
    seed: int,
    threads: int | None,
    quiet: bool,
    as_json: bool,
    **sizes: Any,
) -> None:
    """Fit and evaluate every category of the data set in ROOT, and write the paper's tables.

    A run that was stopped goes on where it stopped when the same command is given again. A category that
    cannot be used is reported and passed over; the exit status is then 1.

    \b
    DIR/benchmark.md, .csv, .json       tables; the paper's figures, marked (paper), beside ours
    DIR/figures/PRESET/CATEGORY/        precision-recall.png, scores.png, sheet-VARIANT.png
    DIR/runs/PRESET/CATEGORY/           one record for each variant: what a later run need not repeat
    """  # noqa: D301  click's mark against rewrapping
    needs("torch", "pni-fast benchmark")
    began = time.monotonic()
    settings = settled({"settings": settings, **sizes})["settings"]
    for preset in presets:
        options.check_weights(preset, backbone, weights)
    from pni_fast.benchmark import run_benchmark

    for preset in presets:
        options.check_settings(preset, settings)
    with shown(quiet=quiet) as progress:
        done = run_benchmark(
            root,
            dataset,
            output,
            categories=categories,
            presets=presets,
            ablation=ablation,
            backbone=backbone or None,
            weights=weights,
            refiner_weights=refiner_weights,
            device=device,
            precision=precision,
            engine=engine,
            num_threads=threads,
            seed=seed,
            settings=settings,
            progress=progress,
            on_failure=_report,
        )
    seconds = time.monotonic() - began
    if as_json:
        _print_result(done, seconds)
    elif not quiet:
        say(
            f"{len(done.records)} results, {done.measured} of them new, in {seconds:.1f} s. "
            f"Tables: {output / 'benchmark.md'}"
        )
    if done.failures:
        count = len(done.failures)
        raise click.ClickException(
            f"{count} {'category' if count == 1 else 'categories'} could not be measured; "
            f"the others are in {output / 'benchmark.md'}"
        )


def _report(failure: Failure) -> None:
    if interrupted():  # Ctrl-C can come out of a library as another error
        raise click.Abort
    say(f"Failed: {failure.preset} {failure.category}: {failure.error}", err=True)


def _print_result(done: Benchmark, seconds: float) -> None:
    failures = [
        {"preset": item.preset, "category": item.category, "error": item.error} for item in done.failures
    ]
    print_json(
        {
            "tables": done.output / "benchmark.json",
            "results": [
                {
                    "category": item.category,
                    "preset": item.preset,
                    "variant": item.variant,
                    **{key: value for key, value in item.metrics.items() if not key.endswith("threshold")},
                }
                for item in done.records
            ],
            "measured": done.measured,
            "failures": failures,
            "seconds": round(seconds, 3),
        }
    )
