"""The exact, multithreaded kernels: search and counting in Rust, arrays in and arrays out.

Every kernel gives the same result for any number of threads, any SIMD level and any machine. They release the
GIL, can be stopped with Ctrl-C, and may be used after a fork. ``num_threads=None`` means the environment
variable ``PNI_FAST_NUM_THREADS`` if set, else every core this process may use (1 in a forked child or a
DataLoader worker).

Features are matrices of shape (rows, dimensions). float32 and float16 in C order, read-only ``numpy.memmap``
of those included, are worked on in place; anything else is converted to float32 once; torch tensors on the
CPU are accepted. *Exact* means: as a plain algorithm decides in float64 on the float32 values; ties go to
the lowest index.
"""

from __future__ import annotations

from .coreset import Coreset, greedy_coreset
from .histogram import position_histogram
from .search import max_likelihood, nearest

__all__ = ["Coreset", "greedy_coreset", "max_likelihood", "nearest", "position_histogram"]
