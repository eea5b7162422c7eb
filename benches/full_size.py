"""Where the time of a full-size fit and of its scoring goes: `paper`, without refinement, on one GPU.

    python benches/full_size.py [--images 200] [--test 256] [--data DIR] [--weights FILE | --random-weights]

Fits and scores through the public class, then times each stage of scoring by itself, one batch at a time, the
GPU waited for at both ends of every stage. Stages therefore add up to more than the end-to-end time, in which
they overlap.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

TARGETS = {"fit": 120.0, "images/s": 40.0, "GPU memory": 24e9}
"""Seconds of a fit on 200 images, images a second from decoded images, bytes."""


class Stages:
    """Seconds by stage, the GPU idle at both ends of each."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, defaultdict(float)

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        self.wait()
        began = time.perf_counter()
        yield
        self.wait()
        self.seconds[stage] += time.perf_counter() - began

    def around(self, name: str, stage: str) -> Any:
        """Return a patch that times every call of the function at a dotted name."""
        module, _, attribute = name.rpartition(".")
        plain = getattr(import_module(module), attribute)

        def timed(*arguments: Any, **more: Any) -> Any:
            with self.timed(stage):
                return plain(*arguments, **more)

        return mock.patch(name, timed)


def pictures(count: int, side: int, seed: int) -> list[NDArray[np.uint8]]:
    """Return images of one imagined product: smooth forms, alike but for a small shift, light and noise."""
    forms = np.random.default_rng(0).uniform(0, 255, (12, 12, 3)).astype(np.uint8)
    product = np.asarray(Image.fromarray(forms).resize((side, side), Image.Resampling.BICUBIC), np.float32)
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        shifted = np.roll(product, random.integers(-3, 4, 2), (0, 1)) * random.uniform(0.95, 1.05)
        made.append(np.clip(shifted + random.normal(0, 4, product.shape), 0, 255).astype(np.uint8))
    return made


def random_weights(backbone: str, folder: Path) -> Path:
    """Write untrained weights of a backbone, the same every time."""
    import safetensors.torch
    import timm

    torch.manual_seed(0)
    file = folder / "random.safetensors"
    safetensors.torch.save_file(timm.create_model(backbone.partition(".")[0]).state_dict(), file)
    return file


def fit(model: Any, images: list[Any], stages: Stages) -> float:
    """Fit the model and return the seconds it took in all."""
    with contextlib.ExitStack() as patches:
        for name, stage in {
            "pni_fast.model.fit_features.extract_features": "read, decode and backbone",
            "pni_fast.distribution.features.greedy_coreset": "coreset and labels",
            "pni_fast.distribution.fit.nearest": "coreset and labels",
            "pni_fast.distribution.fit.position_histogram": "histogram",
            "pni_fast.distribution.neighborhood.train_neighborhood": "MLP training",
            "pni_fast.model.fit._normal_range": "range of normal maps",
        }.items():
            patches.enter_context(stages.around(name, stage))
        began = time.perf_counter()
        model.fit(images)
        stages.wait()
        return time.perf_counter() - began


