"""What is said to a person: one place where names of strangers lose their power over a terminal."""

from __future__ import annotations

import unicodedata

import click

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that steer a terminal, turn the direction of writing, or are no characters."""


def printable(text: str, *, keep: str = "\n\t") -> str:
    """Return `text` with everything that would steer a terminal written as its escape.

    So is a byte of a file name that is no UTF-8.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if character in keep or unicodedata.category(character) not in _UNSAFE
        else _escaped(character)
        for character in text
    )


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries a byte that is no UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def say(text: object, *, err: bool = False) -> None:
    """Print lines, made `printable`."""
    click.echo(printable(str(text)), err=err)
