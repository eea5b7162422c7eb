"""The features the benches run on, made once and kept in the output folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

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


def mixed(output: Path, pictures: int, batch: int = 8) -> Path:
    """Return a ``.npy`` file of ``lite`` features (rows, 152) of crops and flips of all pictures, shuffled.

    Pictures of all sets under `data_root` and of the demo are taken in turn: a square of three quarters to
    all of the shorter side, anywhere, at 480 pixels, mirrored or not, gives 3,600 rows.
    """
    import torch
    from PIL import Image

    kept = output / f"features-mixed-{pictures}.npy"
    if kept.exists():
        return kept
    folders = [category_folder(output, "demo"), *(path for path in data_root().glob("*") if path.is_dir())]
    files = sorted(
        file
        for folder in folders
        for file in folder.rglob("*")
        if file.suffix.lower() in (".png", ".jpg") and "ground_truth" not in file.parts
    )
    rng = np.random.default_rng(7)
    turns = -(-pictures // len(files))
    order = np.concatenate([rng.permutation(len(files)) for _ in range(turns)])
    extractor = _extractor("lite")
    half = kept.with_suffix(".part.npy")
    rows = np.lib.format.open_memmap(half, "w+", np.float32, (pictures * 3600, 152))
    for first in range(0, pictures, batch):
        crops = []
        for number in order[first : min(first + batch, pictures)]:
            with Image.open(files[number]) as opened:
                picture = opened.convert("RGB")
            side = int(min(picture.size) * rng.uniform(0.75, 1.0))
            x, y = (int(rng.uniform(0, length - side)) for length in picture.size)
            crop = picture.resize((480, 480), Image.Resampling.BICUBIC, box=(x, y, x + side, y + side))
            flips = tuple(axis for axis in (0, 1) if rng.integers(2))
            crops.append(np.flip(np.asarray(crop), flips))
        with torch.inference_mode():
            features = extractor(torch.from_numpy(np.stack(crops)))
        rows[first * 3600 : (first + len(crops)) * 3600] = features.numpy().reshape(-1, 152)
    rows.flush()
    half.replace(kept)
    return kept


def _extractor(kind: str) -> Any:
    """Return the network that makes features of a kind, a torch module."""
    from pni_fast.features.backbones import build_extractor
    from pni_fast.features.weights import load_weights

    name, dimension, weights = ("tf_efficientnet_lite0", 152, None)
    if kind == "dense":
        name, dimension, weights = "densenet201", 1024, weights_file()
    extractor = build_extractor(name, 3, dimension)
    load_weights(extractor.backbone, name, weights)
    return extractor


def _extract(kind: str, split: str, folder: Path, count: int | None) -> NDArray[np.float32]:
    import torch
    from pni_fast.config import Geometry
    from pni_fast.data import open_category, read_image
    from pni_fast.data.cropping import crop_image

    extractor = _extractor(kind)
    geometry = Geometry(512, 480)
    category = open_category(folder)
    paths = category.train if split == "train" else [sample.path for sample in category.test]
    parts = []
    for path in paths[:count]:
        crop = torch.from_numpy(crop_image(read_image(path), geometry)[None].copy())
        with torch.inference_mode():
            parts.append(extractor(crop).numpy())
    return np.concatenate(parts)
