"""What thresholds promise and what they keep: the table and the plot of docs/decision.md.

python benches/decision.py DATA WORK --plot docs/decision.png

DATA holds categories in the MVTec AD layout. Models (fitted with the defaults where WORK has none) and the
scores of their test sets are kept in WORK.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
from pni_fast import PNI
from pni_fast.data import open_category
from pni_fast.decision import Decision, lowest_rate, rank

SETS = ("toothbrush", "juice_bottle", "cookies", "cable_gland", "weld")
RATES = (0.01, 0.05, 0.1)
SPLITS = 1000


def fitted(data: Path, work: Path, name: str) -> PNI:
    """Return the model of a category, fitted once."""
    file = work / f"{name}.safetensors"
    if not file.exists():
        PNI().fit(data / name).save(file)
    return PNI.load(file)


def scored(data: Path, work: Path, name: str, model: PNI) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of a test set and whether each image is labelled defective, computed once."""
    file = work / f"{name}-scores.npz"
    if not file.exists():
        test = open_category(data / name).test
        scores = [result.score for result in model.predict([sample.path for sample in test])]
        np.savez(file, scores=scores, defective=[sample.defect is not None for sample in test])
    found = np.load(file)
    return found["scores"], found["defective"]


def interval(hits: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Clopper and Pearson's interval of a share."""
    from scipy.stats import beta

    tail = (1 - confidence) / 2
    low = beta.ppf(tail, hits, count - hits + 1) if hits else 0.0
    high = beta.ppf(1 - tail, hits + 1, count - hits) if hits < count else 1.0
    return float(low), float(high)


def rows(name: str, decision: Decision, scores: np.ndarray, defective: np.ndarray) -> list[str]:
    """Return the lines of one category in the table: promised, found, defects found."""
    good, bad = scores[~defective], scores[defective]
    lines = []
    for rate in RATES:
        own = decision.changed(rate)
        threshold = own.threshold
        assert threshold is not None
        alarms, hits = int((good > threshold).sum()), int((bad > threshold).sum())
        low, high = interval(alarms, len(good))
        kept = "yes" if low <= (own.promised or 0) else "**no**"
        promised = f"{100 * (own.promised or 0):.1f}" + (" (least)" if own.too_few else "")
        lines.append(
            f"| {name} | {decision.count} | {100 * rate:g} | {promised} | {alarms} of {len(good)}: "
            f"{100 * alarms / len(good):.1f} ({100 * low:.1f} to {100 * high:.1f}) | {kept} "
            f"| {hits} of {len(bad)}: {100 * hits / len(bad):.1f} |"
        )
    return lines


def simulated(scores: np.ndarray, rate: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Return the false alarms of `SPLITS` random halvings, and the rate that a half can promise."""
    half = len(scores) // 2
    found = []
    for _ in range(SPLITS):
        order = rng.permutation(len(scores))
        known, new = np.sort(scores[order[:half]]), scores[order[half:]]
        found.append((new > known[(rank(half, rate) or half) - 1]).mean())
    return np.array(found), max(rate, lowest_rate(half))


def plot(found: dict[str, dict[float, tuple[np.ndarray, float]]], file: Path) -> None:
    """Draw promised against found, the mean of the splits with the middle 90 %."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4))
    axes = figure.subplots()
    axes.plot((0, 40), (0, 40), color="#888888", lw=1, label="as promised")
    for place, (name, by_rate) in enumerate(found.items()):
        promised = [100 * pair[1] + 0.12 * (place - 2) for pair in by_rate.values()]
        means = [100 * pair[0].mean() for pair in by_rate.values()]
        ends = [np.quantile(100 * pair[0], (0.05, 0.95)) for pair in by_rate.values()]
        around = np.abs(np.array(ends).T - means)
        axes.errorbar(promised, means, yerr=around, fmt="o", ms=4, lw=1, capsize=2, label=name)
    axes.set(
        xlabel="promised, % of good images",
        ylabel="called defective, %",
        xlim=(0, 22),
        ylim=(0, 42),
        title=f"{SPLITS:,} random halvings of the left-out scores",
    )
    axes.legend(frameon=False, fontsize=9)
    figure.tight_layout()
    figure.savefig(file)


def main() -> None:
    """Print both tables and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    rng, found = np.random.default_rng(0), {}
    print(
        "| set | good images | asked, % | promised, % | false alarms, % (95 % interval) | kept | found, % |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    decisions = {}
    for name in SETS:
        model = fitted(options.data, options.work, name)
        assert model.decision_ is not None
        decisions[name] = model.decision_
        print("\n".join(rows(name, decisions[name], *scored(options.data, options.work, name, model))))
    print(
        "\n| set | a half | asked, % | promised, % | found: mean (standard error), % | 5 to 95 % of splits |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for name, decision in decisions.items():
        found[name] = {rate: simulated(decision.scores, rate, rng) for rate in (*RATES, 0.2)}
        for rate, (alarms, promised) in found[name].items():
            low, high = np.quantile(alarms, (0.05, 0.95))
            error = alarms.std() / math.sqrt(len(alarms))
            print(
                f"| {name} | {decision.count // 2} | {100 * rate:g} | {100 * promised:.1f} "
                f"| {100 * alarms.mean():.2f} ({100 * error:.2f}) | {100 * low:.1f} to {100 * high:.1f} |"
            )
    if options.plot is not None:
        plot(found, options.plot)


if __name__ == "__main__":
    main()
