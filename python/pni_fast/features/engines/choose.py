"""Which engine runs, by name and by what is installed."""

from __future__ import annotations

from importlib.util import find_spec

from pni_fast.config.choices import ENGINES
from pni_fast.errors import PniError

from .engine import Engine

ON_A_CPU = ("openvino", "onnxruntime", "torch")
"""What ``auto`` takes on a CPU: the first that is installed."""


def installed(engine: str) -> bool:
    """Whether the package of an engine is there; it is not imported."""
    return find_spec(engine) is not None


def choose_engine(name: str = "auto", device: str = "cpu") -> str:
    """Return the engine that a name stands for.

    Parameters
    ----------
    name
        One of `pni_fast.config.choices.ENGINES`.
    device
        Where the networks run; anything but ``"cpu"`` is PyTorch's.

    Raises
    ------
    PniError
        The name is unknown, its package is not installed, or it does not run there.
    """
    if name not in ENGINES:
        raise PniError(f"engine must be one of {', '.join(ENGINES)}, got {name!r}")
    if not device.startswith("cpu"):
        if name not in ("auto", "torch"):
            raise PniError(f"engine {name} runs on a CPU, got device {device!r}; use engine torch or auto")
        return "torch"
    if name != "auto":
        if not installed(name):
            raise PniError(f"engine {name} asked for, but it is not installed: pip install {name}")
        return name
    for engine in ON_A_CPU:
        if installed(engine):
            return engine
    raise PniError(f"no engine is installed; one of {', '.join(ON_A_CPU)} is needed: pip install openvino")


def open_engine(name: str, model: bytes, *, threads: int = 1, precision: str = "fp32") -> Engine:
    """Return an engine that runs an extractor's graph.

    Parameters
    ----------
    name
        ``"openvino"`` or ``"onnxruntime"``; what PyTorch runs is no graph, see
        :class:`pni_fast.features.stored.TorchExtraction`.
    model
        ONNX with its weights, see :func:`.networks.whole_model`.
    threads
        How many threads may compute at once.
    precision
        ``"fp32"``, or with openvino ``"bf16"``.

    Raises
    ------
    PniError
        It does not compute in that precision.
    ModelFileError
        It cannot run the graph.
    """
    if name == "openvino":
        from .openvino_engine import OpenVINOEngine

        return OpenVINOEngine(model, threads, precision)
    from .onnxruntime_engine import ONNXRuntimeEngine

    return ONNXRuntimeEngine(model, precision)
