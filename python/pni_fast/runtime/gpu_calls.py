"""Calls of networks on a GPU: all from one thread, on batches of two sizes.

Before a convolution first runs on a batch of some size, cuDNN looks for a way to compute it, and torch keeps
that way for the thread that asked. On an H200 those of EfficientNet-Lite0 take 2.4 s to find, in each thread
and for each size of a batch; the call itself takes 7 ms for 16 pictures. One thread of the process therefore
makes all calls, and lives as long as the process; a batch is one picture or filled up to :data:`GPU_BATCH`.

That thread queues work and waits for none of it. Batches so follow each other, and what is between the layers
of one is no longer in memory when the next begins.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from .device import Device

if TYPE_CHECKING:
    from torch import Tensor

R = TypeVar("R")

GPU_BATCH = 16
"""Images in one forward pass on a GPU. On a CPU every thread takes one image at a time."""

_LOCK = threading.Lock()
_CALLERS: dict[Device, ThreadPoolExecutor] = {}
_HERE = threading.local()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_CALLERS.clear)  # threads do not outlive a fork


def on_gpu_thread(device: Device, work: Callable[[], R]) -> R:
    """Return ``work()``, called by the thread that calls the networks of a GPU.

    What it sets for its thread (precision, whether gradients are kept) it has to set within.
    """
    if getattr(_HERE, "calls", False):
        return work()
    with _LOCK:
        caller = _CALLERS.get(device)
        if caller is None:
            caller = _CALLERS[device] = ThreadPoolExecutor(1, f"networks-{device}", initializer=_calls)
    return caller.submit(work).result()


def _calls() -> None:
    _HERE.calls = True


def filled(batch: Tensor) -> Tensor:
    """Return a batch with its last picture again and again up to :data:`GPU_BATCH`; one alone as it is."""
    missing = GPU_BATCH - len(batch)
    if missing <= 0 or len(batch) == 1:
        return batch
    import torch

    return torch.cat([batch, batch[-1:].expand(missing, *batch.shape[1:])])
