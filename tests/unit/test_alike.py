"""A model with context names the training images that an image is like, and the report shows them."""

import pytest
from pictures import make_category, texture
from pni_fast import PNI
from pni_fast.data import open_category
from pni_fast.evaluation import evaluate
from pni_fast.report import write_report

TINY = {"resize": 80, "crop": 64, "coreset_ratio": 0.1, "position_gate": False, "device": "cpu"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_category(tmp_path_factory.mktemp("data") / "plates")


@pytest.fixture(scope="module")
def model(root):
    return PNI(**TINY, **{"context.images": 3}).fit(root)


def test_a_training_image_is_most_like_itself(model, root):
    (first, *_), other = list(model.alike([root / "train/good/002.png", texture(30)]))
    assert first == "train/good/002.png"
    assert len(set(other)) == 3
    assert set(other) <= {f"train/good/00{number}.png" for number in range(4)}


def test_without_context_no_image_is_read(root, tmp_path):
    plain = PNI(**TINY, context=False).fit(root)
    assert list(plain.alike([tmp_path / "none.png"])) == [()]


def test_the_report_shows_what_defective_images_were_compared_with(model, root, tmp_path):
    outcome = evaluate(model, open_category(root), compared=9)
    assert set(outcome.compared) == {"stain/000.png", "stain/001.png"}
    assert all(len(found.pictures) == 3 for found in outcome.compared.values())
    write_report(outcome, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("Compared with the 3 most alike normal images") == 2
    assert page.count('alt="Normal image train/good/00') == 6
