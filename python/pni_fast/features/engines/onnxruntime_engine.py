"""ONNX Runtime: for where OpenVINO has no wheels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.errors import ModelFileError, PniError

from .engine import Inputs, checked


def quiet_onnxruntime() -> Any:
    """Return the module, which on Windows would report sessions to its makers, without that."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    return onnxruntime


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
        if precision != "fp32":
            raise PniError(f"engine onnxruntime computes in fp32 on a CPU, got precision {precision!r}")
        onnxruntime = quiet_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        options.log_severity_level = 4  # what is wrong comes as an exception
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its own kinds, which share no base below this
            reason = " ".join(str(error).split())[:300]
            raise ModelFileError(f"onnxruntime cannot run the extractor's graph: {reason}") from error
        taken, (given,) = self._session.get_inputs(), self._session.get_outputs()
        self._names, self._output = [end.name for end in taken], given.name
        self._taken, self._given = [tuple(end.shape)[1:] for end in taken], tuple(given.shape)[1:]

    def __call__(self, *inputs: Inputs) -> NDArray[np.float32]:
        """Return what the graph makes of each image, float32 (b, …); see :class:`.engine.Engine`."""
        arrays = checked(inputs, self._taken)
        count = len(arrays[0])
        if count == 1:
            return self._run(arrays)
        made = np.empty((count, *self._given), dtype=np.float32)
        for index in range(count):
            made[index] = self._run([array[index : index + 1] for array in arrays])[0]
        return made

    def _run(self, arrays: list[Inputs]) -> NDArray[np.float32]:
        made: NDArray[np.float32]
        (made,) = self._session.run([self._output], dict(zip(self._names, arrays, strict=True)))
        return made
