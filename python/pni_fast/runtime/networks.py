"""A network of a model, as the arrays its file has: torch builds it when it is first asked for."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from numpy.typing import NDArray

from pni_fast.errors import ModelFileError, needs

from .device import Device

if TYPE_CHECKING:
    from torch import Tensor, nn

N = TypeVar("N", bound="nn.Module")


@contextlib.contextmanager
def gradients() -> Iterator[None]:
    """Let torch keep gradients, whatever the caller has switched off; without torch there was nothing to."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    with torch.inference_mode(False), torch.enable_grad():
        yield


class StoredNetwork(Generic[N]):
    """The tensors of a network, and the network once somebody runs it.

    Parameters
    ----------
    build
        Makes the network, ready to score, of its tensors, which may become its own memory.
    tensors
        By name.
    what
        What needs torch where it is not installed, as the line begins.
    """

    def __init__(
        self, build: Callable[[dict[str, Tensor]], N], tensors: Mapping[str, NDArray[Any]], what: str
    ) -> None:
        self._build = build
        self._tensors = dict(tensors)
        self._what = what
        self._lock = threading.Lock()
        self._network: N | None = None

    def module(self) -> N:
        """Return the network, the same one at each call.

        Raises
        ------
        NotInstalledError
            torch is not installed.
        ModelFileError
            The tensors are those of another network.
        """
        with self._lock:
            if self._network is None:
                needs("torch", self._what)
                import torch

                with torch.inference_mode(False):  # its tensors are to be used anywhere
                    tensors = {name: torch.from_numpy(array) for name, array in self._tensors.items()}
                    self._network = self._built(tensors)
                self._tensors.clear()  # on a CPU they are the network's memory now
            return self._network

    def _built(self, tensors: dict[str, Tensor]) -> N:
        try:
            return self._build(tensors)
        except RuntimeError as error:  # so torch says that names or shapes differ
            reason = " ".join(str(error).split())[:300]
            raise ModelFileError(f"the model's tensors do not make the network it names: {reason}") from error

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the tensors by name; those of a network that was built are as it has them now."""
        if self._network is None:
            return dict(self._tensors)
        state = self._state(self._network)
        return {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in state.items()}

    def to(self, device: Device) -> None:
        """Move the network to a device, where it was built."""
        if self._network is not None:
            self._network.to(device.torch)

    def on(self, device: Device) -> N:
        """Return the network on a device."""
        network = self.module()
        network.to(device.torch)
        return network

    def _state(self, network: N) -> Mapping[str, Tensor]:
        state: Mapping[str, Tensor] = network.state_dict()
        return state

    def _take(self, network: N) -> None:
        self._network = network


class TrainedNetwork(StoredNetwork[N]):
    """A :class:`StoredNetwork` of a network that is there."""

    def __init__(self, network: N) -> None:
        super().__init__(lambda _: network, {}, "a network")
        self._take(network)
