"""OpenVINO: the fastest on a CPU, and all of it without PyTorch."""

from __future__ import annotations

import os
import sys
import threading
from functools import cache
from queue import LifoQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pni_fast.errors import ModelFileError, PniError

from .engine import Inputs, checked

PRECISIONS = {"fp32": "f32", "bf16": "bf16"}
"""Its word for each precision; without a word it takes bfloat16 by itself where a processor has AMX."""

MOST_COPIES = 256 << 20
"""Bytes of weights that copies of a network may take together."""


_REPORTER = "openvino_telemetry"
_IMPORTING = threading.Lock()


def quiet_openvino() -> Any:
    """Return the package openvino, imported so that it reports its use to nobody.

    Its import alone would send an event to its makers and leave files in the user's home. Where the package
    that does so is missing it goes without: for that moment it is. Who has imported openvino before has
    decided for themselves.
    """
    with _IMPORTING:
        if "openvino" not in sys.modules:
            known = {_REPORTER: sys.modules[_REPORTER]} if _REPORTER in sys.modules else {}
            sys.modules[_REPORTER] = None  # type: ignore[assignment]  # which makes its import fail
            try:
                import openvino  # noqa: F401
            finally:
                del sys.modules[_REPORTER]
                sys.modules.update(known)
    return sys.modules["openvino"]


@cache
def _core() -> Any:
    """Return the one core of the process, which is never let go.

    It gives the thread that first compiles another stack for signals and takes that away when it goes, on
    whatever thread that is: the next signal, Ctrl-C say, would find none and end the process.
    """
    return quiet_openvino().Core()


class OpenVINOEngine:
    """An extractor compiled by OpenVINO.

    A network compiled as one stream of one thread computes on the thread that calls, and nothing waits or
    spins beside it. So each thread has its own copy, compiled when there first is a call for it. Where
    weights are too large for that, all share one copy with as many streams as threads, which OpenVINO runs on
    threads of its own while the callers sleep. The arithmetic is the same. Nothing is pinned: what else a
    thread does should go where there is room.

    Parameters
    ----------
    model
        ONNX, with its weights.
    threads
        How many threads may compute at once; more of them wait for their turn.
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
        self._core, self._tensor = _core(), quiet_openvino().Tensor
        if precision not in PRECISIONS:
            raise PniError(
                f"engine openvino computes in {', '.join(PRECISIONS)}, got precision {precision!r}"
            )
        if precision == "bf16" and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise PniError("engine openvino has no bf16 on this processor; use precision fp32")
        self._threads, self._precision = threads, precision
        self._shared = threads > 1 and len(model) * threads > MOST_COPIES
        try:
            self._model = self._core.read_model(model)
            self._start(threads if self._shared else 1)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            raise ModelFileError(f"openvino cannot run the extractor's graph: {reason}") from error
        self._taken = [tuple(end.shape)[1:] for end in self._model.inputs]
        self._given = tuple(self._model.output(0).shape)[1:]

    def _start(self, streams: int) -> None:
        """Compile for the first call, and make a place for every other; the last used is the next."""
        self._process = os.getpid()
        first = self._compile(streams)
        places: LifoQueue[Any] = LifoQueue()
        for _ in range(self._threads - 1):
            places.put(first.create_infer_request() if self._shared else None)
        places.put(first.create_infer_request())
        self._places = places

    def _compile(self, streams: int) -> Any:
        settings = {
            "INFERENCE_PRECISION_HINT": PRECISIONS[self._precision],
            "INFERENCE_NUM_THREADS": streams,
            "NUM_STREAMS": streams,
            "ENABLE_CPU_PINNING": False,
        }
        return self._core.compile_model(self._model, "CPU", settings)

    def __call__(self, *inputs: Inputs) -> NDArray[np.float32]:
        """Return what the graph makes of each image, float32 (b, …); see :class:`.engine.Engine`."""
        arrays = checked(inputs, self._taken)
        count = len(arrays[0])
        made = np.empty((count, *self._given), dtype=np.float32)
        if os.getpid() != self._process:
            self._start(1)  # threads of streams and who waits for them stayed behind at the fork
        places = self._places
        request = places.get()
        try:
            if request is None:
                request = self._compile(1).create_infer_request()
            # The arrays are OpenVINO's own inputs and output: nothing is copied.
            for index in range(count):
                for number, array in enumerate(arrays):
                    request.set_input_tensor(
                        number, self._tensor(array[index : index + 1], shared_memory=True)
                    )
                request.set_output_tensor(self._tensor(made[index : index + 1], shared_memory=True))
                request.infer()
        finally:
            places.put(request)
        return made
