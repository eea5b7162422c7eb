"""The main job on real photographs; figures without these would only be claims."""

import os
from pathlib import Path

import numpy as np
import pytest
from pni_fast import PNI
from pni_fast.data import open_category
from pni_fast.evaluation import evaluate

DATA = Path(os.environ.get("PNI_FAST_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
TOOTHBRUSH = DATA / "toothbrush"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not TOOTHBRUSH.is_dir(), reason=f"no measuring data at {TOOTHBRUSH}; set PNI_FAST_DATA"
    ),
]


@pytest.fixture(scope="module")
def model():
    return PNI(device="cpu").fit(TOOTHBRUSH)


def test_lite_reaches_its_figures(model):
    metrics = evaluate(model, open_category(TOOTHBRUSH)).metrics
    assert metrics.image_auroc >= 0.985
    assert metrics.pixel_auroc >= 0.985
    assert metrics.pixel_f1_max >= 0.60
    assert metrics.aupro >= 0.85


def test_fitting_with_one_thread_gives_the_same_bits(model):
    again = PNI(device="cpu", num_threads=1).fit(TOOTHBRUSH)
    np.testing.assert_array_equal(again.coreset_, model.coreset_)
    test = sorted((TOOTHBRUSH / "test" / "defective").iterdir())[:4]
    assert again.score_samples(test).tobytes() == model.score_samples(test).tobytes()
