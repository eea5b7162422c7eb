"""Model files whose metadata or tensors were edited, as a stranger's could be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from pni_fast import PNI, ModelFileError

FILES = Path(__file__).resolve().parent / "files"
BOTH, PENALTY, REFINED, ENSEMBLE = (
    FILES / f"{name}.safetensors"
    for name in ("format1-both", "format1-penalty", "format1-refined", "format2")
)


def rewrite(
    source: Path, target: Path, change: Callable[[dict[str, Any], dict[str, torch.Tensor]], object]
) -> Path:
    """Write `source` once more as `target`, its header and its tensors changed in place; return `target`.

    The digest is left out: what is changed is meant to be read.
    """
    with safetensors.safe_open(source, framework="pt") as file:
        header = json.loads(file.metadata()["pni_fast"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
    header.pop("digest", None)
    change(header, tensors)
    safetensors.torch.save_file(tensors, target, metadata={"pni_fast": json.dumps(header)})
    return target


def refusal(path: Path) -> str:
    """Return the one line with which a file is refused."""
    with pytest.raises(ModelFileError) as refused:
        PNI.load(path, device="cpu")
    line = str(refused.value)
    assert line.startswith(f"{path}: ")
    assert line.isprintable()
    assert len(line) < 1000
    return line
