"""`python -m pni_fast.cli`, the same as `pni-fast`."""

from __future__ import annotations

from . import main

main()
