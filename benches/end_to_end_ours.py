"""One action of `end_to_end.py` for pni-fast: ENGINE ACTION CATEGORY MODEL THREADS."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path


def main(engine: str, action: str, data: Path, model: Path, threads: int) -> dict[str, float]:
    from pni_fast import PNI

    file = model.with_suffix(".safetensors")
    if action == "fit":
        PNI(engine=engine, device="cpu", num_threads=threads).fit(data).save(file)
        return {}
    fitted = PNI.load(file, engine=engine, device="cpu", num_threads=threads)
    images = sorted(path for path in (data / "test").rglob("*") if path.suffix in (".png", ".jpg"))
    if action == "start":
        fitted.score_samples(images[:1])
        return {}
    fitted.score_samples(images)
    began = time.perf_counter()
    fitted.score_samples(images)
    middle = time.perf_counter()
    for image in images:
        fitted.score_samples([image])
    end = time.perf_counter()
    return {"seconds": (middle - began) / len(images), "single": (end - middle) / len(images)}


if __name__ == "__main__":
    found = main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))
    print(json.dumps(found | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
