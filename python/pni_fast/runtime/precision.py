"""In what arithmetic the networks compute: float32, float32 with TF32 products, or bfloat16.

It belongs to a run, like the device, not to a model: a file says what was learned, and any machine may use
it. Whatever decides (distances, softmax, thresholds, norms, losses, optimiser) is float32 at every precision.

Autocast is a state of the thread and TF32 one of the whole process; both are set for the length of a call
and put back after it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from pni_fast.config.choices import PRECISIONS
from pni_fast.errors import PniError

BF16_CAPABILITY = (8, 0)
"""CUDA compute capability from which on a GPU has bfloat16 units."""


@dataclass(frozen=True)
class Precision:
    """The types the networks compute in.

    Parameters
    ----------
    name
        What was asked for, one of :data:`pni_fast.config.choices.PRECISIONS`.
    backbone
        Type of the backbone's layers.
    networks
        Type of the layers of the neighborhood MLP and of the refiner, and of the features the MLP's training
        keeps.
    device_type
        ``"cpu"`` or ``"cuda"``.
    tf32
        Whether float32 products on a GPU may round their factors to 10 bits of mantissa.
    """

    name: str = "fp32"
    backbone: torch.dtype = torch.float32
    networks: torch.dtype = torch.float32
    device_type: str = "cpu"
    tf32: bool = False

    @property
    def arithmetic(self) -> str:
        """What is computed in, in words: two precisions that say the same give the same results."""
        names = {torch.float32: "TF32" if self.tf32 else "float32", torch.bfloat16: "bfloat16"}
        return f"backbone {names[self.backbone]}, networks {names[self.networks]}"

    @contextlib.contextmanager
    def in_backbone(self) -> Iterator[None]:
        """Run a backbone: autocast for this thread, TF32 as allowed."""
        with self._computing(self.backbone):
            yield

    @contextlib.contextmanager
    def in_networks(self) -> Iterator[None]:
        """Run the MLP or the refiner: autocast for this thread, TF32 as allowed."""
        with self._computing(self.networks):
            yield

    @contextlib.contextmanager
    def _computing(self, dtype: torch.dtype) -> Iterator[None]:
        low = dtype != torch.float32
        with (
            _TF32.allowed(self.tf32) if self.device_type == "cuda" else contextlib.nullcontext(),
            torch.autocast(self.device_type, dtype=torch.bfloat16, enabled=low),
        ):
            yield


FLOAT32 = Precision()
"""Everything in float32 on a CPU; on a GPU, TF32 as the process has it."""


def resolve_precision(name: str, device: torch.device) -> Precision:
    """Return the precision for ``auto``, ``fp32`` or ``bf16`` on a device.

    ``auto``
        On a CPU float32. On a GPU with bfloat16 units the MLP and the refiner in bfloat16 and the backbone
        in float32 with TF32 products, on an older one float32. The backbone is left out of bfloat16 because
        its features are what distances are measured between: on `lite` features bfloat16 moves them by 0.17
        of the median distance to the coreset, TF32 by 0.02, while the MLP has seven times its arithmetic.
    ``fp32``
        Everything in float32, no TF32.
    ``bf16``
        All networks in bfloat16, the backbone too.

    Raises
    ------
    PniError
        The name is unknown, or ``bf16`` is asked of a GPU without bfloat16 units.
    """
    if name not in PRECISIONS:
        raise PniError(f"precision must be one of {', '.join(PRECISIONS)}, got {name!r}")
    on_gpu = device.type == "cuda"
    if name == "fp32" or (name == "auto" and not on_gpu):
        return Precision(name, device_type=device.type)
    able = not on_gpu or torch.cuda.get_device_capability(device) >= BF16_CAPABILITY
    if name == "bf16":
        if not able:
            raise PniError(
                "precision 'bf16' asked for, but the GPU has no bfloat16 units (compute capability 8.0); "
                "use --precision auto or fp32"
            )
        return Precision(name, torch.bfloat16, torch.bfloat16, device.type, tf32=on_gpu)
    networks = torch.bfloat16 if able else torch.float32
    return Precision(name, torch.float32, networks, device.type, tf32=True)


class _Flags:
    """The process's TF32 switches, shared by the threads that compute under them.

    While several calls are at work, TF32 is on where all of them allow it: none gets less than it asked for.
    The switches are put back when the last one ends.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_work: list[bool] = []
        self._before: list[Any] = []

    @contextlib.contextmanager
    def allowed(self, tf32: bool) -> Iterator[None]:
        """Set the switches for the length of a block."""
        with self._lock:
            if not self._at_work:
                self._before = [getattr(holder, name) for holder, name, _, _ in _switches()]
            self._at_work.append(tf32)
            self._set()
        try:
            yield
        finally:
            with self._lock:
                self._at_work.remove(tf32)
                self._set()

    def _set(self) -> None:
        for (holder, name, on, off), before in zip(_switches(), self._before, strict=True):
            setattr(holder, name, before if not self._at_work else on if all(self._at_work) else off)


def _switches() -> list[tuple[Any, str, Any, Any]]:
    """Return where torch keeps each switch, and its two values; the names changed in torch 2.9."""
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    if hasattr(matmul, "fp32_precision"):
        return [(holder, "fp32_precision", "tf32", "ieee") for holder in (matmul, cudnn.conv, cudnn.rnn)]
    return [(holder, "allow_tf32", True, False) for holder in (matmul, cudnn)]


_TF32 = _Flags()
