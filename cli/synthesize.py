"""`pni-fast synthesize`: synthetic defects with exact masks, to look at or to test with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import options
from .outputs import check_folder, refuse_inputs
from .progress import shown
from .record import written_before
from .results import staged_folder
from .speech import say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@click.command(short_help="Make synthetic defects from good images.")
@click.argument("data", type=options.PATH, metavar="DATA")
@click.option(
    "--output", "-o", type=options.PATH, required=True, metavar="DIR", help="Folder for the images."
)
@click.option(
    "--count",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many images to make.  [default: four for each good image]",
)
@options.seed
@click.option(
    "--textures",
    type=options.PATH,
    metavar="DIR",
    help="Images to take foreign texture from.  [default: scikit-image's photographs, and noise]",
)
@click.option(
    "--masks",
    type=options.PATH,
    metavar="DIR",
    help="Drawn masks, bright on black, for the drawn defects.  [default: strokes and blobs are generated]",
)
@options.quiet
def synthesize(
    *,
    data: Path,
    output: Path,
    count: int | None,
    seed: int,
    textures: Path | None,
    masks: Path | None,
    quiet: bool,
) -> None:
    """Put synthetic defects into the good images of DATA, a folder or a category in the MVTec AD layout.

    Four kinds take turns: cutpaste, cutpaste_scar, draem and drawing. Image NNN is the same for the same good
    images and seed, whatever the count.

    \b
    DIR/test/KIND/NNN.png                   the images, at the size of the good ones
    DIR/ground_truth/KIND/NNN_mask.png      the exact masks
    DIR/contact_sheet.png                   a look at the first ones of each kind
    """  # noqa: D301  click's mark against rewrapping
    from pni_fast.data import training_images
    from pni_fast.runtime.targets import writing
    from pni_fast.synthetic import KINDS, SyntheticDefects, Textures, contact_sheet, read_drawn_masks

    files = training_images(data)
    defects = SyntheticDefects(
        ImageFiles(files),
        seed,
        Textures(textures) if textures is not None else None,
        read_drawn_masks(masks) if masks is not None else None,
        count,
    )
    check_folder(output)
    refuse_inputs("--output", own_files(output), [*files, textures, masks])
    digits = max(3, len(str(len(defects) - 1)))
    names = [f"{number:0{digits}d}" for number in range(len(defects))]
    writes = [TABLE, *(place for kind in KINDS for name in names for place in places(kind, name))]
    with (
        staged_folder(output, TABLE, FOLDERS, writes=writes) as folder,
        shown(quiet=quiet) as progress,
    ):
        shown_items = []
        progress("synthetic defects", 0, len(defects))
        for number, item in enumerate(defects):
            with writing(output):
                write_item(folder, names[number], item.kind, item.image, item.mask)
            if number < SHOWN:
                shown_items.append(item)
            progress("synthetic defects", number + 1, len(defects))
        with writing(output / TABLE):
            contact_sheet(shown_items).save(folder / TABLE)
    if not quiet:
        say(f"Made {len(defects)} images from {len(files)} good ones. Contact sheet: {output / TABLE}")


FOLDERS = ("test", "ground_truth")

TABLE = "contact_sheet.png"
"""Put in place last, so that it vouches for the images."""

SHOWN = 32
"""Images on the contact sheet, eight of each kind."""


class ImageFiles(Sequence["NDArray[np.uint8]"]):
    """Image files as arrays, each read when it is asked for, at the depth that their highest value needs."""

    def __init__(self, files: Sequence[Path]) -> None:
        from pni_fast.data.depth import depth_of_files

        self._files = files
        self._depth = depth_of_files(files)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:  # type: ignore[override]
        """Return the image as uint8 RGB (H, W, 3); DataError where it cannot be used."""
        import numpy as np
        from pni_fast.data import read_image
        from pni_fast.errors import DataError
        from pni_fast.synthetic import SMALLEST_SIDE

        image = np.asarray(read_image(self._files[index], self._depth))
        if min(image.shape[:2]) < SMALLEST_SIDE:
            raise DataError(
                f"{self._files[index]}: must be at least {SMALLEST_SIDE} pixels each way, "
                f"got {image.shape[1]}×{image.shape[0]}"
            )
        return image


def own_files(output: Path) -> list[Path]:
    """Return the pictures and masks that an earlier run made there, and that this one will replace."""
    folder = Path(os.path.realpath(output))
    return [folder / name for name in written_before(folder, TABLE, FOLDERS)]


def places(kind: str, name: str) -> tuple[str, str]:
    """Return where an image and its mask go, in the layout of MVTec AD."""
    return f"test/{kind}/{name}.png", f"ground_truth/{kind}/{name}_mask.png"


def write_item(folder: Path, name: str, kind: str, image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
    """Write one image and its mask into the layout of MVTec AD."""
    from PIL import Image

    for place, pixels in zip(places(kind, name), (image, mask), strict=True):
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).convert("L" if pixels.ndim == 2 else "RGB").save(target)
