"""One card of the report for each image: photo, map over it, and where its score lies."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from html import escape

import numpy as np
from PIL import Image

from pni_fast.evaluation.compared import Compared

from .heatmap import overlay
from .ranking import Verdict

TILE = 256
"""Side in pixels of a square picture; others have its area."""

WIDE = 2
"""Pictures that are so many times as wide as high stand below each other."""

_QUALITY = 82  # with full colour resolution, or thin contours fade


@dataclass(frozen=True)
class Drawn:
    """A picture of a page, small.

    Attributes
    ----------
    address
        A JPEG, as a ``data:`` address.
    width, height
        Its pixels.
    """

    address: str
    width: int
    height: int

    @classmethod
    def of(cls, picture: Image.Image) -> Drawn:
        """Return a picture at its own aspect ratio, with the area of a tile at most."""
        scale = min(1.0, TILE / math.sqrt(picture.width * picture.height))
        small = picture.copy()
        most = tuple(max(1, round(side * scale)) for side in picture.size)
        small.thumbnail((most[0], most[1]), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        small.save(buffer, format="JPEG", quality=_QUALITY, subsampling=0, optimize=True)
        content = base64.b64encode(buffer.getvalue()).decode("ascii")
        return cls(f"data:image/jpeg;base64,{content}", *small.size)

    def tag(self, alt: str, more: str = "") -> str:
        """Return an ``<img>`` element; `alt` and `more` attributes are escaped already."""
        size = f'width="{self.width}" height="{self.height}"'
        return f'<img {more}src="{self.address}" alt="{alt}" {size}>'


def pictures_class(first: Drawn) -> str:
    """Return the class of an element that holds pictures like this one."""
    return "pictures wide" if first.width > WIDE * first.height else "pictures"


def card(
    verdict: Verdict,
    colours: tuple[float, float],
    scores: tuple[float, float],
    form: str,
    compared: Compared | None = None,
) -> str:
    """Return the HTML of one image.

    Parameters
    ----------
    verdict
        The image and what the threshold makes of it.
    colours
        Map values where the heat map sets in and where it is hottest.
    scores
        Lowest and highest image score of the test set, the ends of the score bar.
    form
        Format of a score.
    compared
        Normal images it was held against.

    Returns
    -------
    str
        An ``<article>`` element; every name in it is escaped.
    """
    result = verdict.result
    name = escape(result.name)
    photo = Image.fromarray(np.ascontiguousarray(result.image))
    # Over a grey photograph no colour of the product can be taken for heat; the colours are next to it.
    heat = overlay(
        np.asarray(photo.convert("L").convert("RGB")), result.anomaly_map, *colours, mask=result.mask
    )
    shown = Drawn.of(photo)
    classes = ["card", "bad" if result.defective else "good", *(["wrong"] if verdict.wrong else [])]
    kind = escape(result.sample.defect) if result.sample.defect is not None else "good"
    unmarked = '<span class="chip">no mask</span>' if result.mask is None else ""
    return (
        f'<article class="{" ".join(classes)}">'
        f'<div class="{pictures_class(shown)}">{shown.tag(f"Photograph {name}")}'
        f"{Drawn.of(heat).tag(f'Anomaly map over {name}')}</div>"
        f'<div class="caption"><span class="name" title="{name}">{name}</span>{_badge(verdict)}</div>'
        f'<div class="caption sub"><span><i class="swatch"></i>{kind} {unmarked}</span>'
        f'<span class="score">{result.score:{form}}</span></div>'
        f"{_score_bar(verdict, scores, form)}{'' if compared is None else _alike(compared)}"
        "</article>"
    )


def _alike(compared: Compared) -> str:
    """Return the normal images an image was held against: the first as pictures, all by name."""
    pictures = "".join(
        Drawn.of(Image.fromarray(picture)).tag(f"Normal image {escape(name)}", f'title="{escape(name)}" ')
        for name, picture in compared.pictures.items()
    )
    names, count = escape(", ".join(compared.names)), len(compared.names)
    most = f"the {count} most alike normal images" if count > 1 else "the most alike normal image"
    return (
        f'<div class="alike">{pictures}</div>'
        f'<details class="alike-names"><summary>Compared with {most}</summary>{names}</details>'
    )


def _badge(verdict: Verdict) -> str:
    if verdict.missed:
        return '<span class="badge missed">missed</span>'
    if verdict.false_alarm:
        return '<span class="badge alarm">false alarm</span>'
    return ""


def _score_bar(verdict: Verdict, scores: tuple[float, float], form: str) -> str:
    low, high = scores
    span = (high - low) or 1.0
    here = (verdict.result.score - low) / span * 100
    if verdict.called is None:
        return f'<div class="bar-scale"><b style="left:{here:.1f}%"></b></div>'
    cut = (verdict.result.score - verdict.margin - low) / span * 100
    start, width = min(here, cut), abs(here - cut)
    title = f"{abs(verdict.margin):{form}} {'above' if verdict.called else 'below'} the threshold"
    return (
        f'<div class="bar-scale" title="{title}">'
        f'<u style="left:{start:.1f}%;width:{width:.1f}%"></u>'
        f'<s style="left:{cut:.1f}%"></s><b style="left:{here:.1f}%"></b></div>'
    )
