"""What the MLP sees of every feature, and the neighbors of a batch: on the GPU while there is room for them.

Neighbour vectors exist for one batch of positions at a time (two where they come from the host), never for a
data set: at the paper's size those of a batch are 335 MB in half precision, those of 200 images 118 GB.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pni_fast.runtime.feature_room import allocate_features, widened
from pni_fast.runtime.threads import thread_pool

from .network import NeighborhoodMLP, gather

GPU_TARGET = 24 * 10**9
"""Bytes of GPU memory a fit keeps to."""

WORKSPACE = 2 << 30
"""Bytes of it left to the CUDA context and to what its libraries allocate for themselves."""

BLOCK = 1 << 16
"""Features turned into inputs of the MLP at a time."""


@dataclass(frozen=True)
class Batch:
    """Positions of a step, int64 (b,), and their neighbors, (b, (p·p − 1)·r), where gathered ahead."""

    positions: Tensor
    neighbors: Tensor | None = None

    def parts(self, count: int) -> Sequence[Batch]:
        """Return the batch cut into `count` parts."""
        positions = self.positions.chunk(count)
        if self.neighbors is None:
            return [Batch(part) for part in positions]
        return [Batch(*pair) for pair in zip(positions, self.neighbors.chunk(count), strict=True)]


class Rows(Protocol):
    """The inputs of the MLP for all features of a data set, wherever they lie."""

    def gather(self, positions: Tensor) -> Tensor:
        """Return the neighbors, (b, (p·p − 1)·r), of positions, both on the device."""
        ...

    def batches(self, order: Tensor) -> Iterator[Batch]:
        """Yield a batch for each row of positions, int64 (steps, b) on the host."""
        ...


class DeviceRows:
    """Rows that lie where the MLP is; each part of a batch gathers its own neighbors.

    Parameters
    ----------
    model
        Knows which neighbors a position has.
    rows
        (n·height·width, r) on its device.
    height, width
        Size of one map.
    """

    def __init__(self, model: NeighborhoodMLP, rows: Tensor, height: int, width: int) -> None:
        self.model, self.rows, self.height, self.width = model, rows, height, width

    def gather(self, positions: Tensor) -> Tensor:
        """Return the neighbors of positions on the device."""
        return gather(self.rows, positions, self.model.offsets, self.height, self.width)

    def batches(self, order: Tensor) -> Iterator[Batch]:
        """Yield the positions of each step; they are copied to the device all at once."""
        yield from map(Batch, order.to(self.rows.device))


class HostRows:
    """Rows in the host's memory or on disk; a thread gathers the neighbors of the next step meanwhile.

    On a GPU they go through two pinned buffers and are copied on a stream of their own, beside the work of
    the step before.

    Parameters
    ----------
    model
        Knows which neighbors a position has.
    rows
        (n·height·width, r) on the host, in memory or mapped.
    height, width
        Size of one map.
    device
        Where batches are wanted.
    threads
        Threads that gather one batch.
    """

    def __init__(
        self,
        model: NeighborhoodMLP,
        rows: Tensor,
        height: int,
        width: int,
        device: torch.device,
        threads: int,
    ) -> None:
        self.rows, self.height, self.width = rows, height, width
        self.offsets = model.offsets.cpu()
        self.device, self.threads = device, threads

    def gather(self, positions: Tensor) -> Tensor:
        """Return the neighbors of positions; both are on the device."""
        found = gather(self.rows, positions.cpu(), self.offsets, self.height, self.width)
        return found.to(self.device)

    def batches(self, order: Tensor) -> Iterator[Batch]:
        """Yield each step's batch, gathered while the step before it was worked on."""
        staged = order.to(self.device)
        shape = (order.shape[1], len(self.offsets) * self.rows.shape[1])
        slots = [_Slot(shape, self.rows.dtype, self.device) for _ in range(min(2, len(order)))]
        with thread_pool(1) as ahead, thread_pool(self.threads) as pool:

            def fill(step: int) -> Tensor:
                slot = slots[step % 2]
                buffer = slot.free()
                parts = min(self.threads, len(order[step]))
                each = zip(order[step].chunk(parts), buffer.chunk(parts), strict=True)
                list(pool.map(lambda part: self._into(*part), each))
                return slot.sent()

            pending = ahead.submit(fill, 0)
            for step, positions in enumerate(staged):
                neighbors = slots[step % 2].received(pending.result())
                if step + 1 < len(order):  # into the slot of the step before this one, which has ended
                    pending = ahead.submit(fill, step + 1)
                yield Batch(positions, neighbors)

    def _into(self, positions: Tensor, out: Tensor) -> None:
        gather(self.rows, positions, self.offsets, self.height, self.width, out=out)


