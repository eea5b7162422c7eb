"""What good images said about the conditions of a model, as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any


def choices(model: Mapping[str, Any]) -> list[str]:
    """Return, for every member that chose its condition, the choice in words."""
    members = model.get("members", [model])
    return [str(one["conditions"]) for one in members if one.get("conditions") is not None]


def trials_section(model: Mapping[str, Any]) -> str:
    """Return the tables of all trials of a model, a panel each; empty where nothing was tried.

    Parameters
    ----------
    model
        Its own description; every text in it is escaped.
    """
    members = model.get("members", [model])
    return "".join(_panel(one, named=len(members) > 1) for one in members if one.get("trials"))


def _panel(member: Mapping[str, Any], *, named: bool) -> str:
    rows = member["trials"]
    kinds = list(dict.fromkeys(kind for row in rows for kind in row["seen"]))
    heads = ("weight", "risk", "sees", *kinds)
    title = "Conditions tried on good images left out of the fit"
    if named:
        title += f", with {member['backbone']}"
    body = []
    for row in rows:
        seen = [row["seen"].get(kind) for kind in kinds]
        cells = [
            *(f"{row[name]:.3f}" for name in ("weight", "risk", "sees")),
            *(
                "–" if pair is None else "{image_auroc:.3f} / {pixel_f1_max:.3f}".format(**pair)
                for pair in seen
            ),
        ]
        line, mark = "<tr>", ""
        if row["chosen"]:
            line, mark = '<tr class="chosen">', ' <span class="chip">chosen</span>'
        body.append(f'{line}<th scope="row">{escape(row["condition"])}{mark}</th>{_cells("td", cells)}</tr>')
    return (
        f'<section class="panel trials"><h3>{escape(title)}</h3><div class="wide"><table><thead><tr>'
        f"<th>condition</th>{_cells('th', heads)}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
        '<p class="hint">Risk is image AUROC that the condition can cost; it sees, in the mean, what the '
        "columns by kind say: image AUROC / pixel F1max of defects made in good images against the same "
        "images untouched. What it sees, less half its risk, decides.</p></section>\n"
    )


def _cells(tag: str, texts: Iterable[str]) -> str:
    return "".join(f'<{tag} class="n">{escape(text)}</{tag}>' for text in texts)
