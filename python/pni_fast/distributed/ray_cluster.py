"""A Ray cluster: the one that is there, or one of this process's own."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import Any

from pni_fast.errors import PniError

AUTO = "auto"
"""The address that means: the cluster this machine is part of, else one of its own processors."""

LOCAL = "local"
"""Ray's word for a cluster of one process's own."""

ANSWER_SECONDS = 5.0


def prepared(address: str) -> str:
    """Return the address that is meant, and settle what Ray reads when it is imported.

    A cluster that a token guards takes it from those who say that they have one.
    """
    # Ray's reports of its use would leave the machine.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Results that nobody asks for any more, because another failed, are no news.
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
    if address == AUTO:
        address = started_here()
    has_token = any(name in os.environ for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    if address != LOCAL and (has_token or (Path.home() / ".ray" / "auth_token").is_file()):
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    return address


def connect(ray: Any, address: str) -> None:
    """Join a cluster, or start one of this machine alone.

    Raises
    ------
    PniError
        Nothing answers there, or what answers is another Ray.
    """
    quiet = {"logging_level": "ERROR", "log_to_driver": False}
    if address == LOCAL:
        ray.init(address=LOCAL, include_dashboard=False, **quiet)
        return
    _refuse_silent(address)
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise PniError(
            f"ray {address}: cannot join the cluster, which must have the Ray, the Python and the token "
            f"(~/.ray/auth_token) of this machine: {reason}"
        ) from error


def started_here() -> str:
    """Return the address of the cluster that RAY_ADDRESS names or ``ray start`` began here, else "local".

    Ray itself would join any cluster that runs here, another command's own too, which ends with it.
    """
    if address := os.environ.get("RAY_ADDRESS"):
        return address
    noted = Path(os.environ.get("RAY_TMPDIR", tempfile.gettempdir())) / "ray" / "ray_current_cluster"
    if not noted.is_file():
        return LOCAL
    address = noted.read_text().strip()
    try:
        _refuse_silent(address)
    except PniError:
        return LOCAL
    return address


def _refuse_silent(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise PniError(f"ray must be {AUTO} or an address such as 10.0.0.1:6379, got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except OSError as error:
        raise PniError(
            f"ray must be {AUTO} or the address of a running cluster: nothing answers at {address}: "
            f"{error.strerror or error}"
        ) from error
