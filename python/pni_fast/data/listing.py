"""What lies below a folder: the pictures, without results of ours and the leavings of systems."""

from __future__ import annotations

import os
import unicodedata
import warnings
from collections.abc import Iterator
from pathlib import Path

from pni_fast.errors import DataError

from .decoding import IMAGE_SUFFIXES
from .results_mark import marks, refuse_results

MASK_SUFFIXES = IMAGE_SUFFIXES | {".gif"}
"""File name endings that count as masks, in lower case."""

# Thumbnails, bins and copies that storage systems and archivers put between the pictures.
_SYSTEM_FOLDERS = frozenset(
    {"@eadir", "#recycle", "@recycle", "$recycle.bin", "recycler", "system volume information", "__macosx"}
)
_SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})
_OTHER_PICTURES = frozenset(
    {
        ".arw",
        ".avif",
        ".cr2",
        ".dib",
        ".dng",
        ".exr",
        ".gif",
        ".heic",
        ".heif",
        ".ico",
        ".j2k",
        ".jpx",
        ".jxl",
    }
    | {".nef", ".pcx", ".psd", ".raw", ".sgi", ".svg", ".tga"}
)


def folded(name: str) -> str:
    """Return a name as it is compared: without case, and in one form of Unicode (macOS writes another)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def is_visible(entry: Path) -> bool:
    """Whether an entry of a folder is one of the user's, by its name."""
    name = entry.name.lower()
    return not (name.startswith(".") or name in _SYSTEM_FOLDERS or name in _SYSTEM_FILES)


def subfolder(root: Path, *names: str) -> Path | None:
    """Return the folder in `root` that has one of the names, compared without case, or None."""
    if not root.is_dir():
        return None
    for name in names:
        if (root / name).is_dir():
            return root / name
    known = {folded(name) for name in names}
    return next((child for child in _entries(root) if folded(child.name) in known and child.is_dir()), None)


def list_images(root: str | os.PathLike[str]) -> list[Path]:
    """List the image files below a folder, sorted by relative path; links are followed.

    Hidden names are skipped, the leavings of systems (``@eaDir``, ``__MACOSX``, ``Thumbs.db``), and what is
    marked as results of this package. A link to nothing that has the name of an image counts as one: a broken
    one. A warning says how many other files there were.

    Parameters
    ----------
    root
        The folder.

    Returns
    -------
    list of pathlib.Path
        At least one path, each starting with `root`.

    Raises
    ------
    DataError
        The folder is missing, is a file, is or lies in one of results, or holds no file with a suffix of
        `IMAGE_SUFFIXES`.
    """
    folder = Path(root)
    if not folder.exists():
        raise DataError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise DataError(f"{folder}: must be a folder of images, got a file")
    found, others = _split(folder, IMAGE_SUFFIXES)
    if others:
        warnings.warn(
            f"{folder}: {len(others)} of {len(found) + len(others)} files were no images, {_named(others)}",
            stacklevel=2,
        )
    return found


def _named(others: list[Path]) -> str:
    """Return what tells a user which files were no images: the kinds of pictures, else one of the files."""
    pictures = [path.suffix.lower() for path in others if path.suffix.lower() in _OTHER_PICTURES]
    if pictures:
        kinds = " ".join(sorted(set(pictures)))
        return f"{len(pictures)} of them pictures of a kind that is not read ({kinds})"
    return f"the first {others[0].name}"


def list_masks(root: Path) -> list[Path]:
    """List the mask files below a folder, as `list_images` lists images; GIF counts too."""
    return _split(root, MASK_SUFFIXES)[0]


def walk(folder: Path) -> Iterator[Path]:
    """Yield every visible file below a folder that no mark calls a result."""
    return _walk(folder, frozenset())


def _split(folder: Path, suffixes: frozenset[str]) -> tuple[list[Path], list[Path]]:
    """Return the files below a folder that have one of the suffixes, sorted, and the others."""
    refuse_results(folder)
    found: list[Path] = []
    others: list[Path] = []
    for path in walk(folder):
        (found if path.suffix.lower() in suffixes else others).append(path)
    if not found:
        seen = f"{len(others)} other file{'s' if len(others) != 1 else ''}" if others else "nothing"
        known = " ".join(sorted(suffixes))
        raise DataError(f"{folder}: must hold images ({known}), got {seen}")
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix()), others


def _walk(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:  # a link to a folder that holds it
        return
    if marks(folder):
        return
    for entry in _entries(folder):
        if not is_visible(entry):
            continue
        if entry.is_dir():
            yield from _walk(entry, above | {real})
        elif entry.is_file() or (entry.is_symlink() and not entry.exists()):
            yield entry


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed: {error.strerror or error}") from error
