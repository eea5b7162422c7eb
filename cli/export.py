"""`pni-fast export`: a fitted model as one ONNX file for runtimes that are not ours."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options
from .kinds import GRAPH
from .outputs import check_writable, refuse_inputs
from .speech import say
from .summary import print_json

if TYPE_CHECKING:
    from pni_fast.model.pni import PNI

MADE = 4
"""Pictures that are made up where none are given."""

MOST = 20
"""Pictures of a folder that are scored, spread over all of them."""


@click.command(short_help="Write a model as ONNX for other runtimes.")
@click.argument("model", type=options.PATH)
@click.option(
    "--output", "-o", type=options.PATH, required=True, metavar="FILE", help="The ONNX file to write."
)
@click.option(
    "--check",
    type=options.PATH,
    metavar="DIR",
    help=f"Pictures that the graph must give our scores on, at most {MOST}.  [default: {MADE} made up]",
)
@options.threads
@options.quiet
@options.as_json
def export(
    *, model: Path, output: Path, check: Path | None, threads: int | None, quiet: bool, as_json: bool
) -> None:
    """Write the fitted MODEL as one ONNX graph for C#, C++, TensorRT or a camera.

    \b
    crops         uint8 (1, height, width, 3), RGB: the picture at the model's size
    anomaly_map   float32 (1, height, width)
    score         float32 (1)
    is_defective  bool (1): whether the score is above the threshold, of a model that has one

    What must be done to a picture before is in the file's metadata, pni_fast.preprocessing. Before the file
    appears its scores are held against ours. Context, the neighborhood MLP and ensembles cannot be exported.
    """  # noqa: D301  click's mark against rewrapping
    began = time.monotonic()
    refuse_inputs("--output", output, [model, check])
    check_writable(output, kind=GRAPH)
    from pni_fast.model.exported_graph import check_exportable
    from pni_fast.model.exporting import export_model
    from pni_fast.model.pni import PNI

    fitted = PNI.load(model, device="cpu", precision="fp32", num_threads=threads)
    check_exportable(fitted.fitted)
    made = export_model(fitted.fitted, output, _scored(fitted, check), model)
    if as_json:
        seconds = round(time.monotonic() - began, 3)
        print_json({"onnx": output, **vars(made), "seconds": seconds})
    elif not quiet:
        say(
            f"Exported to {output}, {made.bytes / 2**20:.1f} MiB. On {made.images} pictures its scores under "
            f"{made.runtime} differ from ours by at most {made.difference:.1e} of them."
        )


def _scored(model: PNI, check: Path | None) -> Iterator[tuple[Any, float, Any]]:
    """Yield crops with the score and map that the model itself gives them."""
    from pni_fast.data import collect_inputs

    images: Any
    if check is None:
        images = _made_up(*(model.fitted.members[0].image_size or model.geometry.resized[::-1]))
    else:
        found = [path for path, _ in collect_inputs((check,))]
        images = found[:: -(-len(found) // MOST)]
    for result in model.predict(images):
        yield result.image, result.score, result.anomaly_map


def _made_up(width: int, height: int) -> list[Any]:
    """Return noise, a slope, and both with an edge: what no training image looks like."""
    import numpy as np

    random = np.random.default_rng(0)
    down, across = np.linspace(0, 255, height), np.linspace(0, 255, width)
    pictures = []
    for noisy, edged in itertools.product((0, 40), (False, True)):
        picture = np.repeat((down[:, None] / 2 + across[None, :] / 2)[:, :, None], 3, axis=2)
        picture += random.normal(0, noisy, picture.shape)
        if edged:
            picture[height // 3 : height // 2, width // 3 : width // 2] = (250, 30, 30)
        pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
    assert len(pictures) == MADE
    return pictures
