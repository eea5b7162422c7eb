"""A network of a model, as the arrays its file has: torch builds it when it is first asked for."""

from __future__ import annotations

import contextlib
import copy
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


class Given(Generic[N]):
    """What "builds" a network that is there already; unlike a lambda, it can be pickled."""

    def __init__(self, network: N) -> None:
        self.network = network

    def __call__(self, _: Mapping[str, Tensor]) -> N:
        """Return the network."""
        return self.network


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

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy, or another process, makes the same network of; it has no lock, and no GPU."""
        with self._lock:
            state = {**self.__dict__, "_tensors": self.tensors()}
            network, build = self._network, self._build
        del state["_lock"]
        if isinstance(build, Given):  # nothing else makes this network: it goes along whole
            if network is not None and any(tensor.is_cuda for tensor in network.state_dict().values()):
                network = copy.deepcopy(network).to("cpu")
            return {**state, "_tensors": {}, "_network": network, "_build": Given(network)}
        return {**state, "_network": None}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Take that in; the network is built when it is first asked for."""
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def _state(self, network: N) -> Mapping[str, Tensor]:
        state: Mapping[str, Tensor] = network.state_dict()
        return state

    def _take(self, network: N) -> None:
        self._network = network


class TrainedNetwork(StoredNetwork[N]):
    """A :class:`StoredNetwork` of a network that is there."""

    def __init__(self, network: N) -> None:
        super().__init__(Given(network), {}, "a network")
        self._take(network)
