"""The variants that one fit gives are the models that would have been fitted without a part."""

import pytest
from benchmark_runs import TINY, VARIANTS
from pictures import make_category
from pni_fast import PNI
from pni_fast.benchmark.variants import ABLATION, Variant, derive, share_extraction
from pni_fast.data import open_category


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    make_category(folder / "bottle")
    return folder


@pytest.fixture(scope="module")
def full(root):
    """Return a fitted model with every part, not yet sharing its extraction."""
    return PNI(device="cpu", refinement=True, **TINY).fit(root / "bottle")


@pytest.mark.parametrize("variant", ABLATION, ids=VARIANTS)
def test_a_part_left_out_is_the_fit_without_it(root, full, variant):
    category = open_category(root / "bottle")
    alone = PNI(
        device="cpu",
        position=variant.position,
        neighborhood=variant.neighborhood,
        refinement=variant.refinement,
        **TINY,
    ).fit(category.train)
    derived = derive(share_extraction(full), variant, category.train)
    images = [sample.path for sample in category.test]
    for _ in range(2):  # the second time from remembered features
        assert derived.score_samples(images).tobytes() == alone.score_samples(images).tobytes()
    ours, theirs = derived.summary(), alone.summary()
    assert ours["normalization"] == pytest.approx(theirs["normalization"], rel=1e-6)
    assert ours["config"] == theirs["config"]
    assert ours["parts"] == theirs["parts"]


def test_features_of_an_image_are_extracted_once(root, full, monkeypatch):
    from pni_fast.features.extractor import FeatureExtractor

    category = open_category(root / "bottle")
    shared = share_extraction(full)
    calls = []
    forward = FeatureExtractor.forward
    monkeypatch.setattr(
        FeatureExtractor, "forward", lambda self, images: calls.append(1) or forward(self, images)
    )
    images = [sample.path for sample in category.test]
    for variant in ("neither", "P", "NP"):
        derive(shared, Variant.named(variant), category.train).score_samples(images)
    assert len(calls) == len(images) + len(category.train)
    shared.fitted.extractor._left = 0
    shared.fitted.extractor._seen.clear()
    shared.score_samples(images)
    shared.score_samples(images)
    assert len(calls) == 3 * len(images) + len(category.train), "beyond its capacity nothing is kept"


def test_a_variant_with_more_parts_than_the_model_is_refused(root):
    model = PNI(device="cpu", neighborhood=False, **TINY).fit(root / "bottle")
    with pytest.raises(ValueError, match="variant must have parts of P only, got NP"):
        derive(model, Variant.named("NP"), [])
