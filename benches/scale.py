"""A simulation: what a coreset over many machines would take, from the counts of a real run.

    python benches/scale.py [--bandwidth 10] [--latency 0.5] [--threads 16] [--columns 152]

Nothing is run. Taken from a run on one machine (benches/README.md, "Shards"): CPU seconds of one shard,
rounds, hot rows a pick. Assumed: a worker's time grows with its points and with the picks to the power
`GROWTH` (measured were 0.6 from 1.2 to 8.65 million points and 0.66 in the last part of it); rounds and hot
rows a pick stay as they are, since both follow from shares of the picks; picks go out to every worker over
one link of the coordinator; the coordinator compares all hot rows of a round with each other. The scan reads
all rows once a pick.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """What was counted: 1.19 million rows of 152 columns, 1 %, one shard (Zen 3, AVX2)."""

    rows: float = 1.19e6
    picks: float = 11_900
    cpu_seconds: float = 5.2
    rounds: int = 34
    hot_rows: float = 2.2


GROWTH = 0.8
MEMORY = 100e9
"""Bytes a second that a machine reads its rows with, by all its processors."""
FLOPS = 20e9
"""Of one processor, in comparing rows that were sent."""


@dataclass(frozen=True)
class Cluster:
    """Machines, and what lies between them."""

    workers: int
    threads: int
    bandwidth: float
    latency: float


def seconds(rows: float, columns: int, cluster: Cluster, run: Run) -> dict[str, float]:
    """Return the parts of the time of a coreset of 1 %, and the scan's."""
    picks, each = rows / 100, rows / cluster.workers
    row = columns * 4
    cpu = run.cpu_seconds * (each / run.rows) * (picks / run.picks) ** GROWTH * columns / 152
    hot = run.hot_rows * picks
    compared = run.rounds * (hot / run.rounds) ** 2 * columns * 2
    return {
        "workers": cpu / cluster.threads,
        "coordinator": compared / (FLOPS * cluster.threads),
        "wire": (hot + picks * cluster.workers) * row / cluster.bandwidth + run.rounds * 4 * cluster.latency,
        "scan": picks * (each * row / MEMORY + 2 * cluster.latency),
    }


def spoken(value: float) -> str:
    """Return seconds as a person says them."""
    for limit, unit in ((120, "s"), (120 * 60, "min"), (72 * 3600, "h"), (float("inf"), "days")):
        if value < limit:
            divisor = {"s": 1, "min": 60, "h": 3600, "days": 86400}[unit]
            return f"{value / divisor:.0f} {unit}"
    raise AssertionError(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bandwidth", type=float, default=10, help="Gbit/s of a machine's link")
    parser.add_argument("--latency", type=float, default=0.5, help="milliseconds one way")
    parser.add_argument("--threads", type=int, default=16, help="of a machine")
    parser.add_argument("--columns", type=int, default=152)
    chosen = parser.parse_args()
    print("Simulated.\n")
    print("| points | workers | in workers | at the coordinator | on the wire | together | scan |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for rows in (1e8, 1e9):
        for workers in (16, 256):
            cluster = Cluster(workers, chosen.threads, chosen.bandwidth * 1e9 / 8, chosen.latency / 1e3)
            parts = seconds(rows, chosen.columns, cluster, Run())
            ours = [parts[name] for name in ("workers", "coordinator", "wire")]
            cells = " | ".join(map(spoken, (*ours, sum(ours), parts["scan"])))
            print(f"| {rows:.0e} | {workers} | {cells} |")


if __name__ == "__main__":
    main()
