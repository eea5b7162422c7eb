"""One action of `end_to_end.py` for anomalib's PatchCore: KIND ACTION CATEGORY MODEL THREADS."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIDE = 480
FILES = {
    "torch": "weights/torch/model.pt",
    "onnx": "weights/onnx/model.onnx",
    "openvino": "weights/openvino/model.xml",
}


STARTED = time.perf_counter()


def fit(data: Path, folder: Path, threads: int) -> float:
    """Fit, write the model, and export it for the other kinds; return the seconds before these exports."""
    import torch
    from anomalib.data import Folder
    from anomalib.engine import Engine
    from anomalib.models import Patchcore
    from pni_fast.features.weights import assign_state_dict, embedded_state_dict

    torch.set_num_threads(threads)
    defective = [path.name for path in (data / "test").iterdir() if path.name != "good"]
    module = Folder(
        name=data.name,
        root=data,
        normal_dir="train/good",
        abnormal_dir=f"test/{defective[0]}",
        normal_test_dir="test/good",
        train_batch_size=8,
        eval_batch_size=8,
        num_workers=0,
    )
    model = Patchcore(
        backbone="tf_efficientnet_lite0",
        layers=["blocks.2", "blocks.4"],
        pre_trained=False,
        coreset_sampling_ratio=0.01,
        pre_processor=Patchcore.configure_pre_processor(image_size=(SIDE, SIDE)),
        visualizer=False,
    )
    network = model.model.feature_extractor.feature_extractor
    assign_state_dict(network, embedded_state_dict(), "embedded")
    engine = Engine(default_root_dir=folder, accelerator="cpu", devices=1, logger=False)
    engine.fit(model, datamodule=module)
    engine.export(model, "torch", export_root=folder)
    seconds = time.perf_counter() - STARTED
    for kind in ("onnx", "openvino"):  # of one image: its default keeps the two that it traces with
        one = {"dynamic_axes": {}}
        engine.export(model, kind, export_root=folder, input_size=(SIDE, SIDE), onnx_kwargs=one)
    return seconds


def inferencer(kind: str, folder: Path) -> Callable[[Path], Any]:
    """Return what predicts; an exported graph takes pictures of its own size alone."""
    from anomalib.deploy import OpenVINOInferencer, TorchInferencer
    from PIL import Image

    file = folder / FILES[kind]
    if kind == "torch":
        return TorchInferencer(path=file, device="cpu").predict
    exported = OpenVINOInferencer(path=file, device="CPU")

    def predict(path: Path) -> Any:
        with Image.open(path) as image:
            return exported.predict(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))

    return predict


def main(kind: str, action: str, data: Path, model: Path, threads: int) -> dict[str, float]:
    os.environ["TRUST_REMOTE_CODE"] = "1"  # its own pickle, written a moment ago
    folder = model.with_name("end-to-end-anomalib")
    if action == "fit":
        return {"seconds": fit(data, folder, threads)}
    import torch

    torch.set_num_threads(threads)
    predicts = inferencer(kind, folder)
    images = sorted(path for path in (data / "test").rglob("*") if path.suffix in (".png", ".jpg"))
    if action == "start":
        float(predicts(images[0]).pred_score.squeeze())
        return {}
    for image in images:
        predicts(image)
    began = time.perf_counter()
    for image in images:
        predicts(image)
    seconds = (time.perf_counter() - began) / len(images)
    return {"seconds": seconds, "single": seconds}


if __name__ == "__main__":
    found = main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))
    print(json.dumps(found | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
