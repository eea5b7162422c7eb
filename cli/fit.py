"""`pni-fast fit`: learn what good products look like."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pni_fast.errors import needs

from . import options
from .decision import described_decision
from .kinds import MODEL
from .outputs import SMALLEST_MODEL, check_room, check_writable, refuse_inputs, refuse_same
from .picture import settled
from .progress import shown
from .ray import spread_on
from .ray import workers as ray_workers
from .speech import say
from .summary import print_json, skipped_records, warn_skipped
from .trials import trial_lines

if TYPE_CHECKING:
    from pni_fast.model.pni import PNI


@click.command(short_help="Learn what good products look like.")
@click.argument("data", type=options.PATH)
@click.option(
    "--output", "-o", type=options.PATH, required=True, metavar="MODEL.safetensors", help="Model to write."
)
@options.model_choice
@options.promise(0.01)
@click.option(
    "--suspects",
    type=options.PATH,
    metavar="DIR",
    help="Show images that look like defects among the good in DIR/suspects.html.",
)
@click.option(
    "--roi",
    type=options.PATH,
    metavar="MASK.png",
    help="Inspect what is white in MASK, of the size of the images, and nothing else.",
)
@click.option(
    "--drop-suspects",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Leave out the N images that look most like defects, as far as any do; a first fit finds them.",
)
@click.option(
    "--store",
    type=options.PATH,
    metavar="DIR",
    help="Keep the features in DIR: a fit that was ended goes on from them, and one with another coreset, "
    "other conditions or more images reads them.  [default: memory, or TMPDIR where they are many]",
)
@ray_workers("Read the pictures and extract their features")
@options.refiner_iterations("--refine-iterations", "the preset's; lite 300, paper 55,000")
@options.refiner_weights("--refiner-weights")
@options.checkpoint
@options.device
@options.precision
@options.engine
@options.seed
@options.threads
@options.skip_broken
@options.quiet
@options.as_json
def fit(*, data: Path, output: Path, quiet: bool, as_json: bool, **choices: Any) -> None:
    """Fit a model on the good images of DATA and write it to one file.

    DATA is a folder of good images, or a category in the MVTec AD layout, whose train/good is then used.
    Images left out of the fit, or those of --calibrate, set the threshold of the model.
    """
    needs("torch", "pni-fast fit")
    began = time.monotonic()
    model = fit_model(data, output, quiet=quiet, **settled(choices))
    warn_skipped(model.skipped_)
    seconds = time.monotonic() - began
    members = [{name: member.summary()[name] for name in ("backbone", *SHOWN)} for member in model.members_]
    if as_json:
        print_json(
            {
                "model": output,
                "n_images": model.n_images_,
                "skipped": skipped_records(model.skipped_),
                **_sizes(members),
                "decision": model.summary()["decision"],
                "seconds": round(seconds, 3),
            }
        )
    elif not quiet:
        say(
            f"Fitted on {model.n_images_} images in {seconds:.1f} s: "
            f"{described_coresets(members)}. {described_position(members)}"
            f"Pictures at {described_size(model)}. Model: {output}"
        )
        for line in described_conditions(members):
            say(line)
        for line in described_decision(model):
            say(line)


SHOWN = (
    *("coreset", "dimension", "position", "position_risk"),
    *("context", "conditions", "weight", "trials"),
)
"""What is said of every member of a fitted model."""


def _sizes(members: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if len(members) > 1:
        return {"members": members}
    return {key: members[0][key] for key in SHOWN}


def described_coresets(members: Sequence[dict[str, Any]]) -> str:
    """Return the sizes of the members' coresets in words."""
    described = [f"a coreset of {one['coreset']} vectors of {one['dimension']} dimensions" for one in members]
    if len(described) == 1:
        return described[0]
    named = (f"{one['backbone']}, {text}" for one, text in zip(members, described, strict=True))
    return f"{len(members)} members: " + "; ".join(named)


def described_size(model: PNI) -> str:
    """Return what pictures are brought to, in words."""
    config, geometry = model.config, model.geometry
    (height, width), tiles = geometry.shape, ""
    if config.tiling is not None:
        tiles = f", in tiles of {config.tile} that overlap by {config.overlap}"
    cut = "" if geometry.whole else f" of {geometry.resized[1]}×{geometry.resized[0]}"
    return f"{width}×{height}{cut} pixels{tiles}"


def described_position(members: Sequence[dict[str, Any]]) -> str:
    """Return, for every member that has a gate, a sentence on whether position is used, and why."""
    told = [one for one in members if one["conditions"] is None and one["position"] not in ("off", "used")]
    if len(members) == 1:
        return "".join(f"Position {one['position']}. " for one in told)
    return "".join(f"Position with {one['backbone']} {one['position']}. " for one in told)