class _Slot:
    """Room for the neighbors of one batch on the host, and its way to the device."""

    def __init__(self, shape: tuple[int, int], dtype: torch.dtype, device: torch.device) -> None:
        self._device, self._on_gpu = device, device.type == "cuda"
        self._buffer = torch.empty(shape, dtype=dtype, pin_memory=self._on_gpu)
        cuda: Any = torch.cuda  # its classes have no annotations
        self._copies = cuda.Stream(device) if self._on_gpu else None
        self._copied = cuda.Event(blocking=True) if self._on_gpu else None

    def free(self) -> Tensor:
        """Return the buffer once its last copy to the device has ended."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._buffer

    def sent(self) -> Tensor:
        """Begin the copy and return what will hold it; on a CPU the buffer itself."""
        if self._copied is None:
            return self._buffer
        with torch.cuda.stream(self._copies):
            target = self._buffer.to(self._device, non_blocking=True)
            self._copied.record(self._copies)
        return target

    def received(self, target: Tensor) -> Tensor:
        """Let the work queued from now on wait for the copy."""
        if self._copied is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_event(self._copied)
            target.record_stream(current)  # its memory is given back only after that work
        return target


def neighborhood_rows(
    model: NeighborhoodMLP,
    features: NDArray[np.floating[Any]],
    device: torch.device,
    dtype: torch.dtype,
    *,
    batch: int,
    threads: int,
    room: int | None = None,
) -> DeviceRows | HostRows:
    """Return what the MLP sees of normal features (n, h, w, d), in `dtype`.

    Parameters
    ----------
    model
        On `device`, its principal components set.
    features
        In memory or mapped from disk. On a CPU they are used in place where the MLP sees them as they are.
    device, dtype
        Where the MLP is trained, and the type it is given its inputs in.
    batch, threads
        Positions of a step; threads that gather them on the host.
    room
        Bytes of the device that may be used; None: see :func:`room_on`.
    """
    _, height, width, dimension = features.shape
    flat = features.reshape(-1, dimension)
    if room is None:
        room = room_on(device, model, batch)
    fits = room is None or len(flat) * model.inputs * dtype.itemsize <= room
    where = device if fits else torch.device("cpu")
    rows = _rows(model, flat, where, dtype)
    if fits:
        return DeviceRows(model, rows, height, width)
    return HostRows(model, rows, height, width, device, threads)


def room_on(device: torch.device, model: NeighborhoodMLP, batch: int) -> int | None:
    """Return the bytes of a GPU left for features beside the training; None on a CPU: one memory for all."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    allocated, reserved = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
    return room_beside_training(free + reserved - allocated, allocated, training_bytes(model, batch))


def room_beside_training(free: int, used: int, needed: int) -> int:
    """Return what `needed` bytes of training leave of the free ones, under :data:`GPU_TARGET` in all."""
    return max(min(free, GPU_TARGET - used) - needed - WORKSPACE, 0)


def training_bytes(model: NeighborhoodMLP, batch: int) -> int:
    """Return the bytes that training takes beside the weights and the features, rather too many than too few.

    Gradient and Adam's two moments in float32, weights and gradients once more in half precision; the
    neighbors of two batches; two activations a layer and the logits in float32.
    """
    parameters = sum(parameter.numel() for parameter in model.parameters())
    inputs = len(model.offsets) * model.inputs
    outputs = sum(2 * parameter.shape[0] for parameter in model.parameters() if parameter.ndim == 2)
    return parameters * (4 + 8 + 2 + 2) + batch * (2 * 4 * inputs + 2 * 4 * outputs)


def _rows(
    model: NeighborhoodMLP, flat: NDArray[np.floating[Any]], where: torch.device, dtype: torch.dtype
) -> Tensor:
    """Return the inputs of the MLP, (n, r), on the device or the host, in memory or mapped from disk."""
    as_they_are = model.inputs == flat.shape[1]
    if where.type == "cpu" and as_they_are and dtype == torch.float32 and flat.dtype == np.float32:
        with warnings.catch_warnings():  # of an array that may only be read, as it is here
            warnings.simplefilter("ignore", UserWarning)
            return torch.from_numpy(flat)
    if where.type == "cpu":
        size = (len(flat), model.inputs)
        rows = torch.from_numpy(
            allocate_features(size, np.float32 if dtype.itemsize == 4 else np.int16)
        ).view(dtype)
    else:
        rows = torch.empty((len(flat), model.inputs), dtype=dtype, device=where)
    computing = where if as_they_are else model.first.weight.device
    for start in range(0, len(flat), BLOCK):
        block = torch.from_numpy(widened(flat[start : start + BLOCK])).to(computing)
        rows[start : start + len(block)] = model.reduce(block)
    return rows
