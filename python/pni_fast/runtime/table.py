"""Tables of comma-separated values, the same bytes with every version of Python."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _csv import Writer

END = "\r\n"


@dataclass(frozen=True)
class _Lines:
    """Rows with their ends made those of a text file."""

    file: TextIO

    def write(self, row: str) -> int:
        return self.file.write(row.removesuffix(END) + "\n")


def table_writer(file: TextIO) -> Writer:
    """Return what writes rows to a file that is open with ``newline=""``.

    A cell with any end of line in it is quoted: Python before 3.13 quotes those alone that its own rows
    end with.
    """
    return csv.writer(_Lines(file), lineterminator=END)
