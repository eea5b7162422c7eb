"""What the cases are made with: the setting, the peers, the points."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from features import grids
from numpy.typing import NDArray
from timing import Case

FLOAT32 = "decides in float32"


@dataclass(frozen=True)
class Setting:
    """How a comparison runs: small sizes or full ones, where its files go, and the kernels' threads."""

    quick: bool
    output: Path
    threads: int


def peer(name: str) -> ModuleType | str:
    """Import a peer; a text saying why not, when it cannot be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError as error:
        return f"{name.split('.', maxsplit=1)[0]} ({error})"


def case(
    kernel: str,
    size: str,
    name: str,
    ours: Callable[[], Any],
    module: ModuleType | str,
    run: Callable[[ModuleType], Any],
    **more: Any,
) -> Case:
    """Return a case against what `run` does with a peer's module, or one that says the peer is missing."""
    if isinstance(module, str):
        return Case(kernel, size, name, ours, None, missing=module)
    return Case(kernel, size, name, ours, lambda: run(module), **more)


def equal(found: Any, expected: Any) -> float:
    """Return the share of equal answers."""
    return float(np.mean(np.asarray(found) == np.asarray(expected)))


def points(setting: Setting) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield named feature matrices: lite and DenseNet-201 features, and points without structure."""
    count = 2 if setting.quick else None
    for kind in ("lite",) if setting.quick else ("lite", "dense"):
        try:
            name, features = grids(kind, "train", setting.output, count)
        except FileNotFoundError as error:
            print(f"(left out: {error})")
            continue
        yield f"{name} {kind}", features.reshape(-1, features.shape[-1])
    rows = 2_000 if setting.quick else 20_000
    noise = np.random.default_rng(0).normal(size=(rows, 1024)).astype(np.float32)
    yield "Gaussian", noise


def shape(name: str, x: NDArray[Any]) -> str:
    """Return a matrix's name with its shape."""
    return f"{name} {x.shape[0]:,}×{x.shape[1]}"
