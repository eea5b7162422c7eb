"""One operation as torch was asked for it, on its way into a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor

from pni_fast.errors import WeightsError

from .building import GraphBuilder


class NoGraphError(WeightsError):
    """A network holds something that its graph has no word for."""


@dataclass(frozen=True)
class Call:
    """One operation as torch was asked for it.

    Parameters
    ----------
    graph
        Where its nodes go.
    value
        Returns the graph's name of a tensor.
    given
        The arguments by their names, defaults included.
    results
        What torch returned, for its shapes.
    """

    graph: GraphBuilder
    value: Callable[[Any], str]
    given: dict[str, Any]
    results: list[Tensor]

    def __getitem__(self, name: str) -> Any:
        """Return an argument."""
        return self.given[name]

    @property
    def shape(self) -> list[int]:
        """Shape of the first result."""
        return list(self.results[0].shape)

    def first(self, *names: str) -> str:
        """Return the graph's name of the first of these arguments; torch's is ``self`` or ``input``."""
        return self.value(next(self.given[name] for name in (*names, "self", "input") if name in self.given))

    def axes(self, name: str, rank: int) -> list[int]:
        """Return dimensions counted from the front; none given: all."""
        said = self.given[name]
        chosen = range(rank) if said is None or said == [] else [said] if isinstance(said, int) else said
        return [axis % rank for axis in chosen]

    def rank(self) -> int:
        """Return the dimensions of the first argument."""
        return len(next(self.given[name].shape for name in ("self", "input") if name in self.given))

    def plain(self, name: str, expected: Any) -> None:
        """Refuse an argument that is not what nearly every network has."""
        if self.given.get(name, expected) not in (expected, None):
            raise NoGraphError(f"{name}={self.given[name]!r}")


Operator: TypeAlias = Callable[[Call], "str | list[str | None]"]


def named(names: Sequence[str], operator: Operator) -> dict[str, Operator]:
    """Return one operator under several names."""
    return dict.fromkeys(names, operator)
