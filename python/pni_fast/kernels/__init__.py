"""The exact, multithreaded kernels: search and counting in Rust, arrays in and arrays out.

Every kernel gives the same result for any number of threads, any SIMD level and any machine. They release the
GIL, can be stopped with Ctrl-C, and may be used after a fork. ``num_threads=None`` means the environment
variable ``PNI_FAST_NUM_THREADS`` if set, else every core this process may use (1 in a forked child or a
DataLoader worker). More than four threads for each core are never started (16 on a machine with fewer than
four cores): they would only wait for each other. Where memory runs out they raise MemoryError.

Features are matrices of shape (rows, dimensions). float32 and float16 in C order, read-only ``numpy.memmap``
of those included, are worked on in place; anything else (another order or type, data that is not aligned,
data frames of numbers) is converted to float32 once; torch tensors on the CPU are accepted, masked entries
are not. *Exact* means: as a plain algorithm decides in float64 on the float32 values; ties go to the lowest
index.

float64 and integers that float32 cannot hold are moved before they are narrowed: every column by one amount
near its mean, in all rows that are compared, which changes no distance. The answer is then exact for values
each of which is off by at most 2**-24 of how far it lies from that mean, not from zero: points a centimetre
apart at coordinates in the millions are told apart. Integers of 64 bits are subtracted as integers, so
timestamps in nanoseconds are told apart too; longer ones are taken as float64. A column that reaches 1e37
stays where it is, and the others are moved.

float32 has no steps finer than 2**-149: what lies nearer to its mean than 2**-126 (1.2e-38) is off by up to
2**-150 instead. That is nothing beside a value anywhere in the data that lies farther out. Where there is
none, and float32 does not hold all values, that is a ValueError which asks for larger numbers: else different
points would become one.
"""

from __future__ import annotations

from .coreset import Coreset, greedy_coreset
from .histogram import position_histogram
from .search import max_likelihood, nearest

__all__ = ["Coreset", "greedy_coreset", "max_likelihood", "nearest", "position_histogram"]
