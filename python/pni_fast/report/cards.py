"""Cards of images without a ground truth, and the few of many that a page shows."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .heatmap import overlay
from .tiles import Drawn, pictures_class

MOST_DEFECTIVE, MOST_GOOD = 400, 100
"""Images that a page shows: defective ones with the highest scores, and good ones, the closest calls."""


@dataclass(frozen=True)
class Card:
    """One image of a page.

    Attributes
    ----------
    name
        Of the image.
    score
        The higher, the sooner it is shown.
    alert
        Whether it is marked.
    badge
        What the mark says, or nothing.
    facts
        What stands below the name.
    pictures
        Each with what it shows.
    """

    name: str
    score: float
    alert: bool
    badge: str
    facts: tuple[str, str]
    pictures: tuple[tuple[str, Drawn], ...]

    @property
    def html(self) -> str:
        """An ``<article>`` element; every text in it is escaped."""
        name = escape(self.name)
        shown = "".join(
            drawn.tag(f"{escape(what)} {name}", 'loading="lazy" decoding="async" ')
            for what, drawn in self.pictures
        )
        layout = pictures_class(self.pictures[0][1]) if self.pictures else "pictures"
        badge = f'<span class="badge">{escape(self.badge)}</span>' if self.badge else ""
        left, right = map(escape, self.facts)
        return (
            f'<article class="card lazy{" wrong" if self.alert else ""}"><div class="{layout}">{shown}</div>'
            f'<div class="caption"><span class="name" title="{name}">{name}</span>{badge}</div>'
            f'<div class="caption sub"><span>{left}</span><span class="score">{right}</span></div>'
            "</article>\n"
        )


def pictures(
    image: NDArray[np.uint8],
    anomaly_map: NDArray[np.float32],
    colours: tuple[float, float],
    mask: NDArray[np.bool_] | None = None,
) -> tuple[tuple[str, Drawn], ...]:
    """Return the photograph, and the map over it in grey with what `mask` marks outlined."""
    photo = Image.fromarray(np.ascontiguousarray(image))
    grey = np.asarray(photo.convert("L").convert("RGB"))
    heat = overlay(grey, anomaly_map, *colours, mask=mask)
    return ("Photograph", Drawn.of(photo)), ("Anomaly map over", Drawn.of(heat))


class Few:
    """The cards with the highest scores of a long run; the pictures of others are never drawn.

    Parameters
    ----------
    most
        Cards kept.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._kept: list[tuple[float, int, Card]] = []
        self._order = itertools.count(0, -1)

    def takes(self, score: float) -> bool:
        """Whether a card with this score would be kept, as things stand."""
        return len(self._kept) < self.most or score > self._kept[0][0]

    def add(self, card: Card) -> None:
        """Keep a card, in place of the lowest where there are too many; of equals the first stays."""
        entry = (card.score, next(self._order), card)
        if len(self._kept) < self.most:
            heapq.heappush(self._kept, entry)
        else:
            heapq.heappushpop(self._kept, entry)

    @property
    def cards(self) -> list[Card]:
        """Those kept, the highest score first."""
        return [card for _, _, card in sorted(self._kept, key=lambda entry: (-entry[0], -entry[1]))]


def section(title: str, small: str, cards: Sequence[Card]) -> str:
    """Return a part of a page with cards; nothing where there are none."""
    if not cards:
        return ""
    shown = "".join(card.html for card in cards)
    head = f"<h2>{escape(title)} <small>{escape(small)}</small></h2>"
    return f'<section>{head}\n<div class="cards">{shown}</div></section>\n'
