"""Load and score model files that were damaged or made by a stranger: each is refused in one line, or works.

    python fuzz/model_files.py --cases 1000 --seed 0

The files of `tests/files` are written anew, with a digest, and changed one way a case: bits flipped, blocks
cut or overwritten, the table of tensors edited, settings and values of tensors replaced by hostile ones. A
case ends well when the file is refused by one line, or gives the very scores of the file it was made from. A
stranger who removes the digest or makes it anew can also describe another model; that one must give finite
scores. Each case runs in a process of its own with bounded time and memory (Linux). Case N of a seed is the
same everywhere: ``--only N --keep FILE`` writes its file.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mutations import mutant
from pni_fast import PNI, PniError
from pni_fast.config import ContextConfig
from pni_fast.decision import Decision
from pni_fast.distribution.context import Context
from pni_fast.distribution.trials import Trial, Trials
from pni_fast.features.backbones import build_backbone

ROOT = Path(__file__).resolve().parent.parent
SECONDS, MEGABYTES, LINE = 20, 300, 1500
"""What a case may take: processor time, memory beside a whole model's, characters of a refusal."""


def scores_of(path: Path) -> dict[str, Any]:
    """Return what a user sees of a file: scores, or a refusal."""
    picture = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    try:
        scores = PNI.load(path, device="cpu", num_threads=1).score_samples([picture])
    except PniError as error:
        return {"refused": str(error)}
    return {"scores": [float(score) for score in scores]}


def isolated(path: Path) -> tuple[dict[str, Any], float, float]:
    """Run :func:`scores_of` in a process of its own; return its result, megabytes and seconds."""
    begun = time.monotonic()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        limit_this_process()
        try:
            result = scores_of(path)
        except BaseException as error:  # anything else is what this looks for
            result = {"error": f"{type(error).__name__}: {error}"[:500]}
        with os.fdopen(writing, "w") as out:
            json.dump(result, out)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    _, status, used = os.wait4(child, 0)
    result = json.loads(text) if text else {"error": f"ended by {signal.Signals(status & 127).name}"}
    return result, used.ru_maxrss / 1024, time.monotonic() - begun


def limit_this_process() -> None:
    """Bound processor time and address space."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    signal.alarm(20 * SECONDS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 4 * MEGABYTES * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def verdict(result: dict[str, Any], expected: list[float], stranger: bool) -> str:
    """Return how a case ended: ``refused``, ``same``, ``other model``, or what went wrong."""
    if "error" in result:
        return f"FAILED: {result['error']}"
    if "refused" in result:
        line = result["refused"]
        good = line.isprintable() and len(line) <= LINE
        return "refused" if good else f"FAILED: not one line of bounded length: {line!r:.300}"
    scores = result["scores"]
    if scores == expected:
        return "same"
    if stranger and all(math.isfinite(score) for score in scores):
        return "other model"
    return f"FAILED: scores {scores}, not {expected}"


def newest(model: PNI) -> PNI:
    """Return a model of the newest kind: held to made-up images, with a threshold and a region."""
    whole = model.fitted.members[0]
    parts, (height, width) = whole.distribution, whole.grid
    random = np.random.default_rng(0)
    context = Context.of(
        random.integers(0, parts.n_classes, (6, height, width)),
        random.random((6, parts.coreset.shape[1]), dtype=np.float32),
        kept=np.arange(6),
        images=2,
        window=whole.config.neighborhood_size,
        n_classes=parts.n_classes,
        names=tuple("abcdef"),
    )
    seen = {"move": (0.5, 0.1)}
    trials = Trials((Trial("none", 0.0, 0.0, seen), Trial("context", 0.5, 0.01, seen)), 1)
    config = replace(
        whole.config,
        rule="blend",
        position_gate=True,
        neighborhood=False,
        context=ContextConfig(images=2),
    )
    held = replace(parts, position=None, neighborhood=None, context=context, weight=0.5, trials=trials)
    decision = Decision.of(
        random.random(20), 1 + random.random(20), false_alarms=0.1, digests=random.integers(0, 2**60, 20)
    )
    region = np.ones((config.crop, config.crop), dtype=bool)
    region[:, : config.crop // 4] = False
    whole = replace(whole, config=config, distribution=held)
    return PNI.from_fitted(replace(whole, decision=decision, roi=region, image_size=(96, 96)), model.run)


def main() -> int:
    """Run the cases and print what they came to."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="run this case alone")
    parser.add_argument("--keep", type=Path, help="with --only: write the case's file there")
    options = parser.parse_args()
    torch.set_num_threads(1)  # no pool is started here that a child could wait for
    build_backbone("ghostnet_050", outline=True)
    counts: Counter[str] = Counter()
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        bases, expected, least = {}, {}, 0.0
        loaded = {
            source.stem: PNI.load(source, device="cpu", num_threads=1)
            for source in sorted((ROOT / "tests" / "files").glob("*.safetensors"))
        }
        loaded["newest"] = newest(loaded["format1-both"])
        for name, model in loaded.items():
            model.save(path)
            bases[name] = path.read_bytes()
            result, megabytes, _ = isolated(path)
            expected[name], least = result["scores"], max(least, megabytes)
        begun, most, longest = time.monotonic(), 0.0, 0.0
        cases = range(options.cases) if options.only is None else [options.only]
        for case in cases:
            base, kind, content, stranger = mutant(bases, options.seed, case)
            path.write_bytes(content)
            if options.keep:
                options.keep.write_bytes(content)
            result, megabytes, seconds = isolated(path)
            ended = verdict(result, expected[base], stranger)
            if megabytes > least + MEGABYTES and not ended.startswith("FAILED"):
                ended = f"FAILED: {megabytes:.0f} MB, {least:.0f} MB are usual; {result}"
            most, longest = max(most, megabytes), max(longest, seconds)
            if ended.startswith("FAILED") or options.only is not None:
                print(
                    f"case {case} ({base}, {kind}): {ended} {result if options.only is not None else ''}",
                    flush=True,
                )
            failures += ended.startswith("FAILED")
            counts[f"{kind}: {ended.partition(':')[0]}"] += 1
    print(f"{len(cases)} model files of seed {options.seed} in {time.monotonic() - begun:.0f} s")
    for name, count in sorted(counts.items()):
        print(f"  {name:<24}{count:>6}")
    print(
        f"  most memory {most:.0f} MB (usual: {least:.0f} MB), longest case {longest:.1f} s, "
        f"failed {failures}"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
