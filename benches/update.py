"""What `pni-fast update` costs against a fit from all images: the table of docs/decision.md.

python benches/update.py DATA WORK SET...

Every other training image is fitted on, the others enter by update; beside it a fit of all. Models are kept
in WORK and found there again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pni_fast import PNI
from pni_fast.data import Source, open_category
from pni_fast.evaluation import evaluate

FIGURES = ("image_auroc", "image_f1_max", "pixel_auroc", "pixel_f1_max", "aupro")


def main() -> None:
    """Print a row for each way."""
    data, work, *names = sys.argv[1:]
    print(
        "| set | fitted on | C_emb | threshold, 10 % | false alarms | missed | " + " | ".join(FIGURES) + " |"
    )
    print("| --- " * (6 + len(FIGURES)) + "|")
    for name in names:
        category = open_category(Path(data) / name)
        train = [Source(path.name, path) for path in category.train]
        half, whole = (Path(work) / f"{name}{part}.safetensors" for part in ("-half", ""))
        if not half.exists():
            PNI().fit(train[::2]).save(half)
        if not whole.exists():
            PNI().fit(data + "/" + name).save(whole)
        updated = PNI.load(half)
        updated.update(train[1::2])
        counts = f"{len(train[::2])} + {len(train[1::2])}"
        for what, model in (
            (f"{len(train[::2])}", PNI.load(half)),
            (counts, updated),
            ("all", PNI.load(whole)),
        ):
            model.set_threshold(0.1)
            result = evaluate(model, category)
            own, figures = result.own_threshold, result.metrics.as_dict()
            assert own is not None
            cells = " | ".join(f"{figures[figure]:.4f}" for figure in FIGURES)
            print(
                f"| {name} | {what} | {len(model.coreset_)} | {own.threshold:.2f} "
                f"| {own.false_alarms} of {own.good} | {own.missed} of {own.defective} | {cells} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