def score(model: Any, images: list[Any], batch: int, stages: Stages) -> None:
    """Time the stages of scoring, one batch after another, with all threads in each."""
    from pni_fast.data import prediction_sources
    from pni_fast.data.cropping import crop_image
    from pni_fast.runtime.copies import to_device, to_host

    scorer = model.fitted.likelihood_scorer(model.run)
    sources = list(prediction_sources(images))
    for start in [0, *range(0, len(sources), batch)]:
        if start == 0:  # the first batch runs twice: libraries choose their kernels in it
            stages.seconds.clear()
        with stages.timed("decode and crop"):
            crops = [crop_image(source.read(), model.geometry) for source in sources[start : start + batch]]
        with stages.timed("copy"):
            pixels = to_device(crops, model.run.device)
        with stages.timed("backbone"):
            features = scorer.features(pixels)
        with stages.timed("MLP, thresholds"):
            scorer.conditions(features)
        with stages.timed("copy"):
            grids = to_host(features)[0]
        evidence = scorer.evidence(features)
        with stages.timed("max_likelihood and map"):
            for one in evidence:
                scorer.anomaly_map(one, model.run.threads)
        with stages.timed("map"):
            for grid in grids:
                scorer.upsampler(np.ascontiguousarray(grid[..., 0]))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto")
    parser.add_argument("--images", type=int, default=200, help="images to fit on")
    parser.add_argument("--test", type=int, default=256, help="images to score")
    parser.add_argument("--side", type=int, default=512, help="side of the images made, in pixels")
    parser.add_argument("--data", type=Path, help="folder of images to take instead")
    parser.add_argument("--batch", type=int, default=16, help="images in a timed batch of scoring")
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument("--weights", type=Path, help="weights of the backbone; else those of the hub")
    weights.add_argument("--random-weights", action="store_true", help="untrained weights")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting")
    parser.add_argument("--backbone", help="another backbone")
    parser.add_argument("--output", type=Path, default=Path("bench-output"))
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            "full_size: torch sees no CUDA GPU; --device cpu with small sizes tries the code", file=sys.stderr
        )
        return 1
    if min(options.images, options.test, options.batch, options.side) < 1:
        parser.error("--images, --test, --batch and --side must be at least 1")
    print(report(run(options), options.output))
    return 0


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Fit, score, and return every figure."""
    from pni_fast import PNI
    from pni_fast.data import collect_inputs
    from pni_fast.presets import PRESETS

    backbone = options.backbone or PRESETS["paper"].backbones[0]
    settings = dict(text.split("=", 1) for text in options.set)
    with tempfile.TemporaryDirectory() as folder:
        file = random_weights(backbone, Path(folder)) if options.random_weights else options.weights
        model = PNI(
            "paper",
            backbone=backbone,
            weights=file,
            refinement=False,
            device=options.device,
            precision=options.precision,
            **settings,
        )
        if options.data is None:
            train: list[Any] = list(pictures(options.images, options.side, 1))
            test: list[Any] = list(pictures(options.test, options.side, 2))
        else:
            found = [path for path, _ in collect_inputs([options.data])]
            train, test = found[: options.images], (found * options.test)[: options.test]
        gpu = model.run.device.type == "cuda"
        fitting, scoring = Stages(model.run.device), Stages(model.run.device)
        fit_seconds = fit(model, train, fitting)
    decoded = [np.asarray(Image.open(one).convert("RGB")) if isinstance(one, Path) else one for one in test]
    list(model.predict(decoded[: options.batch]))
    began = time.perf_counter()
    done = sum(1 for _ in model.predict(decoded))
    rate = done / (time.perf_counter() - began)
    score(model, test, options.batch, scoring)
    search = scoring.seconds.pop("max_likelihood and map")
    scoring.seconds["max_likelihood"] = search - scoring.seconds["map"]
    scoring.seconds["map"] = scoring.seconds.pop("map")
    return {
        "device": torch.cuda.get_device_name(model.run.device) if gpu else "cpu",
        "precision": model.run.precision.name,
        "threads": model.run.threads,
        "weights": "random" if options.random_weights else str(options.weights or "hub"),
        "images": len(train),
        "scored": done,
        "fit": {"stages": dict(fitting.seconds), "seconds": fit_seconds},
        "scoring": {"ms an image": {k: 1e3 * v / done for k, v in scoring.seconds.items()}, "images/s": rate},
        "peak GPU bytes": torch.cuda.max_memory_reserved(model.run.device) if gpu else None,
        "peak RSS bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
        "targets": TARGETS,
    }


def report(record: dict[str, Any], output: Path) -> str:
    """Write the record as JSON and return it as a table."""
    output.mkdir(parents=True, exist_ok=True)
    part = output / "full-size.part"
    part.write_text(json.dumps(record, indent=1))
    part.replace(output / "full-size.json")
    peak = record["peak GPU bytes"]
    rows = [("stage", "measured", "target"), ("---", "---", "---")]
    rows += [(f"fit: {name}", f"{value:.2f} s", "") for name, value in record["fit"]["stages"].items()]
    rows.append((f"fit of {record['images']} images", f"{record['fit']['seconds']:.1f} s", "≤ 120 s for 200"))
    each = record["scoring"]["ms an image"].items()
    rows += [(f"scoring: {name}", f"{value:.2f} ms an image", "") for name, value in each]
    rows.append(("scoring end to end, decoded", f"{record['scoring']['images/s']:.1f} images/s", "≥ 40"))
    rows.append(("peak GPU memory", "none used" if peak is None else f"{peak / 1e9:.1f} GB", "≤ 24 GB"))
    rows.append(("peak RSS", f"{record['peak RSS bytes'] / 1e9:.1f} GB", ""))
    head = ", ".join(f"{key} {record[key]}" for key in ("device", "precision", "threads", "weights"))
    return "\n".join([head, "", *(f"| {' | '.join(row)} |" for row in rows)])


if __name__ == "__main__":
    raise SystemExit(main())
