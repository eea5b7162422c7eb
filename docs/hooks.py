"""What `mkdocs build` does beside its plugins.

Links that leave docs/ point into the repository, and the roles that docstrings put before names are dropped.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

LINK = re.compile(r"(?<=\]\()(\.\./[^)\s#]+)")
ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):(?=<code>)")
log = logging.getLogger("mkdocs.hooks.links")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Return the page with every link to a file outside docs/ led to that file in the repository."""
    docs = Path(config["docs_dir"]).resolve()
    repository = docs.parent

    def led(match: re.Match[str]) -> str:
        target = (docs / page.file.src_uri).parent.joinpath(match[1]).resolve()
        if target.is_relative_to(docs) or not target.is_relative_to(repository):
            return match[1]
        if not target.exists():
            log.warning("%s links to %s, which is not in the repository", page.file.src_uri, match[1])
        kind = "tree" if target.is_dir() else "blob"
        return f"{config['repo_url']}/{kind}/main/{target.relative_to(repository).as_posix()}"

    return LINK.sub(led, markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Return the page without the roles of names, as in :class:`pni_fast.PNI`: the name says enough."""
    return ROLE.sub("", html)
