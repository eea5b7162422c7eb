"""ONNX Runtime: for where OpenVINO has no wheels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pni_fast.errors import ModelFileError, PniError

from .engine import checked_crops


class ONNXRuntimeEngine:
    """An extractor run by ONNX Runtime, each call on the calling thread alone.

    Parameters
    ----------
    model
        ONNX, with its weights.
    precision
        ``"fp32"``; it knows no other on a CPU.

    Raises
    ------
    PniError
        Another precision is asked for.
    ModelFileError
        ONNX Runtime cannot run the graph.
    """

    name = "onnxruntime"

    def __init__(self, model: bytes, precision: str = "fp32") -> None:
        import onnxruntime

        if precision != "fp32":
            raise PniError(f"engine onnxruntime computes in fp32 on a CPU, got precision {precision!r}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its own kinds, which share no base below this
            reason = " ".join(str(error).split())[:300]
            raise ModelFileError(f"onnxruntime cannot run the extractor's graph: {reason}") from error
        (taken,), (given,) = self._session.get_inputs(), self._session.get_outputs()
        self._input, self._output = taken.name, given.name
        self._crop, self._features = tuple(taken.shape)[1:], tuple(given.shape)[1:]

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return Φ, float32 (b, h, w, d), of uint8 RGB crops (b, H, W, 3)."""
        given = checked_crops(crops, self._crop)
        if len(given) == 1:
            alone: NDArray[np.float32] = self._session.run([self._output], {self._input: given})[0]
            return alone
        features = np.empty((len(given), *self._features), dtype=np.float32)
        for index in range(len(given)):
            features[index] = self._session.run([self._output], {self._input: given[index : index + 1]})[0][0]
        return features
