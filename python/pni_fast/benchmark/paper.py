"""Figures printed in the paper (Bae, Lee & Kim, ICCV 2023), in percent; none of them is ours.

Methods the paper itself compares with are quoted from its tables, where they are one network unless called an
ensemble. A figure the paper leaves out is None.
"""

from __future__ import annotations

Pair = tuple[float, float]

TABLE_1: dict[str, dict[str, Pair]] = {
    "PatchCore": {
        "bottle": (100, 98.6),
        "cable": (99.5, 98.4),
        "capsule": (98.1, 98.8),
        "hazelnut": (100, 98.7),
        "metal_nut": (100, 98.4),
        "pill": (96.6, 97.4),
        "screw": (98.1, 99.4),
        "toothbrush": (100, 98.7),
        "transistor": (100, 96.3),
        "zipper": (99.4, 98.8),
        "Object": (99.2, 98.4),
        "carpet": (98.7, 99.0),
        "grid": (98.2, 98.7),
        "leather": (100, 99.3),
        "tile": (98.7, 95.6),
        "wood": (99.2, 95.0),
        "Texture": (99.0, 97.5),
        "Average": (99.1, 98.1),
    },
    "PNI": {
        "bottle": (100, 98.87),
        "cable": (99.76, 99.10),
        "capsule": (99.72, 99.34),
        "hazelnut": (100, 99.37),
        "metal_nut": (100, 99.29),
        "pill": (96.89, 99.03),
        "screw": (99.51, 99.60),
        "toothbrush": (99.72, 99.09),
        "transistor": (100, 98.04),
        "zipper": (99.87, 99.43),
        "Object": (99.55, 99.12),
        "carpet": (100, 99.40),
        "grid": (98.41, 99.20),
        "leather": (100, 99.56),
        "tile": (100, 98.40),
        "wood": (99.56, 97.04),
        "Texture": (99.59, 98.72),
        "Average": (99.56, 98.98),
    },
}
"""MVTec AD: (I-AUROC, P-AUROC) of the two methods we also run, by category and average."""

TABLE_2: dict[str, tuple[float | None, ...]] = {
    "PatchCore": (99.1, 98.1, 93.3, 93.6, 93.4),
    "Reverse Distillation": (98.5, 97.8, 93.4, 95.0, 93.9),
    "PEFM": (None, 98.30, 95.30, 95.95, 95.52),
    "PNI": (99.56, 98.98, 96.34, 95.47, 96.05),
    "PatchCore (ensemble)": (99.6, 98.2, None, None, 94.9),
    "PNI (ensemble)": (99.63, 99.06, 96.83, 96.00, 96.55),
}
"""MVTec AD: I-AUROC, P-AUROC, and AUPRO over objects, textures and all; the nearest rivals of its 21 rows."""

TABLE_3: dict[str, dict[str, tuple[float, float, float]]] = {
    "neither": {
        "image_auroc": (99.01, 98.75, 98.92),
        "pixel_auroc": (98.70, 97.15, 98.18),
        "pixel_f1_max": (60.06, 49.92, 57.08),
    },
    "N": {
        "image_auroc": (99.38, 99.55, 99.44),
        "pixel_auroc": (98.79, 98.29, 98.62),
        "pixel_f1_max": (67.91, 58.54, 64.79),
    },
    "NP": {
        "image_auroc": (99.46, 99.46, 99.46),
        "pixel_auroc": (99.04, 98.33, 98.80),
        "pixel_f1_max": (69.30, 58.43, 65.67),
    },
    "NPR": {
        "image_auroc": (99.55, 99.59, 99.56),
        "pixel_auroc": (99.12, 98.72, 98.98),
        "pixel_f1_max": (69.90, 61.23, 67.01),
    },
}
"""MVTec AD ablation: (object, texture, average) by variant and metric; it has no row P and no AUPRO.

Of the first row the paper prints 57.08 as average F1max, though its own groups give 56.68.
"""

TABLE_5: dict[str, dict[str, float]] = {
    "VT-ADL": {"01": 76.3, "02": 88.9, "03": 80.3, "Average": 81.8},
    "P-SVDD": {"01": 94.9, "02": 92.7, "03": 91.7, "Average": 93.1},
    "FastFlow": {"01": 95, "02": 96, "03": 99, "Average": 97},
    "Tsai et al.": {"01": 97.3, "02": 96.8, "03": 99.0, "Average": 97.7},
    "PNI": {"01": 97.4, "02": 97.0, "03": 99.0, "Average": 97.8},
}
"""BTAD: P-AUROC by product."""

TABLE_6: dict[str, dict[str, tuple[float, float, float, float]]] = {
    "SPD": {"image_auroc": (93.8, 78.4, 91.3, 87.8), "pixel_auroc": (91.6, 94.6, 95.2, 93.8)},
    "PNI": {"image_auroc": (99.2, 87.9, 98.5, 95.2), "pixel_auroc": (98.1, 99.2, 99.0, 98.8)},
}
"""VisA: (single instance, multiple instances, complex structure, average) by method and metric."""
