"""Show what memory `pni-fast fit` takes for thousands of small pictures whose features are in a store.

    python benches/many_pictures.py [--pictures 5000] [--limit 2048] [--dtype float32]

Makes the pictures (crops of those of every category below PNI_FAST_DATA, some mirrored, 160 pixels wide),
fits `lite` on them with two threads under a limit on anonymous memory (RLIMIT_DATA, in MiB: private writable
memory; mapped files are free, the kernel drops their pages where it needs the room), and prints the peaks.
Linux only.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
from pathlib import Path

from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).parent))

from memory import watched

SIDE = 160


def make_pictures(sources: list[Path], folder: Path, count: int) -> None:
    """Write `count` crops of pictures, as many of each."""
    draw = random.Random(0)
    folder.mkdir(parents=True)
    for number in range(count):
        with Image.open(sources[number * len(sources) // count]) as opened:
            whole = opened.convert("RGB")
        side = max(1, min(whole.size) // 3)
        left, top = (draw.randrange(length - side + 1) for length in whole.size)
        crop = whole.crop((left, top, left + side, top + side)).resize((SIDE, SIDE))
        (ImageOps.mirror(crop) if draw.random() < 0.5 else crop).save(folder / f"{number:06}.png")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=5_000)
    parser.add_argument("--limit", type=int, default=2_048, help="MiB of anonymous memory")
    parser.add_argument("--dtype", choices=["float16", "float32"], default="float32")
    parser.add_argument("--output", type=Path, default=Path("bench-output"))
    options = parser.parse_args(arguments)
    data = Path(os.environ.get("PNI_FAST_DATA", "../shared/data"))
    sources = sorted(path for path in data.glob("*/train/good/*") if path.suffix in (".png", ".jpg"))
    folder = options.output / "many-pictures"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        make_pictures(sources, folder / "good", options.pictures)
        command = [
            *(sys.executable, "-m", "pni_fast.cli", "fit", str(folder / "good"), "--threads", "2", "-q"),
            *("--output", str(folder / "model.safetensors"), "--store", str(folder / "store")),
            *("--size", str(SIDE), "--set", f"feature_dtype={options.dtype}"),
        ]
        peak = watched(command, options.limit << 20)
        size = (folder / "store" / "features.bin").stat().st_size
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    mib = 1 << 20
    print(
        f"{options.pictures:,} pictures of {SIDE}×{SIDE}, lite, {options.dtype}, 2 threads: "
        f"features {size / mib:,.0f} MiB in the store\n"
        f"limit on anonymous memory (RLIMIT_DATA): {options.limit:,} MiB\n"
        f"peak RssAnon {peak.anonymous / mib:,.0f} MiB, RssFile {peak.file / mib:,.0f} MiB (mapped, can be "
        f"dropped), private writable {peak.data / mib:,.0f} MiB, {peak.seconds:.0f} s"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