def described_conditions(members: Sequence[dict[str, Any]]) -> list[str]:
    """Return, for every member that chose its condition, the choice in words and the table of trials."""
    lines = []
    for one in members:
        if one["conditions"] is not None:
            of = f" with {one['backbone']}" if len(members) > 1 else ""
            lines.append(f"Condition{of}: {one['conditions']}.")
            lines += trial_lines(one["trials"] or [])
    return lines


def _files_to_be(model: PNI, data: Path, output: Path, checkpoint: Path | None) -> list[tuple[Path, int]]:
    """Return what a fit writes and how large it may be; old files stay until the new ones are there."""
    from pni_fast.data import training_images
    from pni_fast.model.fit import member_checkpoints
    from pni_fast.model.size import checkpoint_bytes, most_model_bytes

    files = [(output, most_model_bytes(model.config, len(training_images(data))))]
    if checkpoint is not None:
        own = member_checkpoints(model.config, checkpoint)
        files += [(file, checkpoint_bytes(model.config)) for file in (*own, own[-1])]
    return files


def fit_model(  # the options of the command, one for one
    data: Path,
    output: Path,
    *,
    preset: str = "lite",
    backbone: Sequence[str] = (),
    levels: tuple[int, ...] | None = None,
    weights: Sequence[Path | None] = (),
    coreset_ratio: float | None = None,
    no_position: bool = False,
    no_context: bool = False,
    no_neighborhood: bool = False,
    refine: bool | None = None,
    settings: Mapping[str, Any] | None = None,
    refine_iterations: int | None = None,
    refiner_weights: Path | None = None,
    checkpoint: Path | None = None,
    false_alarms: float = 0.01,
    confidence: float | None = None,
    calibrate: Path | None = None,
    suspects: Path | None = None,
    roi: Path | None = None,
    drop_suspects: int = 0,
    store: Path | None = None,
    ray: str | None = None,
    workers: int | None = None,
    gpus_per_worker: float | None = None,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    seed: int = 0,
    threads: int | None = None,
    skip_broken: bool = False,
    quiet: bool = False,
) -> PNI:
    """Fit, write the model to `output` and return it.

    Raises
    ------
    click.UsageError
        An option of the refiner is given and there will be none, or there are several weights, but not one
        for each backbone.
    PniError
        `output` cannot be written or has no room (found before the work begins), or the data or weights
        cannot be used.
    """
    options.check_weights(preset, backbone, weights)
    options.check_settings(preset, settings or {})
    from pni_fast.decision.conformal import check_rate

    check_rate(false_alarms, confidence)
    refuse_inputs("--output", output, [data, *weights, refiner_weights, calibrate, roi])
    check_writable(output, SMALLEST_MODEL, MODEL)
    if suspects is not None:
        from .suspects import check_suspects

        check_suspects(suspects)
    if checkpoint is not None:
        check_writable(checkpoint, SMALLEST_MODEL)
        refuse_same("--checkpoint", checkpoint, "--output", output)
        refuse_inputs("--checkpoint", checkpoint, [data, *weights, refiner_weights, roi])
    from pni_fast.model.pni import PNI

    changes = dict(settings or {})
    changes |= {} if levels is None else {"levels": levels}
    changes |= {"position": False} if no_position else {}
    changes |= {"context": False} if no_context else {}
    changes |= {"neighborhood": False} if no_neighborhood else {}
    changes |= {"refiner.iterations": refine_iterations} if refine_iterations is not None else {}
    model = PNI(
        preset,
        backbone=backbone or None,
        weights=weights,
        refiner_weights=refiner_weights,
        coreset_ratio=coreset_ratio,
        refinement=refine,
        device=device,
        precision=precision,
        engine=engine,
        seed=seed,
        num_threads=threads,
        **changes,
    )
    needing = {
        "--refine-iterations": refine_iterations,
        "--refiner-weights": refiner_weights,
        "--checkpoint": checkpoint,
    }
    for option, value in needing.items():
        if value is not None and not model.config.refinement:
            raise click.UsageError(f"{option} needs a refiner: add --refine")
    check_room(_files_to_be(model, data, output, checkpoint))
    with shown(quiet=quiet) as progress, spread_on(ray, workers, gpus_per_worker, model.run) as spread:
        model.fit(
            data,
            skip_broken=skip_broken,
            progress=progress,
            checkpoint=checkpoint,
            false_alarms=false_alarms,
            confidence=confidence,
            calibrate=calibrate,
            drop_suspects=drop_suspects,
            roi=roi,
            store=store,
            tell=progress.tell,
            spread=spread,
        )
    model.save(output)
    if suspects is not None:
        from .suspects import write_suspects

        write_suspects(model, suspects)
    if checkpoint is not None:
        from pni_fast.model.fit import member_checkpoints

        for file in member_checkpoints(model.config, checkpoint):
            file.unlink(missing_ok=True)
    return model
