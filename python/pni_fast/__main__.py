"""`python -m pni_fast`, the same as `pni-fast`."""

from __future__ import annotations

from pni_fast.cli import main

main()
