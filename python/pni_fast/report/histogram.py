"""The score histogram as inline SVG: good above, defective below the axis, the threshold across both."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 720, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 16, 34, 40
_MOST_BINS = 36
_MOST_DOTS = 400  # beyond this many images single marks are a smear and only the bars are drawn


def histogram_svg(
    good: NDArray[np.float64],
    defective: NDArray[np.float64],
    threshold: float | None,
    form: str = ".4g",
    whose: str = "best F1",
    names: tuple[str, str] | None = None,
) -> str:
    """Draw the distribution of image scores.

    Parameters
    ----------
    good, defective
        (n,) and (m,) finite image scores; not both empty.
    threshold
        Score from which on an image is called defective, or None.
    form
        Format of a score.
    whose
        Where the threshold comes from.
    names
        What the two are where they are not good and defective images of one set: each is then drawn to its
        own scale, without counts.

    Returns
    -------
    str
        An ``<svg>`` element that takes its colours from the page's style.
    """
    scores = np.concatenate([good, defective])
    edges = _edges(scores if threshold is None else np.append(scores, threshold))
    up, down = np.histogram(good, edges)[0], np.histogram(defective, edges)[0]
    most = max(int(up.max()), int(down.max()), 1)
    middle = (_TOP + HEIGHT - _BOTTOM) / 2
    half = (HEIGHT - _BOTTOM - _TOP) / 2
    kinds = dict(zip(("good", "bad"), names or ("good", "defective"), strict=True))

    def across(value: float) -> float:
        return float(_LEFT + (value - edges[0]) / (edges[-1] - edges[0]) * (WIDTH - _LEFT - _RIGHT))

    parts = [_counts(most, half / most, middle) if names is None else "", _scores(edges, across)]
    for counts, kind, sign in ((up, "good", -1), (down, "bad", 1)):
        unit = half / (most if names is None else max(int(counts.max()), 1))
        for index, count in enumerate(counts):
            if count:
                left, right = across(edges[index]), across(edges[index + 1])
                height = count * unit
                top = middle - height if sign < 0 else middle
                title = f"{count} {kinds[kind]}, score {edges[index]:.4g} to {edges[index + 1]:.4g}"
                parts.append(
                    f'<rect class="bar {kind}" x="{left + 0.5:.1f}" y="{top:.1f}" rx="1.5" '
                    f'width="{right - left - 1:.1f}" height="{height:.1f}"><title>{title}</title></rect>'
                )
    if len(scores) <= _MOST_DOTS:
        for values, kind, offset in ((good, "good", -5), (defective, "bad", 5)):
            parts += [
                f'<circle class="dot {kind}" cx="{across(value):.1f}" cy="{middle + offset:.1f}" r="2.4"/>'
                for value in values
            ]
    parts.append(
        f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{middle:.1f}" y2="{middle:.1f}"/>'
    )
    if threshold is not None:
        parts.append(_threshold(f"{threshold:{form}} ({whose})", across(threshold)))
    label = (
        f"Histogram of image scores: {len(good)} {kinds['good']} and {len(defective)} {kinds['bad']} images"
    )
    size = f"0 0 {WIDTH} {HEIGHT}"
    return f'<svg class="histogram" viewBox="{size}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round values from `low` to `high`, at most `most` + 1 of them."""
    least = (high - low) / most
    if not least > 0:
        return [low] if low == high else []
    power = 10.0 ** math.floor(math.log10(least))
    step = next(part * power for part in (1, 2, 2.5, 5, 10) if part * power >= least * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def _edges(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = float(scores.min()), float(scores.max())
    if high <= low:
        low, high = low - 0.5, high + 0.5
    bins = int(np.clip(round(2 * np.sqrt(len(scores))) + 6, 12, _MOST_BINS))
    margin = (high - low) * 0.02
    return np.linspace(low - margin, high + margin, bins + 1)


def _counts(most: int, unit: float, middle: float) -> str:
    """At most three lines a side, on whole numbers of images."""
    parts = []
    step = max(1, -(-most // 3))
    for count in range(step, most + 1, step):
        for y in (middle - count * unit, middle + count * unit):
            parts.append(
                f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{count}</text>'
            )
    return "".join(parts)


def _scores(edges: NDArray[np.float64], across: Callable[[float], float]) -> str:
    parts = [
        f'<text class="tick" x="{across(value):.1f}" y="{HEIGHT - _BOTTOM + 16}" '
        f'text-anchor="middle">{value:g}</text>'
        for value in ticks(float(edges[0]), float(edges[-1]), 8)
    ]
    end = f'<text class="tick" x="{WIDTH - _RIGHT}" y="{HEIGHT - 6}" text-anchor="end">image score →</text>'
    return "".join([*parts, end])


def _threshold(threshold: str, x: float) -> str:
    anchor, shift = ("end", -6) if x > WIDTH * 0.7 else ("start", 6)
    return (
        f'<line class="threshold" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 16}" y2="{HEIGHT - _BOTTOM}"/>'
        f'<text class="threshold-label" x="{x + shift:.1f}" y="{_TOP - 8}" text-anchor="{anchor}">'
        f"threshold {threshold}</text>"
    )
