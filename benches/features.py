"""The features the benches run on, made once and kept in the output folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def data_root() -> Path:
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    return Path(os.environ.get("PNI_FAST_DATA", default))


def category_name(category: str) -> str:
    """Return the category where its data is, else ``demo``."""
    return category if (data_root() / category).is_dir() else "demo"


def category_folder(output: Path, name: str) -> Path:
    """Return the folder, in MVTec layout, of a name from `category_name`; makes the demo's set."""
    if name != "demo":
        return data_root() / name
    from pni_fast.demo import build_demo_set

    return build_demo_set(output / "demo-set")


def weights_file() -> Path:
    return data_root().parent / "weights" / "densenet201_to_denseblock3_fp16.safetensors"


def grids(
    kind: str, split: str, output: Path, count: int | None = None, category: str = "toothbrush"
) -> tuple[str, NDArray[np.float32]]:
    """Return a name and patch features (images, h, w, d) of a split: ``lite``, or ``dense`` (DenseNet-201).

    `count` takes only the first images.

    Without DenseNet's weights, ``dense`` raises FileNotFoundError.
    """
    name = category_name(category)
    kept = output / f"features-{name}-{kind}-{split}{count or ''}.npy"
    if not kept.exists():
        if kind == "dense" and not weights_file().exists():
            raise FileNotFoundError(f"no weights for DenseNet-201 at {weights_file()}")
        half = kept.with_suffix(".part.npy")
        np.save(half, _extract(kind, split, category_folder(output, name), count))
        half.replace(kept)
    return name, np.load(kept)


def _extract(kind: str, split: str, folder: Path, count: int | None) -> NDArray[np.float32]:
    import torch
    from pni_fast.config import Geometry
    from pni_fast.data import open_category, read_image
    from pni_fast.data.cropping import crop_image
    from pni_fast.features.backbones import build_extractor
    from pni_fast.features.weights import load_weights

    name, dimension, weights = ("tf_efficientnet_lite0", 152, None)
    if kind == "dense":
        name, dimension, weights = "densenet201", 1024, weights_file()
    extractor = build_extractor(name, 3, dimension)
    load_weights(extractor.backbone, name, weights)
    geometry = Geometry(512, 480)
    category = open_category(folder)
    paths = category.train if split == "train" else [sample.path for sample in category.test]
    parts = []
    for path in paths[:count]:
        crop = torch.from_numpy(crop_image(read_image(path), geometry)[None].copy())
        with torch.inference_mode():
            parts.append(extractor(crop).numpy())
    return np.concatenate(parts)
