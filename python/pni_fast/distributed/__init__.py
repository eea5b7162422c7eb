"""One selection over points that lie in several places: exact, in rounds.

Farthest-first looks sequential, one pick a round. It is not: only points farther than a threshold from all
picks can be picked before the radius falls to it. Each shard brings those, one place picks among them, the
picks go back, and the threshold falls: a few dozen rounds for thousands of picks, and the same picks, bit for
bit, as on one machine.

Where the shards are is the executor's business: in this process (:class:`InProcess`), in its threads
(:class:`Threads`), on the machines of a Ray cluster (:class:`RayExecutor`), or wherever something that has
the methods of :class:`Executor` puts them.
"""

from .executors import Executor, InProcess, Threads
from .ray_executor import RayExecutor
from .selection import Selection, greedy_coreset
from .shard import ShardActor

__all__ = ["Executor", "InProcess", "RayExecutor", "Selection", "ShardActor", "Threads", "greedy_coreset"]
