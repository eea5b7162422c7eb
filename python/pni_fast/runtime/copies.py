"""Bring results to the host without holding up what else the GPU has to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray

from .device import Device

if TYPE_CHECKING:
    from torch import Tensor

Values: TypeAlias = Union[NDArray[Any], "Tensor"]
"""What is computed with: an array on a CPU, a tensor on a GPU or where torch is at work anyway."""


def to_host(*values: Values) -> list[NDArray[Any]]:
    """Return arrays as they are, tensors as arrays; those on a GPU are copied to pinned memory, all at once.

    The calling thread sleeps until the copies have ended, and for nothing queued after them: batches that
    other threads have in work go on. Arrays of tensors on the host share their memory.
    """
    copies = [value if isinstance(value, np.ndarray) else _copied(value) for value in values]
    devices = {value.device for value in values if not isinstance(value, np.ndarray) and value.is_cuda}
    for device in devices:
        import torch

        cuda: Any = torch.cuda  # its classes have no annotations
        ended = cuda.Event(blocking=True)
        ended.record(torch.cuda.current_stream(device))
        ended.synchronize()
    return [copy if isinstance(copy, np.ndarray) else copy.numpy() for copy in copies]


def _copied(tensor: Tensor) -> Tensor:
    if not tensor.is_cuda:
        return tensor
    import torch

    # Pinned memory is kept by torch when it is freed, so that asking for as much again costs nothing.
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return host.copy_(tensor, non_blocking=True)


def to_device(arrays: list[NDArray[Any]], device: Device) -> Values:
    """Return arrays of one shape as a batch on the device; the copy does not wait for work queued before."""
    if device.type == "cpu":
        return np.stack(arrays)
    import torch

    first = torch.from_numpy(arrays[0])
    batch = torch.empty((len(arrays), *first.shape), dtype=first.dtype, pin_memory=True)
    np.stack(arrays, out=batch.numpy())
    return batch.to(device.torch, non_blocking=True)


def on_device(value: Values, device: Device) -> Values:
    """Return an array, or a tensor beside a GPU, where it is worked on: itself on a CPU, a copy on a GPU."""
    if device.type == "cpu":
        return value
    import torch

    given = torch.from_numpy(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value
    return given.to(device.torch)


def on_host(array: NDArray[Any], device: Device) -> Values:
    """Return an array as what works on a device takes it from the host: a tensor beside a GPU's."""
    if device.type == "cpu":
        return array
    import torch

    return torch.from_numpy(array)
