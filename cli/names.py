"""Names of images in tables, and of the files of their results, which every file system takes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import PurePosixPath

LONGEST = 255
"""Bytes a file name may have on every common file system."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


def cell(name: str) -> str:
    """Return a name for a CSV table; one that a spreadsheet would run as a formula gets a quote before it.

    So does a name that begins with a quote: whoever reads the table takes one quote off, and has the name.
    """
    return "'" + name if name.startswith(_FORMULA) else name


def keeps_suffixes(names: Iterable[str]) -> bool:
    """Whether result files must keep the image's suffix, because two images differ in nothing else.

    Compared without case, as some file systems do.
    """
    seen = set()
    for name in names:
        stem = str(PurePosixPath(name).with_suffix("")).casefold()
        if stem in seen:
            return True
        seen.add(stem)
    return False


def result_name(name: str, suffix: str, *, keep_suffix: bool) -> str:
    """Return the relative name of a result file, which never leads out of its folder and is never too long.

    Parameters
    ----------
    name
        The image's relative name, with forward slashes.
    suffix
        Of the result.
    keep_suffix
        Append to the image's suffix instead of replacing it, see `keeps_suffixes`.
    """
    path = PurePosixPath(name)
    parts = [part for part in path.parts if part not in (path.anchor, "..")]
    if not keep_suffix:
        parts[-1] = PurePosixPath(parts[-1]).stem
    parts[-1] += suffix
    if len(os.fsencode(parts[-1])) > LONGEST:
        digest = hashlib.sha256(os.fsencode(parts[-1])).hexdigest()[:16]
        ending = f"~{digest}{suffix}"
        parts[-1] = _cut(parts[-1], LONGEST - len(ending)) + ending
    return "/".join(parts)


def _cut(text: str, limit: int) -> str:
    """Return the longest beginning of at most `limit` bytes that cuts no character."""
    while len(os.fsencode(text)) > limit:
        text = text[:-1]
    return text
