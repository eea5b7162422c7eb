"""Which mask belongs to which image, by their names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .listing import MASK_SUFFIXES, folded, is_visible, walk

_ENDINGS = ("_mask", "", "_gt", "_label")
"""What may follow the image's stem in the name of its mask, the likeliest first."""


class MaskFolder:
    """The masks of one folder, listed once.

    Parameters
    ----------
    folder
        May be None or missing: it then holds no mask.
    """

    def __init__(self, folder: Path | None) -> None:
        self._files: dict[str, list[Path]] = {}
        self._folders: dict[str, list[Path]] = {}
        if folder is None or not folder.is_dir():
            return
        for entry in sorted(folder.iterdir()):
            if not is_visible(entry):
                continue
            if entry.is_dir():
                self._folders.setdefault(folded(entry.name), []).append(entry)
            elif entry.suffix.lower() in MASK_SUFFIXES:
                self._files.setdefault(folded(entry.stem), []).append(entry)

    def find(self, stem: str) -> Path | None:
        """Find ``<stem>_mask``, ``<stem>``, ``<stem>_gt`` or ``<stem>_label``, then a folder ``<stem>``.

        Names are compared without case and in one form of Unicode, but an exact one goes first; PNG goes
        before other suffixes; None where there is no mask.
        """
        for ending in _ENDINGS:
            name = stem + ending
            found = self._files.get(folded(name))
            if found:
                return min(
                    found, key=lambda path: (path.stem != name, path.suffix.lower() != ".png", path.name)
                )
        folders = self._folders.get(folded(stem))
        return min(folders, key=lambda path: (path.name != stem, path.name)) if folders else None


def unclaimed(truth: Path, images: Iterable[Path]) -> list[Path]:
    """Return the mask files below `truth` that belong to no image.

    Parameters
    ----------
    truth
        The folder of masks.
    images
        Paths of the test images relative to the test folder; good ones too may have a mask, of nothing.
    """
    known = {tuple(map(folded, (*image.parent.parts, image.stem))) for image in images}
    left = []
    for path in walk(truth):
        if path.suffix.lower() not in MASK_SUFFIXES:
            continue
        folder = tuple(map(folded, path.relative_to(truth).parent.parts))
        stem = folded(path.stem)
        stems = {stem.removesuffix(ending) for ending in _ENDINGS}
        if folder not in known and not any((*folder, one) in known for one in stems):
            left.append(path)
    return sorted(left)
