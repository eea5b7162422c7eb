"""The kinds of files that commands write, by which a user's own file of the same name is left alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes
    ----------
    name
        What a reader calls it, with its article.
    beginning
        How each of them begins, those of older versions too.
    """

    name: str
    beginning: re.Pattern[bytes]

    def has(self, path: Path) -> bool:
        """Whether a file is of this kind, or empty: then nothing of anybody's is in it."""
        with path.open("rb") as file:
            head = file.read(4096)
        return not head or self.beginning.match(head) is not None


def _kind(name: str, beginning: bytes) -> Kind:
    return Kind(name, re.compile(beginning, re.DOTALL))


MODEL = _kind("a model of pni-fast", rb'.{8}\{"__metadata__": ?\{"pni_fast"')

GRAPH = _kind("a graph exported by pni-fast", rb"\x08.\x12\x08pni-fast")

NUMBERS = _kind("a .npy file", rb"\x93NUMPY")

TABLES = {
    "scores.csv": _kind("a table of pni-fast score", rb"image,score(,p_value,verdict)?\n"),
    "changes.csv": _kind("a table of pni-fast compare", rb"image,score,verdict,score_2,verdict_2\n"),
    "metrics.json": _kind("what pni-fast evaluate measured", rb'\{\n  "image_auroc": '),
    "suspects.html": _kind("a page of pni-fast", rb"<!doctype html>.*<title>Suspects [^<]* pni-fast</title>"),
}
