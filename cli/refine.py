"""`pni-fast refine`: one refinement network for the models of many categories."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
from pni_fast.errors import needs

from . import options
from .kinds import MODEL
from .outputs import SMALLEST_MODEL, check_folder, check_writable, refuse_inputs
from .progress import shown
from .results import staged_folder
from .speech import say
from .summary import print_json, skipped_records, warn_skipped


class ManyModels(click.Command):
    """A command whose ``--models`` takes every value up to the next option, as a shell gives them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat ``--models`` before each of its values, which is what click reads.

        Raises
        ------
        click.BadOptionUsage
            It has no value.
        """
        spread: list[str] = []
        taking = False
        for place, argument in enumerate(args):
            if argument == "--":
                spread += args[place:]
                break
            if argument == "--models":
                taking = True
                if place + 1 == len(args) or args[place + 1].startswith("-"):
                    raise click.BadOptionUsage(argument, f"Option {argument!r} requires an argument.", ctx)
            elif argument.startswith("-"):
                taking = False
                spread.append(argument)
            else:
                spread += ["--models", argument] if taking else [argument]
        return super().parse_args(ctx, spread)


@click.command(cls=ManyModels, short_help="Train one refinement network for the models of many categories.")
@click.argument("categories", type=options.PATH, nargs=-1, required=True, metavar="CATEGORY...")
@click.option(
    "--models",
    type=options.PATH,
    multiple=True,
    required=True,
    metavar="MODEL...",
    help="Fitted models, one for each CATEGORY in the same order; all that follow up to the next option.",
)
@click.option(
    "--output",
    "-o",
    type=options.PATH,
    required=True,
    metavar="DIR",
    help="Folder for the refined models, which keep their names; the models' own folder replaces them.",
)
@options.refiner_iterations("--iterations", "what the models' settings say")
@options.refiner_weights("--weights")
@options.checkpoint
@options.device
@options.precision
@options.engine
@options.seed
@options.threads
@options.skip_broken
@options.quiet
@options.as_json
def refine(
    *,
    categories: tuple[Path, ...],
    models: tuple[Path, ...],
    output: Path,
    checkpoint: Path | None,
    quiet: bool,
    as_json: bool,
    threads: int | None,
    **choices: Any,
) -> None:
    """Train one refinement network over every CATEGORY and write each MODEL with it.

    A CATEGORY is what its model was fitted on: a folder of good images, or a category in the MVTec AD layout.
    The network is trained on synthetic defects in images left out of a second fit of each category.

    \b
    pni-fast refine bottle cable --models bottle.safetensors cable.safetensors --output refined
    """  # noqa: D301  click's mark against rewrapping
    needs("torch", "pni-fast refine")
    if len(models) != len(categories):
        raise click.UsageError(
            f"--models must name one model for each CATEGORY: got {len(models)} for {len(categories)}"
        )
    doubled = [name for name, count in Counter(path.name for path in models).items() if count > 1]
    if doubled:
        raise click.UsageError(f"--models must differ in their file names, got {doubled[0]!r} more than once")
    began = time.monotonic()
    check_folder(output)
    for path in models:
        # The models' own folder may be the output, but not a model's file under the name of another.
        others = [other for other in models if other != path]
        refuse_inputs("--output", output / path.name, [*others, *categories, choices["weights"]])
        check_writable(output / path.name, SMALLEST_MODEL, MODEL)
    if checkpoint is not None:
        check_writable(checkpoint)
        refuse_inputs("--checkpoint", checkpoint, [*models, *categories, choices["weights"]])
    with staged_folder(output) as folder, shown(quiet=quiet) as progress:
        from pni_fast.model.shared_refiner import refine as refine_models

        refined = refine_models(
            models, categories, num_threads=threads, checkpoint=checkpoint, progress=progress, **choices
        )
        for path, model in zip(models, refined, strict=True):
            model.save(folder / path.name)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    warn_skipped([item for model in refined for item in model.skipped_])
    seconds = time.monotonic() - began
    if as_json:
        records = [
            {
                "model": output / path.name,
                "category": category,
                "n_images": model.n_images_,
                "skipped": skipped_records(model.skipped_),
            }
            for path, category, model in zip(models, categories, refined, strict=True)
        ]
        iterations = refined[0].config.refiner.iterations
        print_json({"models": records, "iterations": iterations, "seconds": round(seconds, 3)})
    elif not quiet:
        counted = "1 model" if len(models) == 1 else f"{len(models)} models"
        say(f"Trained one refiner for {counted} in {seconds:.1f} s. Models: {output}")
