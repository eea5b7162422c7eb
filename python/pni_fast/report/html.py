"""The report: one HTML page that needs nothing but itself."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

import numpy as np

from pni_fast.config.choices import ORIGINAL
from pni_fast.evaluation import Evaluation
from pni_fast.evaluation.metrics import counted
from pni_fast.progress import Progress, silent
from pni_fast.runtime.files import atomic_path

from .conditions import choices, trials_section
from .heatmap import scale_css
from .histogram import histogram_svg
from .page import begin, end, header
from .ranking import Verdict, by_kind, display_range, rank, report_threshold, score_format
from .tiles import card

MAX_IMAGES = 300
"""Images shown when the caller does not say; a page of 300 weighs about 10 MB."""

_FIGURES = (
    ("image_auroc", "Image AUROC", "chance that a defective image scores above a good one"),
    ("image_f1_max", "Image F1max", "precision and recall at the threshold best for these very images"),
    ("pixel_auroc", "Pixel AUROC", "chance that a defective pixel scores above a normal one"),
    ("pixel_f1_max", "Pixel F1max", "agreement of map and ground truth at the best threshold"),
    ("aupro", "AUPRO", "how much of each defect is covered, up to 30 % false positive pixels"),
)


def write_report(
    evaluation: Evaluation,
    path: str | os.PathLike[str],
    *,
    max_images: int = MAX_IMAGES,
    progress: Progress = silent,
) -> None:
    """Write an evaluation as one self-contained HTML page, whole or not at all.

    Pictures and style are inside the page; it asks for nothing over the network. Mistakes at the F1max
    threshold come first, then the other images, the closest calls first.

    Parameters
    ----------
    evaluation
        The outcome to show, with at least one result.
    path
        The file to write.
    max_images
        How many images to show at most; the page says what is left out.
    progress
        Told the stage ``report`` in images.

    Raises
    ------
    PniError
        The file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", errors="replace") as page:
        for part in _page(evaluation, max_images, progress):
            page.write(part)


def _page(evaluation: Evaluation, max_images: int, progress: Progress) -> Iterator[str]:
    verdicts = rank(evaluation)
    yield begin(f"{evaluation.category} · pni-fast report")
    yield header(
        "Inspection report", evaluation.category, _verdict(evaluation, verdicts), list(evaluation.notes)
    )
    yield _figures(evaluation)
    yield (
        f'<div class="columns"><section class="panel">{_histogram(verdicts, evaluation)}</section>'
        f'<section class="panel"><h3>Kinds of image</h3>{_kinds(verdicts)}'
        f"<h3>Model</h3>{_table(_facts(evaluation.model))}</section></div>\n"
    )
    yield trials_section(evaluation.model)
    yield from _gallery(evaluation, verdicts, max_images, progress)
    yield (
        f"<details><summary>All settings of the model</summary>{_table(_flat(evaluation.model))}</details>\n"
    )
    yield end(
        f"Pixels are counted at {_counted_at(evaluation)}; AUPRO is integrated up to a false positive rate "
        "of 0.3."
    )


def _counted_at(evaluation: Evaluation) -> str:
    if evaluation.at == ORIGINAL:
        return "the photographs' own size"
    shapes = {one.anomaly_map.shape for one in evaluation.results}
    size = "".join(f", {width}×{height} pixels" for height, width in shapes)
    return f"the size that the model sees{size}, ground truth brought to it the same way"


def _verdict(evaluation: Evaluation, verdicts: list[Verdict]) -> str:
    bad = sum(verdict.result.defective for verdict in verdicts)
    good = len(verdicts) - bad
    threshold, own = report_threshold(evaluation)
    if threshold is None:
        return f"{counted(len(verdicts), 'image')} scored: {good} good, {bad} defective."
    missed, alarms = sum(v.missed for v in verdicts), sum(v.false_alarm for v in verdicts)
    found = f"{'all' if not missed else bad - missed} {'' if not missed else 'of '}{bad}"
    lost = f', <span class="alert">{missed} missed</span>' if missed else ""
    alarm = f'<span class="alert">{counted(alarms, "false alarm")}</span>' if alarms else "no false alarm"
    promised = None if evaluation.own_threshold is None else evaluation.own_threshold.promised
    whose = "At the model's own threshold of" if own else "At a threshold of"
    promise = "" if promised is None else f", where at most {100 * promised:.1f} % were promised"
    return (
        f"{whose} {threshold:{score_format(verdicts)}}, {found} defective images are found{lost}, "
        f"with {alarm} among {counted(good, 'good image')}{promise}."
    )


def _figures(evaluation: Evaluation) -> str:
    values = evaluation.metrics.as_dict()
    parts = []
    for key, name, means in _FIGURES:
        value = values[key]
        shown, share = ("–", 0.0) if value is None else (f"{value:.3f}", value * 100)
        parts.append(
            f'<div class="figure"><dt>{name}</dt><dd><div class="value">{shown}</div>'
            f'<div class="meter"><i style="width:{share:.1f}%"></i></div>'
            f'<div class="means">{means}</div></dd></div>'
        )
    return f'<dl class="figures">{"".join(parts)}</dl>\n'


