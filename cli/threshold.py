"""`pni-fast threshold`: another threshold for a fitted model, without its training images."""

from __future__ import annotations

from pathlib import Path

import click

from . import options
from .computing import Computing, computing
from .decision import described_decision
from .kinds import MODEL
from .outputs import SMALLEST_MODEL, check_writable, refuse_inputs
from .progress import shown
from .speech import say
from .summary import print_json


@click.command(short_help="Change the threshold of a model.")
@click.argument("model", type=options.PATH)
@options.promise(None)
@click.option(
    "--at", type=float, metavar="SCORE", help="Call defective what scores above SCORE; this promises nothing."
)
@click.option(
    "--output", "-o", type=options.PATH, required=True, metavar="MODEL2.safetensors", help="Model to write."
)
@computing
@options.quiet
@options.as_json
def threshold(
    *,
    model: Path,
    false_alarms: float | None,
    confidence: float | None,
    calibrate: Path | None,
    at: float | None,
    output: Path,
    computing: Computing,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write the fitted MODEL with another threshold, without the images it was fitted on.

    \b
    pni-fast threshold part.safetensors --false-alarms 0.05 -o part5.safetensors
    pni-fast threshold part.safetensors --calibrate good/tuesday -o tuesday.safetensors

    The model keeps the scores of good images left out of its fit. Those of --calibrate, which it must never
    have seen, replace them.
    """  # noqa: D301  click's mark against rewrapping
    if at is not None and (false_alarms, confidence, calibrate) != (None, None, None):
        raise click.UsageError("--at sets the threshold by hand: give no rate and no images with it")
    refuse_inputs("--output", output, [model, calibrate])
    check_writable(output, SMALLEST_MODEL, MODEL)
    from pni_fast.decision.conformal import check_rate

    check_rate(false_alarms, confidence)

    fitted = computing.load(model, quiet=quiet or calibrate is None)  # without images nothing runs
    with shown(quiet=quiet) as progress:
        fitted.set_threshold(
            false_alarms, confidence=confidence, calibrate=calibrate, at=at, progress=progress
        )
    fitted.save(output)
    if as_json:
        print_json({"model": output, **fitted.summary()["decision"]})
    elif not quiet:
        for line in described_decision(fitted):
            say(line)
        say(f"Model: {output}")
