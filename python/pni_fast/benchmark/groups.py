"""How the data sets' authors, and the paper, group their categories."""

from __future__ import annotations

GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "mvtec": {
        "Object": (
            "bottle",
            "cable",
            "capsule",
            "hazelnut",
            "metal_nut",
            "pill",
            "screw",
            "toothbrush",
            "transistor",
            "zipper",
        ),
        "Texture": ("carpet", "grid", "leather", "tile", "wood"),
    },
    "visa": {
        "Single instance": ("cashew", "chewinggum", "fryum", "pipe_fryum"),
        "Multiple instances": ("candle", "capsules", "macaroni1", "macaroni2"),
        "Complex structure": ("pcb1", "pcb2", "pcb3", "pcb4"),
    },
    "btad": {"": ("01", "02", "03")},
}
"""Categories by data set and group; the group without a name is a data set that has no groups."""


def named_groups(dataset: str) -> dict[str, tuple[str, ...]]:
    """Return the groups that get averages of their own, empty where the data set has none."""
    return {name: categories for name, categories in GROUPS.get(dataset, {}).items() if name}


def official_categories(dataset: str) -> tuple[str, ...]:
    """Return the categories the paper's averages are over, in its order; empty where it has no figures."""
    return tuple(name for categories in GROUPS.get(dataset, {}).values() for name in categories)
