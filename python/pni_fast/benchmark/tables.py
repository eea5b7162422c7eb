"""The paper's tables with our figures beside the paper's, every one of which says that it is the paper's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pni_fast.config.choices import METRICS

from . import paper
from .averages import Method, choice_notes, coverage_notes, headline, measured_categories, methods
from .groups import named_groups, official_categories
from .records import Record
from .variants import Variant

NAMES = {
    "image_auroc": "I-AUROC",
    "image_f1_max": "I-F1max",
    "pixel_auroc": "P-AUROC",
    "pixel_f1_max": "P-F1max",
    "aupro": "AUPRO",
}
"""Metrics as the paper writes them."""

Cell = float | None


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes
    ----------
    label
        What it is called; ends in ``(paper)`` where `source` is ``paper``.
    source
        ``paper``: every figure is the paper's; ``ours``; ``mixed``: the columns say.
    cells
        Percent, one for each column.
    """

    label: str
    source: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table of percentages.

    Attributes
    ----------
    name
        ``Table 1`` and so on, as the paper counts them, or a name of our own.
    title
        What it shows.
    head
        Name of the first column, that of the rows' labels.
    columns
        Names of the others; one ends in ``(paper)`` where its figures are the paper's.
    rows
        The rows.
    notes
        What the averages leave out, in sentences.
    """

    name: str
    title: str
    head: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the table as plain values, each cell with the source of its figure."""
        return {
            "name": self.name,
            "title": self.title,
            "columns": list(self.columns),
            "rows": [
                {
                    "label": row.label,
                    "cells": [
                        {"value": value, "source": self.source(row, column)}
                        for column, value in zip(self.columns, row.cells, strict=True)
                    ],
                }
                for row in self.rows
            ],
            "notes": list(self.notes),
        }

    def source(self, row: Row, column: str) -> str:
        """Return ``paper`` or ``ours`` for the figure of a row and column."""
        return "paper" if row.source == "paper" or column.endswith("(paper)") else "ours"


def build_tables(records: Sequence[Record], dataset: str) -> list[Table]:
    """Build every table that the records of a data set allow.

    Parameters
    ----------
    records
        At least one.
    dataset
        MVTec AD gets the paper's Tables 1, 2 and 3, BTAD its Table 5, VisA its Table 6; every data set gets
        its categories one by one (the shape of Table 1), averages (Table 2) and, with several variants, the
        ablation (Table 3).

    Returns
    -------
    list of Table
        In the paper's order, then one with every figure of every category.
    """
    every = methods(records)
    tables = [_by_category(every, dataset), _averages(every, dataset)]
    if len({method.variant for method in every}) > 1:
        tables.append(_ablation(every, dataset))
    if dataset == "btad":
        tables.append(_btad(every))
    if dataset == "visa":
        tables.append(_visa(every))
    return [*tables, _everything(every, dataset)]


def _by_category(every: Sequence[Method], dataset: str) -> Table:
    """Table 1: I-AUROC and P-AUROC by category, with averages of groups."""
    printed = paper.TABLE_1 if dataset == "mvtec" else {}
    ours = headline(every)
    labels = [*(f"{name} (paper)" for name in printed), *(method.label for method in ours)]
    columns = [f"{NAMES[metric]} {label}" for metric in _AUROCS for label in labels]
    rows = []

    def add(label: str, key: str, members: Sequence[str]) -> None:
        cells: list[Cell] = []
        for index, metric in enumerate(_AUROCS):
            cells += [figures[key][index] if key in figures else None for figures in printed.values()]
            cells += [method.average(metric, members) for method in ours]
        rows.append(Row(label, "mixed" if printed else "ours", tuple(cells)))

    names = measured_categories(every, dataset)
    official = official_categories(dataset)
    groups = named_groups(dataset)
    for group, members in groups.items():
        for name in members:
            if name in names:
                add(name, name, (name,))
        add(f"{group} average", group, members)
    for name in names:
        if not groups or name not in official:
            add(name, name, (name,))
    add("Average", "Average", official or names)
    return Table(
        "Table 1",
        "detection and localization by category [%]",
        "Category",
        tuple(columns),
        tuple(rows),
        tuple(coverage_notes(ours, dataset)),
    )


_AUROCS = ("image_auroc", "pixel_auroc")


