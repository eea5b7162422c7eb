"""OpenVINO: the fastest on a CPU, and all of it without PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.errors import ModelFileError, PniError

from .engine import checked_crops

PRECISIONS = {"fp32": "f32", "bf16": "bf16"}
"""Its word for each precision; without a word it takes bfloat16 by itself where a processor has AMX."""


class OpenVINOEngine:
    """An extractor compiled by OpenVINO.

    As many streams of one thread each as threads may call. A call is computed by the thread that makes it:
    OpenVINO's own threads only compile. Nothing is pinned, since what else the caller's thread does (reading,
    search) should go where there is room.

    Parameters
    ----------
    model
        ONNX, with its weights.
    threads
        How many threads may compute at once; more of them wait for each other.
    precision
        ``"fp32"`` or ``"bf16"``, of the layers.

    Raises
    ------
    PniError
        The processor cannot compute in that precision.
    ModelFileError
        OpenVINO cannot run the graph.
    """

    name = "openvino"

    def __init__(self, model: bytes, threads: int = 1, precision: str = "fp32") -> None:
        import openvino

        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise PniError("precision bf16 asked of openvino, but this processor has no bfloat16; use fp32")
        try:
            read = core.read_model(model)
            self._compiled = core.compile_model(
                read,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
                    "INFERENCE_NUM_THREADS": threads,
                    "NUM_STREAMS": threads,
                    "ENABLE_CPU_PINNING": False,
                },
            )
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            raise ModelFileError(f"openvino cannot run the extractor's graph: {reason}") from error
        self._tensor = openvino.Tensor
        self._crop = tuple(self._compiled.input(0).shape)[1:]
        self._features = tuple(self._compiled.output(0).shape)[1:]
        self._idle: list[Any] = []

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return Φ, float32 (b, h, w, d), of uint8 RGB crops (b, H, W, 3)."""
        given = checked_crops(crops, self._crop)
        features = np.empty((len(given), *self._features), dtype=np.float32)
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        # Both arrays are OpenVINO's own input and output: nothing is copied.
        for index in range(len(given)):
            request.set_input_tensor(self._tensor(given[index : index + 1], shared_memory=True))
            request.set_output_tensor(self._tensor(features[index : index + 1], shared_memory=True))
            request.infer()
        self._idle.append(request)
        return features
