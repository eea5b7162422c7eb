"""The report is complete, self-contained and safe."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from pni_fast.data import Sample
from pni_fast.errors import PniError
from pni_fast.evaluation import Evaluation, Result
from pni_fast.evaluation.compared import Compared
from pni_fast.metrics import compute_metrics
from pni_fast.report import colour_scale, write_report
from pni_fast.report.histogram import histogram_svg
from pni_fast.report.ranking import by_kind, display_range, rank, score_format

SIDE = 40
MODEL = {
    "preset": "lite",
    "backbone": "tiny_net",
    "weights": "embedded",
    "n_images": 9,
    "coreset": 1234,
    "dimension": 56,
    "parts": ["position"],
    "config": {"crop": SIDE, "mlp": {"width": 7}},
}


def result(name, defect, score, *, mask=True):
    rng = np.random.default_rng(crc32(name.encode()))
    spot = np.zeros((SIDE, SIDE), bool)
    spot[10:20, 10:20] = defect is not None
    values = rng.uniform(0, 1, (SIDE, SIDE)).astype(np.float32) + score * np.where(spot, 1.0, 0.1)
    image = rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    known = spot if mask or defect is None else None
    return Result(Sample(Path(name), name, defect, None), score, values.astype(np.float32), image, known)


def evaluation(results, notes=(), category="plates"):
    figures = compute_metrics(
        [r.defective for r in results],
        [r.score for r in results],
        [r.mask for r in results],
        [r.anomaly_map for r in results],
    )
    return Evaluation(category, figures, results, [*figures.notes, *notes], (0.0, 1.0), MODEL)


# F1max at 5: three of four defects found, one false alarm.
MIXED = [
    result("good/0.png", None, 1.0),
    result("good/1.png", None, 6.0),
    result("good/2.png", None, 2.0),
    result("bent/0.png", "bent", 9.0),
    result("bent/1.png", "bent", 5.0),
    result("hole/0.png", "hole", 0.5),
    result("hole/1.png", "hole", 8.0),
]


class Page(HTMLParser):
    """Collects tags with attributes and text, and checks that tags close in order."""

    VOID = frozenset({"meta", "img", "input", "link", "br"})

    def __init__(self, source):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def of_class(self, name):
        return [attrs for _, attrs in self.tags if name in (attrs.get("class") or "").split()]


@pytest.fixture
def page(tmp_path):
    def write(outcome, **options):
        write_report(outcome, tmp_path / "report.html", **options)
        source = (tmp_path / "report.html").read_text(encoding="utf-8")
        return Page(source), source

    return write


def test_the_page_shows_everything_once(page):
    shown, source = page(evaluation(MIXED))
    text = " ".join(" ".join(shown.text).split())
    assert "plates" in text
    assert "At a threshold of 5.000, 3 of 4 defective images are found, 1 missed , with 1 false alarm" in text
    figures = evaluation(MIXED).metrics
    for name in ("image_auroc", "image_f1_max", "pixel_auroc", "pixel_f1_max", "aupro"):
        assert f"{getattr(figures, name):.3f}" in text
    names = [attrs["title"] for attrs in shown.of_class("name")]
    assert sorted(names) == sorted(r.name for r in MIXED)
    assert len(shown.of_class("card")) == len(MIXED)
    assert len([tag for tag, _ in shown.tags if tag == "img"]) == 2 * len(MIXED)
    assert len(shown.of_class("missed")) == 1
    assert len(shown.of_class("alarm")) == 1
    assert "tiny_net, weights: embedded" in text
    assert "1,234 patches of 56 values" in text
    assert "config.mlp.width" in text
    assert source.startswith("<!doctype html>")


def test_mistakes_come_first_then_close_calls(page):
    shown, _ = page(evaluation(MIXED))
    names = [attrs["title"] for attrs in shown.of_class("name")]
    # Margins: hole/0 -4.5 (missed), good/1 +1 (false alarm); then bent/1 0, and -3, 3, -4, 4 for the rest.
    assert names == [
        "hole/0.png",
        "good/1.png",
        "bent/1.png",
        "good/2.png",
        "hole/1.png",
        "bent/0.png",
        "good/0.png",
    ]


def test_nothing_is_asked_of_the_network(page):
    shown, source = page(evaluation(MIXED))
    for tag, attrs in shown.tags:
        assert tag not in {"script", "link", "iframe", "object"}
        for key in ("src", "href", "srcset", "data", "action"):
            assert attrs.get(key, "data:").startswith("data:")
    assert not re.search(r"url\(|@import|https?://", source)
    policies = [a["content"] for t, a in shown.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_names_are_escaped(page):
    evil = '<script>alert("1")</script>&.png'
    results = [result(evil, '<b id="x">', 3.0), result("good/0.png", None, 1.0)]
    outcome = evaluation(results, notes=["<i>note</i>"], category="<u>set</u>")
    shown, source = page(outcome)
    assert "<script>" not in source
    assert not [tag for tag, attrs in shown.tags if tag in {"script", "u", "i"} and not attrs]
    assert not [tag for tag, attrs in shown.tags if attrs.get("id") == "x"]
    assert evil in [attrs["title"] for attrs in shown.of_class("name")]
    assert "<i>note</i>" in shown.text
    assert "<u>set</u>" in shown.text


HOSTILE = "<script>alert(1)</script>"


def test_a_choice_of_conditions_is_told_with_its_table(page):
    rows = [
        {
            "condition": condition,
            "weight": 0.5,
            "risk": 0.125,
            "sees": 0.75,
            "chosen": condition == "context",
            "seen": {kind: {"image_auroc": 1.0, "pixel_f1_max": 0.5} for kind in kinds},
        }
        for condition, kinds in (("none", ["move"]), ("context", ["move", HOSTILE]))
    ]
    told = {"conditions": f"context with weight 0.5 {HOSTILE}", "position": "not chosen", "trials": rows}
    shown, source = page(replace(evaluation(MIXED), model=MODEL | told))
    text = " ".join(" ".join(shown.text).split())
    assert f"Choice {told['conditions']}" in text
    assert "not chosen" not in text.partition("All settings")[0]
    assert f"condition weight risk sees move {HOSTILE}" in text
    assert "none 0.500 0.125 0.750 1.000 / 0.500 –" in text
    assert "context chosen 0.500 0.125 0.750 1.000 / 0.500 1.000 / 0.500" in text
    assert len(shown.of_class("chosen")) == 1
    assert "trials.0" not in source
    assert HOSTILE not in source


def test_two_members_have_a_table_each(page):
    row = {"condition": "none", "weight": 0, "risk": 0, "sees": 1, "chosen": True, "seen": {}}
    members = [{"backbone": name, "conditions": "neither", "trials": [row]} for name in ("a_net", HOSTILE)]
    shown, source = page(replace(evaluation(MIXED), model={"members": members}))
    assert len(shown.of_class("trials")) == 2
    assert HOSTILE not in source


def test_an_image_is_shown_with_those_it_was_compared_with(page):
    picture = np.full((9, 12, 3), 80, np.uint8)
    names = ("train/good/1.png", HOSTILE, "train/good/3.png")
    compared = {"hole/0.png": Compared(names, {names[0]: picture, HOSTILE: picture})}
    shown, source = page(replace(evaluation(MIXED), compared=compared))
    pictures = [attrs["title"] for tag, attrs in shown.tags if tag == "img" and "title" in attrs]
    assert pictures == list(names[:2])
    text = " ".join(" ".join(shown.text).split())
    assert f"Compared with the 3 most alike normal images {', '.join(names)}" in text
    assert text.count("Compared with") == 1
    assert HOSTILE not in source


def test_a_large_set_is_cut_and_says_so(page):
    progress = []
    shown, _ = page(evaluation(MIXED), max_images=3, progress=lambda *step: progress.append(step))
    names = [attrs["title"] for attrs in shown.of_class("name")]
    assert names == ["hole/0.png", "good/1.png", "bent/1.png"]
    assert "4 images at the end of this order left out" in " ".join(shown.text)
    assert progress == [("report", 1, 3), ("report", 2, 3), ("report", 3, 3)]


def test_a_set_without_defects_has_no_threshold(page):
    shown, _ = page(evaluation([r for r in MIXED if not r.defective]))
    text = " ".join(shown.text)
    assert "3 images scored: 3 good, 0 defective." in text
    assert "No image metrics: the test set has no defective image." in text
    assert "–" in shown.text
    assert shown.of_class("wrong") == []
    assert [attrs["title"] for attrs in shown.of_class("name")] == ["good/1.png", "good/2.png", "good/0.png"]


def test_a_perfect_set_says_all(page):
    shown, _ = page(evaluation([r for r in MIXED if r.name not in ("hole/0.png", "good/1.png")]))
    text = " ".join(" ".join(shown.text).split())
    assert "all 3 defective images are found, with no false alarm among 2 good images." in text
    assert "no mistakes; the closest calls first" in text


def test_images_without_mask_are_marked(page):
    results = [*MIXED, result("torn/0.png", "torn", 7.0, mask=False)]
    shown, _ = page(evaluation(results))
    assert len(shown.of_class("chip")) == 1
    assert "1 defective image without a mask left out of the pixel metrics." in shown.text


def test_equal_scores_do_not_break_the_page(page):
    flat = [result("good/0.png", None, 1.0), result("bent/0.png", "bent", 1.0)]
    shown, _ = page(evaluation(flat))
    assert len(shown.of_class("card")) == 2


def test_it_is_written_whole_or_not_at_all(tmp_path):
    def fail(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report(evaluation(MIXED), tmp_path / "report.html", progress=fail)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PniError, match="cannot write"):
        write_report(evaluation(MIXED), tmp_path)


def test_kinds_are_summed_up():
    rows = by_kind(rank(evaluation(MIXED)))
    assert [(row.name, row.images, row.called, row.low, row.high) for row in rows] == [
        ("bent", 2, 2, 5.0, 9.0),
        ("hole", 2, 1, 0.5, 8.0),
        (None, 3, 1, 1.0, 6.0),
    ]


def test_scores_get_as_many_decimals_as_tell_them_apart():
    def form(*scores):
        return score_format(
            rank(evaluation([result(f"good/{i}.png", None, s) for i, s in enumerate(scores)]))
        )

    assert form(0.0, 3.0) == ".3f"
    assert form(100.0, 150.0) == ".2f"
    assert form(0.10, 0.12) == ".5f"
    assert form(1.0, 90000.0) == ".0f"
    assert form(2.0, 2.0) == ".3f"


def test_the_colour_scale_spans_normal_pixels_to_defects():
    outcome = evaluation(MIXED)
    low, high = display_range(outcome)
    calm = np.concatenate([r.anomaly_map.ravel() for r in MIXED if not r.defective])
    assert (calm > low).mean() == pytest.approx(0.02, abs=0.015)
    assert high == pytest.approx(np.median([r.anomaly_map.max() for r in MIXED if r.defective]))
    good_only = evaluation([r for r in MIXED if not r.defective])
    assert display_range(good_only) == colour_scale((0.0, 1.0)) == (1.0, 2.0)


def test_the_histogram_counts_every_image_on_its_side():
    good, bad = np.array([1.0, 1.1, 1.2, 2.0]), np.array([2.0, 4.0, 4.1])
    drawn = histogram_svg(good, bad, 2.5, ".2f")
    titles = re.findall(r"<title>(\d+) (good|defective), score", drawn)
    assert sum(int(number) for number, kind in titles if kind == "good") == 4
    assert sum(int(number) for number, kind in titles if kind == "defective") == 3
    assert "threshold 2.50" in drawn
    assert drawn.count("<circle") == 7
    Page(drawn)


def test_the_histogram_takes_one_side_one_value_and_many():
    assert "threshold" not in histogram_svg(np.array([3.0]), np.array([]), None)
    many = np.random.default_rng(0).normal(size=3000)
    drawn = histogram_svg(many, many + 1, 0.0)
    assert "<circle" not in drawn
    titles = re.findall(r"<title>(\d+) good", drawn)
    assert sum(map(int, titles)) == 3000
