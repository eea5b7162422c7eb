"""What a hub's client keeps on this machine, and networks that a person names by their place on the hub.

Only who types such a name reaches the hub by it: settings hold plain names, and so does every model file.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from pni_fast.config.backbones import HUB_SCHEME, WeightsFile, as_names, member_weights
from pni_fast.errors import WeightsError

OWNER = "timm"
"""Whose repositories have the weights that timm knows, each under its own name."""

FILES = ("model.safetensors", "pytorch_model.bin")
"""What timm calls a repository's weights, the first one first."""

_PLACE = re.compile(re.escape(HUB_SCHEME) + r"([\w.-]+/[\w.-]+)(?:@([\w.-]+))?")


def cached(name: str) -> Path | None:
    """Return the weights of a timm name that a hub's client keeps; no network is asked."""
    from huggingface_hub import try_to_load_from_cache

    for file in FILES:
        found = try_to_load_from_cache(f"{OWNER}/{_tagged(name)}", file)
        if isinstance(found, str):
            return Path(found)
    return None


def _tagged(name: str) -> str:
    """Return a timm name with the tag of its usual weights."""
    import timm

    if "." not in name:
        config = timm.get_pretrained_cfg(name)
        if config is not None and config.tag:
            return f"{name}.{config.tag}"
    return name


def weights_in(folder: Path, name: str) -> Path:
    """Return the weights in a folder: a repository's files, or what a hub's client keeps of it or of many.

    Parameters
    ----------
    folder
        With the weights in it; or with ``snapshots``, whose newest has them; or the whole cache.
    name
        Of the timm network, by which its repository is found in a cache.

    Raises
    ------
    WeightsError
        There are none.
    """
    repository = f"models--{OWNER}--{_tagged(name)}"
    for place in (folder, folder / repository, folder / "hub" / repository):
        main = place / "refs" / "main"
        named = [place / "snapshots" / main.read_text().strip()] if main.is_file() else []
        newest = sorted(place.glob("snapshots/*"), key=lambda path: path.stat().st_mtime, reverse=True)
        for where in (place, *named, *newest):
            for file in FILES:
                if (where / file).is_file():
                    return where / file
    raise WeightsError(
        f"{folder}: a folder of weights must hold {' or '.join(FILES)}, or a hub's cache of {repository}"
    )


def described(file: Path) -> str:
    """Return where weights came from: a file's name, or the repository whose copy it is."""
    for folder in file.parents:
        if folder.name.startswith("models--"):
            return f"hub:{folder.name.removeprefix('models--').replace('--', '/')}"
    return file.name


def resolved(
    backbone: str | Sequence[str] | None, weights: WeightsFile | Sequence[WeightsFile]
) -> tuple[str | tuple[str, ...] | None, WeightsFile | Sequence[WeightsFile]]:
    """Return backbones under plain names, and the weights of those that were named by a place on the hub.

    Raises
    ------
    PniError
        `backbone` is neither a name nor several.
    WeightsError
        There is no such place, or it has no timm network.
    """
    several = () if backbone is None else as_names(backbone)
    if not any(isinstance(name, str) and name.startswith(HUB_SCHEME) for name in several):
        return (backbone if backbone is None or isinstance(backbone, str) else several), weights
    files: list[WeightsFile] = list(member_weights(several, weights))
    names = list(several)
    for number, name in enumerate(several):
        if name.startswith(HUB_SCHEME):
            names[number], fetched = from_hub(name)
            files[number] = files[number] or fetched
    return tuple(names), files


def unreachable() -> bool:
    """Return whether the hub's name has no address here: its client would try for a minute, line by line."""
    from huggingface_hub import constants

    host = urlsplit(constants.ENDPOINT).hostname
    if (
        constants.HF_HUB_OFFLINE or host is None or {"http", "https", "all"} & getproxies().keys()
    ):  # a proxy looks names up
        return False
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return True
    return False


def from_hub(place: str) -> tuple[str, Path]:
    """Return the timm name of a network on the hub, and its weights; without a connection, from its cache.

    Parameters
    ----------
    place
        ``"hf-hub:OWNER/NAME"``, with ``"@REVISION"`` or not.

    Raises
    ------
    WeightsError
        It cannot be fetched, or is no timm network, or one for images of other statistics.
    """
    match = _PLACE.fullmatch(place)
    if match is None:
        raise WeightsError(f"backbone must be {HUB_SCHEME}OWNER/NAME or a timm name, got {place!r}")
    repository, revision = match.groups()
    try:
        said = json.loads(Path(_fetched(repository, "config.json", revision)).read_text())
        file = _weights(repository, revision)
    except Exception as error:  # the hub client raises whatever its transport does
        raise WeightsError(
            f"{place} cannot be fetched from the model hub ({type(error).__name__}); pass the name of the "
            "network with --backbone, and a local file with --weights FILE"
        ) from error
    return _name(place, repository.partition("/")[2], said), file


def _fetched(repository: str, file: str, revision: str | None) -> str:
    from huggingface_hub import hf_hub_download

    return hf_hub_download(repository, file, revision=revision, local_files_only=unreachable())


def _weights(repository: str, revision: str | None) -> Path:
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    for file in FILES[:-1]:
        try:
            return Path(_fetched(repository, file, revision))
        except (EntryNotFoundError, LocalEntryNotFoundError):
            continue
    return Path(_fetched(repository, FILES[-1], revision))


def _name(place: str, repository: str, said: Any) -> str:
    """Return the name timm has for a network on the hub, held to what it says of itself."""
    from .backbones import training_statistics
    from .families import known_architecture

    architecture = said.get("architecture") if isinstance(said, dict) else None
    if not isinstance(architecture, str):
        raise WeightsError(f"{place}: its config.json must name the architecture of a timm network")
    known_architecture(architecture, f"{place}: its architecture")
    name = architecture
    if repository.partition(".")[0] == architecture:
        try:
            training_statistics(repository)
            name = repository
        except WeightsError:
            pass  # a tag that timm does not know: the architecture is enough, the weights are there
    trained = said.get("pretrained_cfg", said)
    own = tuple(
        trained.get(what, usual)
        for what, usual in zip(("mean", "std"), training_statistics(name), strict=True)
    )
    if any(list(mine) != list(theirs) for mine, theirs in zip(own, training_statistics(name), strict=True)):
        raise WeightsError(
            f"{place}: its images have mean {own[0]} and deviation {own[1]}, which timm's {name} has not; "
            "no model can keep that"
        )
    return name
