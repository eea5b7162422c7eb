"""Where networks run, as data: torch is imported when a GPU may be there, not to see that there is none."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pni_fast.config.choices import DEVICES
from pni_fast.errors import PniError, is_there, needs

if TYPE_CHECKING:
    import torch

DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
"""The library of NVIDIA's driver, which no GPU of theirs computes without."""

AMD_DRIVER = Path("/dev/kfd")
"""What the driver of AMD's GPUs offers; torch calls those "cuda" too."""


@dataclass(frozen=True)
class Device:
    """A processor that networks run on.

    Parameters
    ----------
    type
        ``"cpu"`` or ``"cuda"``.
    index
        Which of several GPUs; None: the one torch takes unasked.
    """

    type: str = "cpu"
    index: int | None = None

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    @classmethod
    def named(cls, name: str) -> Device:
        """Return the device that torch calls so, whether it is there or not.

        Raises
        ------
        PniError
            The name is unknown.
        """
        kind, colon, number = name.partition(":") if isinstance(name, str) else ("", "", "")
        counted = number.isascii() and number.isdigit() and len(number) < 4
        if kind not in ("cpu", "cuda") or (colon and not counted):
            raise PniError(f"device must be {', '.join(DEVICES[:-1])} or {DEVICES[-1]}, got {name!r:.80}")
        return cls(kind, int(number) if colon else None)

    @property
    def torch(self) -> torch.device:
        """The same as torch has it."""
        import torch

        return torch.device(str(self))


CPU = Device()


def resolve_device(name: str) -> Device:
    """Return the device for ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:1``.

    Raises
    ------
    PniError
        The name is unknown or the device is not there.
    """
    if isinstance(name, str) and name == "auto":
        return Device("cuda" if _gpu_is_there() else "cpu")
    device = Device.named(name)
    if device.type == "cuda":
        needs("torch", f"device {name!r}")
        import torch

        if not torch.cuda.is_available():
            raise PniError(f"device {name!r} asked for, but torch sees no CUDA GPU; use --device cpu or auto")
    return device


def _gpu_is_there() -> bool:
    """Whether torch would compute on a GPU; it is not imported where there is no driver or no torch."""
    if sys.modules.get("torch") is None and not (_driver_is_there() and is_there("torch")):
        return False
    import torch

    return torch.cuda.is_available()


def _driver_is_there() -> bool:
    if AMD_DRIVER.exists():
        return True
    try:
        ctypes.CDLL(DRIVER)
    except OSError:
        return False
    return True
