"""Averages over categories, which never hide how many categories they are over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .groups import official_categories
from .records import Record
from .variants import Variant


@dataclass(frozen=True)
class Method:
    """One of our rows: a preset and a variant, with its records by category.

    Attributes
    ----------
    preset, variant
        As in its records.
    label
        What a table calls it.
    records
        By category.
    """

    preset: str
    variant: str
    label: str
    records: dict[str, Record]

    def percent(self, category: str, metric: str) -> float | None:
        """Return a metric of a category in percent, None where there is none."""
        record = self.records.get(category)
        value = None if record is None else record.metrics[metric]
        return None if value is None else 100 * value

    def average(self, metric: str, categories: Iterable[str] | None = None) -> float | None:
        """Return the mean, in percent, over those of `categories` (None: all) that have the metric."""
        names = self.records if categories is None else categories
        values = [value for name in names if (value := self.percent(name, metric)) is not None]
        return sum(values) / len(values) if values else None


def methods(records: Sequence[Record]) -> list[Method]:
    """Gather records into methods, by preset, then from no part to all parts."""
    found: dict[tuple[str, str], Method] = {}
    for record in records:
        key = (record.preset, record.variant)
        method = found.setdefault(key, Method(*key, record.label, {}))
        method.records[record.category] = record
    return sorted(found.values(), key=lambda method: (method.preset, Variant.named(method.variant).order))


def headline(all_methods: Sequence[Method]) -> list[Method]:
    """Return, for every preset, PatchCore where it was run and the variant with the most parts."""
    chosen = []
    for preset in dict.fromkeys(method.preset for method in all_methods):
        own = [method for method in all_methods if method.preset == preset]
        chosen += [method for method in own if method.variant == "neither" or method is own[-1]]
    return chosen


def measured_categories(all_methods: Sequence[Method], dataset: str) -> list[str]:
    """Return the categories with a record: in the paper's order where it has one, else sorted."""
    names = {name for method in all_methods for name in method.records}
    official = [name for name in official_categories(dataset) if name in names]
    return [*official, *sorted(names.difference(official))]


def coverage_notes(all_methods: Sequence[Method], dataset: str) -> list[str]:
    """Say, for every method, which categories its averages lack."""
    expected = official_categories(dataset) or tuple(measured_categories(all_methods, dataset))
    notes = []
    for method in all_methods:
        missing = [name for name in expected if name not in method.records]
        if missing:
            done = len(expected) - len(missing)
            whole = "; the paper's averages are over all of them" if official_categories(dataset) else ""
            notes.append(
                f"{method.label}: averages over {done} of {len(expected)} categories, "
                f"without {', '.join(missing)}{whole}."
            )
        for metric in ("image_auroc", "pixel_auroc"):
            without = [name for name in method.records if method.percent(name, metric) is None]
            if without:
                notes.append(f"{method.label}: no {metric} for {', '.join(without)}, left out of averages.")
    return notes


def choice_notes(all_methods: Sequence[Method]) -> list[str]:
    """Say, for every method that leaves the choice to good images, what they chose by category."""
    notes = []
    for method in all_methods:
        chosen = [
            f"{name} {' and '.join(_acting(record.model))}"
            for name, record in sorted(method.records.items())
            if any(member.get("conditions") for member in record.model.get("members", [record.model]))
        ]
        if chosen and method.variant not in ("neither", "R"):
            notes.append(f"{method.label} chose: {', '.join(chosen)}.")
    return notes


def _acting(model: dict[str, Any]) -> list[str]:
    """Return, for every member, the condition that acts and its weight."""
    acting = []
    for member in model.get("members", [model]):
        names = [name for name in ("position", "context") if name in member["parts"]]
        acting.append(f"{names[0]} {member['weight']:g}" if names else "neither")
    return acting
