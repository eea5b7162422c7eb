"""What a vision transformer costs: milliseconds an image by every engine, and the coreset of its features.

    python benches/transformers.py engines --side 448
    python benches/transformers.py coreset

Weights are random, which changes no time of a network. The features of the coreset are random, of low rank
with a little noise, each level with norm 1: 213 images × 1,369 tokens × 4 levels of 768 channels, 3.6 GB on
disk.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np


def features(file: Path, images: int, tokens: int, levels: int, channels: int, rank: int) -> np.memmap:
    """Write features one image after another and return them mapped, read only."""
    random = np.random.default_rng(0)
    bases = random.standard_normal((levels, rank, channels), dtype=np.float32) / np.sqrt(rank)
    spectrum = (1 / np.sqrt(np.arange(1, rank + 1))).astype(np.float32)
    common = random.standard_normal((tokens, rank), dtype=np.float32)
    shape = (images * tokens, levels * channels)
    rows = np.lib.format.open_memmap(file, "w+", np.float32, shape)
    for image in range(images):
        part = rows[image * tokens : (image + 1) * tokens].reshape(tokens, levels, channels)
        latent = (common + 0.7 * random.standard_normal((tokens, rank), dtype=np.float32)) * spectrum
        for level in range(levels):
            noise = random.standard_normal((tokens, channels), dtype=np.float32)
            made = latent @ bases[level] + 0.05 * noise
            part[:, level] = made / np.linalg.norm(made, axis=1, keepdims=True)
    rows.flush()
    return np.lib.format.open_memmap(file, "r")


def coreset(options: argparse.Namespace) -> None:
    from pni_fast import greedy_coreset

    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        file = Path(folder) / "features.npy"
        rows = features(file, options.images, options.tokens, options.levels, options.channels, options.rank)
        made = time.monotonic() - began
        # Once through all of it, so that reading the disk is not counted with the selection.
        began = time.monotonic()
        total = sum(float(rows[start : start + 4096].sum()) for start in range(0, len(rows), 4096))
        read = time.monotonic() - began
        assert np.isfinite(total)
        began, worked = time.monotonic(), time.process_time()
        picked = greedy_coreset(rows, options.ratio, num_threads=options.threads)
        seconds, worked = time.monotonic() - began, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{rows.shape[0]:,} points of {rows.shape[1]:,} dimensions (rank {options.rank}), "
        f"{rows.nbytes / 1e9:.2f} GB; made in {made:.0f} s, read in {read:.1f} s; "
        f"{len(picked.indices):,} picks in {seconds:.1f} s ({worked:.1f} s of processors, "
        f"{options.threads} threads), peak {peak:.2f} GiB with what is mapped"
    )


def engines(options: argparse.Namespace) -> None:
    import torch
    from pni_fast.config import PRESETS
    from pni_fast.features.backbones import build_extractor
    from pni_fast.features.engines.choose import open_engine
    from pni_fast.features.engines.export import extractor_graph, state_arrays
    from pni_fast.features.engines.networks import extractor_ends, grid_of, whole_model
    from pni_fast.features.stored import TorchExtraction
    from pni_fast.runtime.run import Run

    torch.set_num_threads(1)
    config, shape = PRESETS[options.preset], (options.side, options.side)
    extractor = build_extractor(config.backbones[0], config.patch, config.dimension, shape, config.levels)
    graph = extractor_graph(extractor, *shape)
    ends = extractor_ends(shape, (*grid_of(graph), extractor.dimension))
    model = whole_model(graph, state_arrays(extractor.backbone, "backbone."), *ends)
    crop = np.random.default_rng(0).integers(0, 256, (1, *shape, 3), dtype=np.uint8)
    for name in ("openvino", "onnxruntime", "torch"):
        run = TorchExtraction(extractor, Run()) if name == "torch" else open_engine(name, model)
        run(crop)
        wall, worked = [], []
        for _ in range(options.repeat):
            began, thread = time.monotonic(), time.thread_time()
            run(crop)
            wall.append(time.monotonic() - began)
            worked.append(time.thread_time() - thread)
        middle, busy = (1e3 * statistics.median(taken) for taken in (wall, worked))
        print(
            f"{options.preset} at {options.side}, {name}, one thread: {middle:.0f} ms, "
            f"{busy:.0f} of the processor"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(required=True)
    part = parts.add_parser("coreset")
    part.set_defaults(run=coreset)
    for name, value in {
        "images": 213,
        "tokens": 1369,
        "levels": 4,
        "channels": 768,
        "rank": 64,
        "threads": 2,
    }.items():
        part.add_argument(f"--{name}", type=int, default=value)
    part.add_argument("--ratio", type=float, default=0.01)
    part = parts.add_parser("engines")
    part.set_defaults(run=engines)
    part.add_argument("--preset", default="dino")
    part.add_argument("--side", type=int, default=448)
    part.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
