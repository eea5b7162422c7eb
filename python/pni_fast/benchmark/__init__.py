"""The paper's tables on a whole data set, with one call that can be killed and called again."""

from .run import Benchmark, Failure, run_benchmark

__all__ = ["Benchmark", "Failure", "run_benchmark"]
