"""What every page begins and ends with: nothing outside it is asked for."""

from __future__ import annotations

from html import escape
from importlib import resources

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def begin(title: str) -> str:
    """Return the head of a page, up to its content; the title is escaped."""
    style = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
    )


def end(text: str) -> str:
    """Return the end of a page: who wrote it, and `text`, which is escaped."""
    from pni_fast import __version__

    written = f"Written by pni-fast {escape(__version__)}. {escape(text)}"
    return f"<footer>{written}</footer>\n</main>\n</body>\n</html>\n"


def header(eyebrow: str, title: str, verdict: str, notes: list[str]) -> str:
    """Return the head line of a page; all but `verdict`, which is HTML, is escaped."""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    listed = f'<ul class="notes">{items}</ul>' if items else ""
    return (
        f'<header><p class="eyebrow">{escape(eyebrow)}</p><h1>{escape(title)}</h1>'
        f'<p class="verdict">{verdict}</p>{listed}</header>\n'
    )
