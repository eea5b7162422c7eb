"""Standard streams that a caller has closed (`2>&-`): opened before anything else takes their place."""

from __future__ import annotations

import os
import sys


def opened_streams() -> None:
    """Open the null device as each of the three standard streams that is closed.

    Otherwise the next file that is opened gets the stream's number, and what a library prints goes into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, so this one
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  stays open
