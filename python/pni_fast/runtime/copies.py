"""Bring results to the host without holding up what else the GPU has to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_host(*tensors: Tensor) -> list[NDArray[Any]]:
    """Return tensors as arrays; those on a GPU are copied into pinned memory, all at once.

    The calling thread sleeps until the copies have ended, and for nothing queued after them: batches that
    other threads have in work go on. Arrays of tensors on the host share their memory.
    """
    copies = [_copied(tensor) for tensor in tensors]
    for device in {tensor.device for tensor in tensors if tensor.is_cuda}:
        cuda: Any = torch.cuda  # its classes have no annotations
        ended = cuda.Event(blocking=True)
        ended.record(torch.cuda.current_stream(device))
        ended.synchronize()
    return [copy.numpy() for copy in copies]


def _copied(tensor: Tensor) -> Tensor:
    if not tensor.is_cuda:
        return tensor
    # Pinned memory is kept by torch when it is freed, so that asking for as much again costs nothing.
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return host.copy_(tensor, non_blocking=True)


def to_device(images: list[NDArray[np.uint8]], device: torch.device) -> Tensor:
    """Return arrays of one shape as a batch on the device; the copy does not wait for work queued before."""
    shape = (len(images), *images[0].shape)
    batch = torch.empty(shape, dtype=torch.uint8, pin_memory=device.type == "cuda")
    np.stack(images, out=batch.numpy())
    return batch.to(device, non_blocking=True)