def _averages(every: Sequence[Method], dataset: str) -> Table:
    """Table 2: AUROC of images and pixels, AUPRO with averages of groups."""
    groups = named_groups(dataset)
    sets = [*groups.items(), ("average", official_categories(dataset) or None)]
    columns = ("I-AUROC", "P-AUROC", *(f"AUPRO {name.lower()}" for name, _ in sets))
    printed = paper.TABLE_2 if dataset == "mvtec" else {}
    rows = [Row(f"{name} (paper)", "paper", cells) for name, cells in printed.items()]
    whole = official_categories(dataset) or None
    for method in headline(every):
        cells = (
            *(method.average(metric, whole) for metric in _AUROCS),
            *(method.average("aupro", members) for _, members in sets),
        )
        rows.append(Row(method.label, "ours", cells))
    notes = coverage_notes(headline(every), dataset)
    return Table("Table 2", "averages [%]", "Method", columns, tuple(rows), tuple(notes))


_ABLATED = ("image_auroc", "pixel_auroc", "aupro", "pixel_f1_max")


def _ablation(every: Sequence[Method], dataset: str) -> Table:
    """Table 3: what neighborhood, position, context and refinement add, and what good images chose.

    It has AUPRO besides the paper's three figures.
    """
    sets = [*named_groups(dataset).items(), ("average", official_categories(dataset) or None)]
    columns = [f"{NAMES[metric]} {name.lower()}" for metric in _ABLATED for name, _ in sets]
    rows = []
    for variant, figures in (paper.TABLE_3 if dataset == "mvtec" else {}).items():
        printed: list[Cell] = []
        for metric in _ABLATED:
            printed += figures.get(metric, (None,) * len(sets))
        rows.append(Row(f"{Variant.named(variant).label} (paper)", "paper", tuple(printed)))
    for method in every:
        cells = [method.average(metric, members) for metric in _ABLATED for _, members in sets]
        rows.append(Row(method.label, "ours", tuple(cells)))
    notes = [*coverage_notes(every, dataset), *choice_notes(every)]
    return Table(
        "Table 3",
        "ablation of neighborhood (N), position (P), context (C) and refinement (R) [%]",
        "Variant",
        tuple(columns),
        tuple(rows),
        tuple(notes),
    )


def _btad(every: Sequence[Method]) -> Table:
    """Table 5: P-AUROC by product of BTAD."""
    ours = headline(every)
    names = measured_categories(every, "btad")
    columns = [*(f"{name} (paper)" for name in paper.TABLE_5), *(method.label for method in ours)]
    rows = []
    for label in (*names, "Average"):
        members = official_categories("btad") if label == "Average" else (label,)
        cells = [figures.get(label) for figures in paper.TABLE_5.values()]
        cells += [method.average("pixel_auroc", members) for method in ours]
        rows.append(Row(label, "mixed", tuple(cells)))
    notes = tuple(coverage_notes(ours, "btad"))
    return Table(
        "Table 5", "localization on BTAD, P-AUROC [%]", "Product", tuple(columns), tuple(rows), notes
    )


def _visa(every: Sequence[Method]) -> Table:
    """Table 6: I-AUROC and P-AUROC by group of VisA."""
    sets = [*named_groups("visa").items(), ("average", official_categories("visa"))]
    columns = [f"{NAMES[metric]} {name.lower()}" for metric in _AUROCS for name, _ in sets]
    rows = [
        Row(f"{name} (paper)", "paper", tuple(value for metric in _AUROCS for value in figures[metric]))
        for name, figures in paper.TABLE_6.items()
    ]
    for method in headline(every):
        cells = [method.average(metric, members) for metric in _AUROCS for _, members in sets]
        rows.append(Row(method.label, "ours", tuple(cells)))
    notes = tuple(coverage_notes(headline(every), "visa"))
    return Table(
        "Table 6", "detection and localization on VisA [%]", "Method", tuple(columns), tuple(rows), notes
    )


def _everything(every: Sequence[Method], dataset: str) -> Table:
    """Every figure of every category and variant."""
    rows = []
    for name in measured_categories(every, dataset):
        for method in every:
            if name in method.records:
                cells = tuple(method.percent(name, metric) for metric in METRICS)
                rows.append(Row(f"{name}, {method.label}", "ours", cells))
    columns = tuple(NAMES[metric] for metric in METRICS)
    return Table("All figures", "by category [%]", "Category and variant", columns, tuple(rows))