def _histogram(verdicts: list[Verdict], evaluation: Evaluation) -> str:
    good, bad = (
        np.array(
            [result.score for result in evaluation.results if result.defective is kind], dtype=np.float64
        )
        for kind in (False, True)
    )
    threshold, own = report_threshold(evaluation)
    best, form = evaluation.metrics.image_threshold, score_format(verdicts)
    if own:
        hint = "The threshold is the model's own: good images it does not know set it, none of these."
        if best is not None:
            hint += f" The best F1 on these very images is at {best:{form}}: a look at the answers."
    elif best is not None:
        hint = "The threshold is the one with the best F1 on these very images: a look at the answers."
    else:
        hint = "Without both good and defective images there is no best threshold."
    drawing = histogram_svg(good, bad, threshold, form, "the model's own" if own else "best F1")
    return (
        f'<h3>Image scores <span class="key good"><i class="swatch"></i>{len(good)} good</span>'
        f'<span class="key bad"><i class="swatch"></i>{len(bad)} defective</span></h3>'
        f'{drawing}<p class="hint">{hint}</p>'
    )


def _kinds(verdicts: list[Verdict]) -> str:
    rows, form = by_kind(verdicts), score_format(verdicts)
    parts = []
    for row in rows:
        name = "good" if row.name is None else escape(row.name)
        called = str(row.images) if row.called is None else f"{row.called} of {row.images}"
        parts.append(
            f'<tr class="kind {"is-good" if row.name is None else "is-bad"}"><th scope="row">'
            f'<i class="swatch"></i>{name}</th><td class="n">{called}</td>'
            f'<td class="n">{row.low:{form}} – {row.high:{form}}</td></tr>'
        )
    heading = "called defective" if rows and rows[0].called is not None else "images"
    return (
        f'<table><thead><tr><th>kind</th><th class="n">{heading}</th><th class="n">scores</th></tr></thead>'
        f"<tbody>{''.join(parts)}</tbody></table>"
    )


def _gallery(
    evaluation: Evaluation, verdicts: list[Verdict], max_images: int, progress: Progress
) -> Iterator[str]:
    shown = verdicts[:max_images]
    wrong = sum(verdict.wrong for verdict in verdicts)
    bad = sum(verdict.result.defective for verdict in shown)
    yield f"<section><h2>Images <small>{_order(evaluation, wrong, len(verdicts) - len(shown))}</small></h2>\n"
    yield _filters(len(shown), sum(v.wrong for v in shown), bad, len(shown) - bad)
    colours = display_range(evaluation)
    yield _legend(evaluation, colours, score_format(verdicts))
    scores = [verdict.result.score for verdict in verdicts]
    ends = (min(scores), max(scores))
    form = score_format(verdicts)
    yield '<div class="cards">\n'
    for done, verdict in enumerate(shown, start=1):
        yield card(verdict, colours, ends, form, evaluation.compared.get(verdict.result.name)) + "\n"
        progress("report", done, len(shown))
    yield "</div></section>\n"


def _order(evaluation: Evaluation, wrong: int, left_out: int) -> str:
    if report_threshold(evaluation)[0] is None:
        order = "highest score first"
    elif wrong:
        order = f"{counted(wrong, 'mistake')} first, then the closest calls"
    else:
        order = "no mistakes; the closest calls first"
    if left_out:
        order += f"; {counted(left_out, 'image')} at the end of this order left out"
    return order


def _filters(everything: int, wrong: int, bad: int, good: int) -> str:
    choices = (
        ("all", "All", everything),
        ("wrong", "Mistakes", wrong),
        ("bad", "Defective", bad),
        ("good", "Good", good),
    )
    inputs = "".join(
        f'<input class="pick" type="radio" name="filter" id="f-{key}"{" checked" if key == "all" else ""}>'
        for key, _, _ in choices
    )
    labels = "".join(f'<label for="f-{key}">{name} {number}</label>' for key, name, number in choices)
    return f'{inputs}<div class="filters">{labels}</div>\n'


def _legend(evaluation: Evaluation, colours: tuple[float, float], form: str) -> str:
    low, high = colours
    pixel = evaluation.metrics.pixel_threshold
    cut = f" The best pixel threshold is {pixel:{form}}." if pixel is not None else ""
    ramp = f'<span class="ramp" style="background-image:{scale_css()}"></span>'
    return (
        f'<div class="legend"><span class="scale">map {low:{form}} {ramp} {high:{form}} and above</span>'
        f'<span><i class="contour"></i>ground truth</span><span>One scale for all images.{cut}</span></div>\n'
    )


def _table(rows: Iterable[tuple[str, str]]) -> str:
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in rows
    )
    return f'<table class="facts"><tbody>{body}</tbody></table>'


def _facts(model: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Name what a reader asks first, as far as the model says it."""
    if "backbone" in model:
        for member in model.get("members", [model]):
            yield "Backbone", f"{member['backbone']}, weights: {member.get('weights', 'unknown')}"
            if member.get("engine"):
                yield "Fitted by", member["engine"]
    if "preset" in model:
        yield "Preset", str(model["preset"])
    if "parts" in model:
        yield "Conditions", " and ".join(model["parts"]) or "none (PatchCore)"
    for words in choices(model):
        yield "Choice", words
    for member in model.get("members", [model]):
        if "position" in member and member.get("conditions") is None:
            yield "Position", str(member["position"])
    if "n_images" in model:
        yield "Learnt from", f"{counted(model['n_images'], 'good image')}"
    for member in model.get("members", [model]):
        if "coreset" in member:
            yield "Coreset", f"{member['coreset']:,} patches of {member.get('dimension', '?')} values"


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if key == "trials":  # a table of its own
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, (list, tuple)) and any(isinstance(item, dict) for item in value):
            for number, item in enumerate(value):
                yield from _flat(item, f"{prefix}{key}.{number}.")
        elif isinstance(value, (list, tuple)):
            yield f"{prefix}{key}", ", ".join(str(item) for item in value) or "–"
        else:
            yield f"{prefix}{key}", str(value)
