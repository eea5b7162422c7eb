"""Pixel scores as the paper draws them: precision–recall curves (figure 5), score histograms (figure 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pni_fast.runtime.files import atomic_path

from .lettering import set_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawn = tuple[str, Mapping[str, Any], Mapping[str, Any]]
"""Label, figures (`Metrics.as_dict`) and curves (`PixelCurves.as_dict`) of one method."""

_NORMAL, _DEFECTIVE, _THRESHOLD = "#2a9d4a", "#d1453b", "#2457c5"


def write_precision_recall(title: str, methods: Sequence[Drawn], path: Path) -> None:
    """Draw precision against recall over pixels, one curve a method, with its F1max in the legend.

    Parameters
    ----------
    title
        Name of the category.
    methods
        At least one.
    path
        PNG to write, whole or not at all.
    """
    figure = _figure(5.6, 4.2)
    axes = figure.subplots()
    recall = np.linspace(0.01, 1, 200)
    for level in (0.3, 0.5, 0.7, 0.9):  # lines of equal F1: precision = F r / (2 r − F)
        reach = recall[recall > level / 2 + 0.005]
        precision = level * reach / (2 * reach - level)
        axes.plot(reach[precision <= 1], precision[precision <= 1], color="0.85", linewidth=0.8, zorder=1)
    for label, figures, curves in methods:
        axes.plot(
            [0, *curves["recall"]],
            [curves["precision"][0], *curves["precision"]],
            label=f"{label}, F1max {100 * figures['pixel_f1_max']:.1f} %",
        )
    set_title(axes, title)
    axes.set(xlabel="Recall (pixels)", ylabel="Precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(fontsize="small", loc="lower left")
    save_figure(figure, path)


def write_score_histograms(title: str, methods: Sequence[Drawn], path: Path) -> None:
    """Draw the scores of normal and defective pixels, one panel a method, with the threshold of F1max.

    Parameters
    ----------
    title
        Name of the category.
    methods
        At least one.
    path
        PNG to write, whole or not at all.
    """
    figure = _figure(4.6 * len(methods), 3.4)
    panels = figure.subplots(1, len(methods), squeeze=False)[0]
    for axes, (label, figures, curves) in zip(panels, methods, strict=True):
        edges = np.asarray(curves["edges"])
        for kind, colour in (("normal", _NORMAL), ("defective", _DEFECTIVE)):
            counts = np.asarray(curves[kind], dtype=np.float64)
            density = counts / (counts.sum() * np.diff(edges))
            axes.stairs(density, edges, fill=True, color=colour, alpha=0.5, label=f"{kind} pixels")
        axes.axvline(figures["pixel_threshold"], color=_THRESHOLD, label="threshold of F1max")
        false_positive, false_negative = curves["false_positive_rate"], curves["false_negative_rate"]
        rates = f"FPR {100 * false_positive:.1f} %, FNR {100 * false_negative:.1f} %"
        set_title(axes, f"{title}, {label}\n{rates}")
        axes.set(xlabel="Anomaly score", ylabel="Density of each kind")
        axes.legend(fontsize="small")
    save_figure(figure, path)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a matplotlib figure as PNG, whole or not at all."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure  # not pyplot: no window system, no state, any thread

    return Figure(figsize=(width, height), layout="constrained")
