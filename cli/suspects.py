"""The page of images that look like defects among those a model was fitted on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .outputs import check_folder
from .record import refuse_foreign
from .results import staged_folder

if TYPE_CHECKING:
    from pni_fast.model.pni import PNI

PAGE = "suspects.html"


def check_suspects(folder: Path) -> None:
    """Make sure, before the work, that the page can be written into `folder`.

    Raises
    ------
    PniError
        It cannot, or a page of another's has its name there.
    """
    check_folder(folder)
    refuse_foreign(folder, PAGE)


def write_suspects(model: PNI, folder: Path) -> None:
    """Write ``suspects.html`` into `folder`, also where there are none.

    Raises
    ------
    PniError
        It cannot be written.
    """
    from pni_fast.report import colour_scale, write_suspects

    with staged_folder(folder, PAGE) as staging:
        scale = colour_scale(model.normalization_)
        write_suspects(model.suspects_, staging / PAGE, model.decision_, scale)
