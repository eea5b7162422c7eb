"""What the figures show is held against counts made by hand."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pni_fast.benchmark.curves import BINS, POINTS, pixel_curves
from pni_fast.data import Sample
from pni_fast.evaluation import Evaluation, Result
from pni_fast.metrics import compute_metrics
from pni_fast.report import lettering
from pni_fast.report.lettering import lettered
from pni_fast.report.pixel_figures import write_precision_recall, write_score_histograms
from pni_fast.report.sheet import MOST, PANEL, choose, panel, tinted, write_sheet

SIDE = 24


def result(name, defect, seed, *, known=True):
    random = np.random.default_rng(seed)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[6:12, 6:12] = defect is not None
    values = (random.normal(0, 1, (SIDE, SIDE)) + 1.5 * mask).round(1).astype(np.float32)  # many ties
    image = random.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    sample = Sample(Path(name), name, defect, None)
    return Result(sample, float(values.max()), values, image, mask if known else None)


def evaluation(results):
    metrics = compute_metrics(
        [found.defective for found in results],
        [found.score for found in results],
        [found.mask for found in results],
        [found.anomaly_map for found in results],
    )
    return Evaluation("plates", metrics, results, [], (-2.0, 2.0), {})


@pytest.fixture
def results():
    return [
        result("good/0.png", None, 1),
        result("dent/0.png", "dent", 2),
        result("dent/1.png", "dent", 3),
        result("hole/0.png", "hole", 4),
        result("hole/1.png", "hole", 5, known=False),
    ]


def test_curves_agree_with_counting_and_with_the_metrics(results):
    evaluated = evaluation(results)
    curves = pixel_curves(evaluated)
    known = [found for found in results if found.mask is not None]
    scores = np.concatenate([found.anomaly_map.ravel() for found in known])
    truth = np.concatenate([found.mask.ravel() for found in known])
    assert len(curves.recall) == len(curves.precision) == POINTS
    assert curves.recall[-1] == 1.0
    assert np.all(np.diff(curves.recall) >= 0)
    by_recall = {}
    for level in np.unique(scores[truth]):
        called = scores >= level
        by_recall[(called & truth).sum() / truth.sum()] = (called & truth).sum() / called.sum()
    for recall, precision in zip(curves.recall, curves.precision, strict=True):
        assert by_recall[recall] == pytest.approx(precision)
    f1 = [2 * p * r / (p + r) for p, r in zip(curves.precision, curves.recall, strict=True)]
    assert max(f1) <= evaluated.metrics.pixel_f1_max + 1e-12
    assert max(f1) == pytest.approx(evaluated.metrics.pixel_f1_max, abs=0.01)

    threshold = evaluated.metrics.pixel_threshold
    assert curves.false_positive_rate == pytest.approx((scores[~truth] >= threshold).mean())
    assert curves.false_negative_rate == pytest.approx((scores[truth] < threshold).mean())
    assert len(curves.edges) == BINS + 1
    assert (sum(curves.normal), sum(curves.defective)) == ((~truth).sum(), truth.sum())
    assert (curves.edges[0], curves.edges[-1]) == (scores.min(), scores.max())


def test_no_curves_without_masks(results):
    unmarked = [found for found in results if found.mask is None or not found.defective]
    assert pixel_curves(evaluation(unmarked)) is None


def test_scores_that_are_all_the_same_still_have_bins(results):
    flat = [
        Result(found.sample, 1.0, np.ones_like(found.anomaly_map), found.image, found.mask)
        for found in results
    ]
    curves = pixel_curves(evaluation(flat))
    assert np.all(np.diff(curves.edges) > 0)
    assert set(curves.recall) == {1.0}


def test_a_sheet_takes_turns_between_kinds_and_leaves_out_what_has_no_mask(results):
    assert [found.name for found in choose(results)] == ["dent/0.png", "hole/0.png", "dent/1.png"]
    many = [result(f"{kind}/{i}.png", kind, i) for kind in ("a", "b") for i in range(MOST)]
    assert [found.name for found in choose(many)] == [
        f"{kind}/{i}.png" for i in range(0, MOST, 2) for kind in "ab"
    ]


def test_tints_show_where_the_mask_is_and_nowhere_else():
    image = np.full((2, 2, 3), 100, np.uint8)
    mask = np.array([[True, False], [False, False]])
    shown = tinted(image, mask, (255, 0, 50))
    assert shown[0, 0].tolist() == [177, 50, 75]
    assert np.array_equal(shown[~mask], image[~mask])
    assert (image == 100).all()


def test_a_thin_mark_is_seen_on_a_sheet(results, tmp_path):
    shown, side = result("dent/0.png", "dent", 2), 1000
    mask = np.zeros((side, side), bool)
    mask[:, 501] = True
    image, scores = np.full((side, side, 3), 255, np.uint8), np.zeros((side, side), np.float32)
    thin = Result(shown.sample, 1.0, scores + mask, image, mask)
    assert (panel(image, mask, (0, 0, 0)) == 127).all(axis=2).any(axis=1).all()
    assert write_sheet(evaluation([*results[:2], thin]), tmp_path / "sheet.png")
    pixels = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    assert (pixels == (232, 162, 157)).all(axis=2).any(axis=1).sum() >= PANEL - 2  # white tinted by the truth


def test_every_figure_is_a_picture_with_something_in_it(results, tmp_path):
    evaluated = evaluation(results)
    drawn = [("lite NP", evaluated.metrics.as_dict(), pixel_curves(evaluated).as_dict())] * 2
    write_precision_recall("plates", drawn, tmp_path / "curves.png")
    write_score_histograms("plates", drawn, tmp_path / "scores.png")
    assert write_sheet(evaluated, tmp_path / "sheet.png")
    for name in ("curves", "scores", "sheet"):
        pixels = np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB"))
        assert min(pixels.shape[:2]) > 200
        coloured = np.ptp(pixels.astype(int), axis=2) > 60
        assert coloured.mean() > 0.002, name


def test_a_sheet_without_a_mask_is_not_written(results, tmp_path):
    unmarked = [found for found in results if found.mask is None or not found.defective]
    assert not write_sheet(evaluation(unmarked), tmp_path / "sheet.png")
    assert not list(tmp_path.iterdir())


NAMES = [r"$\frac{$", "a $x^2$ 螺丝 Гайка e\u0301crou\tb"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_any_characters_is_drawn_as_text_without_a_warning(results, tmp_path, name):
    evaluated = evaluation([*results, result(f"{name}/0.png", name, 6)])
    drawn = [("lite NP", evaluated.metrics.as_dict(), pixel_curves(evaluated).as_dict())]
    write_precision_recall(name, drawn, tmp_path / "curves.png")
    write_score_histograms(name, drawn, tmp_path / "scores.png")
    assert write_sheet(evaluated, tmp_path / "sheet.png")


def test_what_no_font_has_is_escaped_and_what_another_font_has_is_drawn(monkeypatch):
    monkeypatch.setattr(lettering, "FALLBACKS", ("no such font",))
    assert lettered("螺丝 🔩 ok $\n%") == (r"\u87ba\u4e1d " + r"\U0001f529 ok $" + "\n%", ["DejaVu Sans"])
    assert lettered("e\u0301") == ("é", ["DejaVu Sans"])
    monkeypatch.setattr(lettering, "FALLBACKS", ("no such font", "STIXGeneral"))  # comes with matplotlib too
    assert lettered("\u20e5 a") == ("\u20e5 a", ["DejaVu Sans", "STIXGeneral"])
    assert lettered("plain") == ("plain", ["DejaVu Sans"])
