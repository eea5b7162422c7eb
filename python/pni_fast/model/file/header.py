"""What a model file says of itself in JSON, held to what there is; no tensor is read here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pni_fast.config import Config, setting_names
from pni_fast.errors import ModelFileError, PniError
from pni_fast.runtime.tensor_file import TensorFileError, parsed

SINGLE, FORMAT = 1, 2
"""Numbers of the layouts: of one member, and of several. A reader refuses higher ones than it knows."""

KEY = "pni_fast"
"""Of the metadata: everything that is no tensor, as JSON."""

DIGEST = "digest"
"""Of the JSON: a digest over all the rest and the tensors. Files of 0.1.0 have none."""

INNER = ("context", "mlp", "refiner")
"""Settings that have settings."""

OWN = frozenset({"format", "version", "config", "n_images", "decision", "image_size", DIGEST})
VALUES = frozenset(
    {"gate", "weights_source", "grid", "scale", "normalization", "refiner_range"}
    | {"weight", "trials", "context_names", "engine", "decision"}
)
"""What is said of the whole model and of each member. Any other name would be lost without a word."""


def installed_version() -> str:
    """Return the version of this package."""
    from importlib.metadata import version  # twenty milliseconds, for a message or a new file

    return version("pni-fast")


def read_header(file: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the JSON of a model file, of a format this version reads.

    Raises
    ------
    ModelFileError
        The file is foreign, damaged or of a newer version; the message says which.
    """
    if KEY not in metadata:
        raise ModelFileError(f"{file}: a .safetensors file, but not a pni-fast model (no {KEY!r} metadata)")
    try:
        header = parsed(metadata[KEY])
    except TensorFileError:
        header = None
    number = header.get("format") if isinstance(header, dict) else None
    if not isinstance(header, dict) or type(number) is not int or number < SINGLE:
        raise ModelFileError(f"{file}: damaged model file: unreadable metadata")
    if number > FORMAT:
        raise ModelFileError(
            f"{file}: model format {short(number)} (written by pni-fast {_written(header) or '?'}) is newer "
            f"than format {FORMAT}, the newest that pni-fast {installed_version()} reads; upgrade pni-fast"
        )
    _check_names(file, header)
    return header


def member_values(header: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """Return what is said of each of `count` members.

    Raises
    ------
    PniError
        Something is missing, or there is another number of members.
    """
    several = header["format"] != SINGLE
    members = header.get("members") if several else [dict(header)]
    if not isinstance(members, list) or len(members) != count or (count > 1) != several:
        raise PniError(f"members must be one for each of {count} backbones, in format {header['format']}")
    for number, values in enumerate(members):
        if not isinstance(values, dict):
            raise PniError(f"member {number} must be values by name, got {short(values)}")
        missing = {"weights_source", "grid", "normalization", "refiner_range"} - set(values)
        if missing:
            raise PniError(f"{min(missing)} is missing")
    return members


def _check_names(file: Path, header: dict[str, Any]) -> None:
    """Refuse a name that is not known: of a newer version, which added it without a new format, or damage."""
    config, members = header.get("config"), header.get("members")
    names = [
        f"{name}.{inner}" if inner else name
        for name, value in (config.items() if isinstance(config, dict) else ())
        for inner in (value if isinstance(value, dict) and name in INNER else [""])
    ]
    unknown = sorted(set(names) - set(setting_names(Config)) - set(INNER))
    known = OWN | (VALUES if header["format"] == SINGLE else {"members"})
    unknown += sorted(set(header) - known)
    for values in members if isinstance(members, list) else []:
        unknown += sorted(set(values) - VALUES) if isinstance(values, dict) else []
    if not unknown:
        return
    written, here = _written(header), installed_version()
    if _order(written) > _order(here):
        raise ModelFileError(
            f"{file}: written by pni-fast {written}, newer than this one, {here}, which does not know the "
            f"setting {short(unknown[0])}; upgrade pni-fast"
        )
    raise ModelFileError(f"{file}: damaged model file: unknown setting {short(unknown[0])}")


def _written(header: Mapping[str, Any]) -> str:
    """Return the version that wrote the file, nothing where what is said can be none."""
    text = header.get("version")
    return text if isinstance(text, str) and re.fullmatch(r"[0-9][\w.+-]{0,40}", text, re.ASCII) else ""


def _order(release: str) -> tuple[int, ...]:
    """Return the numbers a version begins with, for comparing."""
    return tuple(map(int, re.findall(r"\d+", release)[:3]))


def short(value: object, most: int = 60) -> str:
    """Return a value as a message shows it: one line, of bounded length."""
    text = ascii(value) if not isinstance(value, int) or abs(value) < 10**most else "a very large number"
    return text if len(text) <= most else f"{text[:most]}…"


def one_line(error: BaseException, most: int = 400) -> str:
    """Return what an error says as one line of bounded length, without anything a terminal would obey."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = "".join(sign if sign.isprintable() else "?" for sign in text)
    return text if len(text) <= most else f"{text[:most]}…"
