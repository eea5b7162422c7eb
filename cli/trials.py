"""The table of conditions that a fit tried, as lines of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .speech import printable

LEGEND = (
    "risk: image AUROC that it can cost; sees: the mean over made defects; "
    "by kind of defect: image AUROC/pixel F1max; *: chosen, for what it sees less half its risk"
)


def trial_lines(trials: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the trials as one aligned table, the row chosen marked with an asterisk, and what it shows.

    Parameters
    ----------
    trials
        Rows of a model's summary, see :meth:`pni_fast.distribution.trials.Trials.as_list`.
    """
    if not trials:
        return []
    kinds = list(dict.fromkeys(kind for row in trials for kind in row["seen"]))
    # A model file may be a stranger's: a kind's name is one line, whatever it says.
    table = [["", "condition", "weight", "risk", "sees", *(printable(kind, keep="") for kind in kinds)]]
    for row in trials:
        seen = [row["seen"].get(kind) for kind in kinds]
        table.append(
            [
                "*" if row["chosen"] else "",
                row["condition"],
                f"{row['weight']:.3f}",
                *(f"{row[name]:.3f}" for name in ("risk", "sees")),
                *(
                    "-" if pair is None else "{image_auroc:.3f}/{pixel_f1_max:.3f}".format(**pair)
                    for pair in seen
                ),
            ]
        )
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    aligned = [
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in table
    ]
    return [*aligned, LEGEND]
