"""The `pni-fast` command."""

from __future__ import annotations


def main() -> None:
    """Run `pni-fast` on the arguments of the process, then exit with its status."""
    from .interrupts import watched
    from .streams import opened_streams

    opened_streams()
    with watched():
        from .application import application

        application(prog_name="pni-fast")
