"""Names of users in a figure: characters as they are where a font has them, else escaped; never a box."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OWN = "DejaVu Sans"
"""The font that comes with matplotlib."""

FALLBACKS = (
    *("Noto Sans CJK SC", "Noto Sans CJK TC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Source Han Sans SC"),
    *("Microsoft YaHei", "SimHei", "Yu Gothic", "MS Gothic", "Malgun Gothic"),
    *("PingFang SC", "Hiragino Sans GB", "Hiragino Sans", "Heiti TC", "Apple SD Gothic Neo"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "AR PL UMing CN", "IPAGothic", "NanumGothic"),
    *("Droid Sans Fallback", "Arial Unicode MS", "Noto Sans", "Unifont"),
)
"""Fonts that systems bring for what it lacks, taken where they are installed."""


def set_title(axes: Axes, text: str, size: float | str | None = None) -> None:
    """Give axes a title of any characters; a dollar sign is one."""
    shown, families = lettered(text)
    axes.set_title(shown, fontsize=size, fontfamily=families, parse_math=False)


def lettered(text: str) -> tuple[str, list[str]]:
    r"""Return a text that a figure can show, and the fonts to show it with.

    Lines stay; what no font has is written as ``\uXXXX``.
    """
    shown = unicodedata.normalize("NFC", text)
    families, missing = [OWN], set(shown) - {"\n"}
    for family in (OWN, *FALLBACKS):
        if not missing:
            break
        known = {character for character in missing if ord(character) in _characters(family)}
        if known and family != OWN:
            families.append(family)
        missing -= known
    return "".join(_escaped(one) if one in missing else one for one in shown), families


@cache
def _characters(family: str) -> frozenset[int]:
    """Return the code points of the face that is drawn with; none where the font is not installed."""
    from matplotlib.font_manager import findfont, get_font

    try:
        return frozenset(get_font(findfont(family, fallback_to_default=False)).get_charmap())
    except (ValueError, OSError, RuntimeError):  # not there, or broken
        return frozenset()


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
