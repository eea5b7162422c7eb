"""What a folder of features says of itself: what they were made with, and the shape of an image's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pni_fast.errors import PniError

from .files import PREFIX, atomic_path

HEADER = "store.json"

KIND, FORMAT = "pni-fast features", 2

SECRET = ("weights",)
"""Settings whose value says nothing to a reader."""

ADVICE = "give another folder, or remove this one to make them anew"


def refuse_foreign(folder: Path, *own: str) -> None:
    """Refuse a folder that holds files and none of `own`: it is somebody else's.

    Raises
    ------
    PniError
        It is, or it cannot be read, or is no folder.
    """
    try:
        names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(PREFIX))
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise PniError(f"{folder}: must be a folder for features, got a file") from None
    except OSError as error:
        raise PniError(f"{folder}: cannot read: {error.strerror or error}") from error
    if names and not set(names) & set(own):
        raise PniError(
            f"{folder}: must be a folder of features or an empty one, got one with {names[0]!r} in it"
        )


def write_header(folder: Path, settings: Mapping[str, str], dtype: str, shape: tuple[int, ...]) -> None:
    """Write what the features of `folder` are, at once."""
    header = {"kind": KIND, "format": FORMAT, "dtype": dtype, "shape": list(shape)}
    text = json.dumps({**header, "settings": dict(settings)}, indent=1)
    with atomic_path(folder / HEADER) as temporary:
        temporary.write_text(text, encoding="ascii")


def read_header(folder: Path, settings: Mapping[str, str], dtype: str) -> tuple[int, int, int] | None:
    """Return (h, w, d) of an image's features, None where the folder has none.

    Raises
    ------
    PniError
        They were made with other settings or are of another type; or the file cannot be read as what it is.
    """
    file = folder / HEADER
    try:
        header = json.loads(file.read_text(encoding="ascii"))
        if header["kind"] != KIND:
            raise ValueError(header["kind"])
        if header["format"] != FORMAT:
            raise PniError(f"{file}: of format {header['format']}; this version reads {FORMAT}; {ADVICE}")
        theirs = {**dict(header["settings"]), "feature_dtype": str(header["dtype"])}
        height, width, dimension = (max(1, int(size)) for size in header["shape"])
    except FileNotFoundError:
        return None
    except PniError:
        raise
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise PniError(
            f"{file}: does not describe a folder of features; remove the folder to begin anew"
        ) from error
    ours = {**settings, "feature_dtype": dtype}
    for name in {**ours, **theirs}:
        if theirs.get(name) != ours.get(name):
            raise PniError(f"{folder}: {_difference(name, theirs.get(name), ours.get(name))}")
    return height, width, dimension


def _difference(name: str, theirs: str | None, ours: str | None) -> str:
    """Return the line about a setting that differs."""
    if name in SECRET:
        return f"holds features made with other {name}; {ADVICE}"
    return f"holds features made with {name} {theirs or 'none'}, this fit has {ours or 'none'}; {ADVICE}"
