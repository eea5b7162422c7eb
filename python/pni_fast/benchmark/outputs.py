"""What a benchmark writes: tables as JSON, CSV and Markdown, and figures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pni_fast.report.pixel_figures import write_precision_recall, write_score_histograms
from pni_fast.runtime.files import atomic_path
from pni_fast.runtime.table import table_writer

from .averages import headline, methods
from .records import Record, figure_folder, write_json
from .tables import Row, Table, build_tables


def write_tables(
    records: Sequence[Record], output: Path, dataset: str, failures: Sequence[dict[str, Any]]
) -> None:
    """Write ``benchmark.json``, ``benchmark.csv`` and ``benchmark.md``, each whole or not at all.

    Parameters
    ----------
    records
        May be empty when every category failed so far.
    output
        The folder.
    dataset
        Name of the data set.
    failures
        ``category``, ``preset``, ``error`` and ``trace`` of every category that could not be measured.
    """
    tables = build_tables(records, dataset) if records else []
    write_json(
        {
            "dataset": dataset,
            "unit": "percent in tables, shares in results",
            "results": [_plain(record) for record in records],
            "failures": list(failures),
            "tables": [table.as_dict() for table in tables],
        },
        output / "benchmark.json",
    )
    _write_text(_csv(tables), output / "benchmark.csv")
    _write_text(_markdown(tables, dataset, failures), output / "benchmark.md")


def draw_figures(records: Sequence[Record], folder: Path, preset: str, category: str, *, again: bool) -> None:
    """Draw the precision–recall curves and score histograms of one category and preset.

    Parameters
    ----------
    records
        Records of any categories and presets.
    folder
        Where ``<preset>/<category>/<figure>.png`` are written.
    preset, category
        Which to draw.
    again
        Replace figures that are there already.
    """
    own = methods([item for item in records if (item.preset, item.category) == (preset, category)])
    drawn = [(method.label, method.records[category]) for method in own]
    for name, chosen, write in (
        ("precision-recall", own, write_precision_recall),
        ("scores", headline(own), write_score_histograms),
    ):
        target = figure_folder(folder, preset, category) / f"{name}.png"
        labels = {method.label for method in chosen}
        shown = [
            (label, record.metrics, record.curves)
            for label, record in drawn
            if label in labels and record.curves is not None
        ]
        if shown and (again or not target.is_file()):
            write(category, shown, target)


def _plain(record: Record) -> dict[str, Any]:
    """Return what a reader of the results needs; curves stay in the records."""
    names = ("category", "preset", "variant", "metrics", "n_train", "n_test", "notes", "seconds", "device")
    return {name: getattr(record, name) for name in names} | {
        "backbone": record.model["backbone"],
        "weights": record.model["weights"],
    }


def _csv(tables: Sequence[Table]) -> str:
    """One figure a line, so that a script need not know any table's shape."""
    text = io.StringIO()
    writer = table_writer(text)
    writer.writerow(("table", "row", "column", "source", "percent"))
    for table in tables:
        for row in table.rows:
            for column, value in zip(table.columns, row.cells, strict=True):
                if value is not None:
                    label = "'" + row.label if row.label.startswith(_FORMULA) else row.label
                    writer.writerow((table.name, label, column, table.source(row, column), _exact(value)))
    return text.getvalue()


# A spreadsheet would run a name that begins so; it gets a quote before it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


def _exact(value: float) -> str:
    return f"{value:.10g}"


def _markdown(tables: Sequence[Table], dataset: str, failures: Sequence[dict[str, Any]]) -> str:
    lines = [
        f"# Benchmark on {dataset}",
        "",
        "Tables are numbered as in the paper whose shape they have. "
        "All figures in percent. Those marked (paper) are printed in the paper (Bae, Lee & Kim, ICCV 2023); "
        "the others were measured here.",
    ]
    for table in tables:
        lines += ["", f"## {table.name}: {table.title}", ""]
        lines.append("| " + " | ".join((table.head, *table.columns)) + " |")
        lines.append("| --- |" + " ---: |" * len(table.columns))
        for row in table.rows:
            cells = [
                _shown(value, table, row, column)
                for column, value in zip(table.columns, row.cells, strict=True)
            ]
            lines.append("| " + " | ".join((row.label.replace("|", "\\|"), *cells)) + " |")
        for note in table.notes:
            lines += ["", note]
    if failures:
        lines += ["", "## Not measured", ""]
        lines += [f"- {item['preset']} {item['category']}: {item['error']}" for item in failures]
    return "\n".join(lines) + "\n"


def _shown(value: float | None, table: Table, row: Row, column: str) -> str:
    """Two decimals of ours; the paper's as many as it prints, but for zeros at the end."""
    if value is None:
        return "–"
    return f"{value:g}" if table.source(row, column) == "paper" else f"{value:.2f}"


def _write_text(text: str, path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")
