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
from typing import TYPE_CHECKING, Any

from pni_fast.config.choices import PRECISIONS
from pni_fast.errors import PniError

from .device import Device

if TYPE_CHECKING:
    import torch

BF16_CAPABILITY = (8, 0)
"""CUDA compute capability from which on a GPU has bfloat16 units."""


@dataclass(frozen=True)
class Precision:
    """The types the networks compute in.

    Parameters
    ----------
    name
        What was asked for, one of :data:`pni_fast.config.choices.PRECISIONS`.
    low_backbone
        Whether the backbone's layers compute in bfloat16.
    low_networks
        Whether the layers of the neighborhood MLP and of the refiner do, and the features that the MLP's
        training keeps are of it.
    device_type
        ``"cpu"`` or ``"cuda"``.
    tf32
        Whether float32 products on a GPU may round their factors to 10 bits of mantissa.
    """

    name: str = "fp32"
    low_backbone: bool = False
    low_networks: bool = False
    device_type: str = "cpu"
    tf32: bool = False

    @property
    def arithmetic(self) -> str:
        """What is computed in, in words: two precisions that say the same give the same results."""
        full = "TF32" if self.tf32 else "float32"
        backbone, networks = ("bfloat16" if low else full for low in (self.low_backbone, self.low_networks))
        return f"backbone {backbone}, networks {networks}"

    @property
    def backbone(self) -> torch.dtype:
        """Type of the backbone's layers, as torch has it."""
        return _dtype(self.low_backbone)

    @property
    def networks(self) -> torch.dtype:
        """Type of the layers of the other networks, as torch has it."""
        return _dtype(self.low_networks)

    @contextlib.contextmanager
    def in_backbone(self) -> Iterator[None]:
        """Run a backbone: autocast for this thread, TF32 as allowed."""
        with self._computing(self.low_backbone):
            yield

    @contextlib.contextmanager
    def in_networks(self) -> Iterator[None]:
        """Run the MLP or the refiner: autocast for this thread, TF32 as allowed."""
        with self._computing(self.low_networks):
            yield

    @contextlib.contextmanager
    def _computing(self, low: bool) -> Iterator[None]:
        import torch

        with (
            _TF32.allowed(self.tf32) if self.device_type == "cuda" else contextlib.nullcontext(),
            torch.autocast(self.device_type, dtype=torch.bfloat16, enabled=low),
        ):
            yield


def _dtype(low: bool) -> torch.dtype:
    import torch

    return torch.bfloat16 if low else torch.float32


FLOAT32 = Precision()
"""Everything in float32 on a CPU; on a GPU, TF32 as the process has it."""


def resolve_precision(name: str, device: Device) -> Precision:
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
    able = not on_gpu or _capability(device) >= BF16_CAPABILITY
    if name == "bf16":
        if not able:
            raise PniError(
                "precision 'bf16' asked for, but the GPU has no bfloat16 units (compute capability 8.0); "
                "use --precision auto or fp32"
            )
        return Precision(name, low_backbone=True, low_networks=True, device_type=device.type, tf32=on_gpu)
    return Precision(name, low_networks=able, device_type=device.type, tf32=True)


def _capability(device: Device) -> tuple[int, int]:
    import torch

    return torch.cuda.get_device_capability(str(device))


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
    import torch

    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    if hasattr(matmul, "fp32_precision"):
        return [(holder, "fp32_precision", "tf32", "ieee") for holder in (matmul, cudnn.conv, cudnn.rnn)]
    return [(holder, "allow_tf32", True, False) for holder in (matmul, cudnn)]


_TF32 = _Flags()
