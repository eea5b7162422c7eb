"""`pni-fast update`: more good images for a fitted model."""

from __future__ import annotations

import time
from pathlib import Path

import click

from . import options
from .computing import Computing, computing
from .decision import described_decision, listed
from .kinds import MODEL
from .outputs import SMALLEST_MODEL, check_writable, refuse_inputs
from .progress import shown
from .speech import say
from .summary import print_json


@click.command(short_help="Add good images to a model.")
@click.argument("model", type=options.PATH)
@click.argument("good", type=options.PATH, nargs=-1, required=True, metavar="GOOD...")
@click.option(
    "--output", "-o", type=options.PATH, required=True, metavar="MODEL2.safetensors", help="Model to write."
)
@computing
@options.quiet
@options.as_json
def update(
    *,
    model: Path,
    good: tuple[Path, ...],
    output: Path,
    computing: Computing,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write the fitted MODEL with the images GOOD, or folders of them, added: false alarms above all.

    The images it was fitted on are not needed. The coreset grows by what is new in these, position, context
    and the threshold follow. Networks, and the condition that was chosen, stay: fit again once many images
    have come.
    """
    began = time.monotonic()
    from pni_fast.data import Source, collect_inputs

    sources = [Source(name, path) for path, name in collect_inputs(good)]
    refuse_inputs("--output", output, [model, *good])
    check_writable(output, SMALLEST_MODEL, MODEL)

    fitted = computing.load(model, quiet=quiet)
    with shown(quiet=quiet) as progress:
        done = fitted.update(sources, progress=progress)
    fitted.save(output)
    if as_json:
        print_json(
            {
                "model": output,
                "added": done.added,
                "known": list(done.known),
                "n_images": fitted.n_images_,
                "vectors": list(done.vectors),
                "decision": fitted.summary()["decision"],
                "seconds": round(time.monotonic() - began, 3),
            }
        )
    elif not quiet:
        if done.known:
            say(f"In the model already, by the same bytes: {listed(done.known)}.")
        grown = " and ".join(str(count) for count in done.vectors)
        say(
            f"Added {done.added} images in {time.monotonic() - began:.1f} s: the coreset grew by {grown} "
            f"vectors, {fitted.n_images_} images are known. Model: {output}"
        )
        for line in described_decision(fitted):
            say(line)
