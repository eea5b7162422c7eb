"""The variants that one fit gives are the models that would have been fitted without a part."""

import pytest
from benchmark_runs import COMMON, TINY, VARIANTS
from pictures import make_category
from pni_fast import PNI
from pni_fast.benchmark import run_benchmark
from pni_fast.benchmark.variants import Variant, ablation, derive, share_extraction
from pni_fast.config import PRESETS
from pni_fast.data import open_category
from pni_fast.evaluation import evaluate


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    make_category(folder / "bottle")
    return folder


@pytest.fixture(scope="module")
def full(root):
    """Return a fitted model with every part, not yet sharing its extraction."""
    return PNI(device="cpu", refinement=True, **TINY).fit(root / "bottle")


@pytest.mark.parametrize(
    ("preset", "names"),
    [("lite", "neither P C PC PCR"), ("best", "neither P PR"), ("paper", "neither P N NP NPR")],
)
def test_the_rows_of_a_presets_ablation(preset, names):
    rows = ablation(PRESETS[preset])
    assert [variant.name for variant in rows] == names.split()
    assert [Variant.of(variant.applied_to(PRESETS[preset])) for variant in rows] == list(rows)


def compare(full, name, folder, settings):
    """Hold what is derived from a fitted model against a fit without the parts left out."""
    category, variant = open_category(folder), Variant.named(name)
    alone = PNI(device="cpu", **(settings | variant.settings(full.config))).fit(category.train)
    derived = derive(share_extraction(full), variant, category.train)
    images = [sample.path for sample in category.test]
    for _ in range(2):  # the second time from remembered features
        assert derived.score_samples(images).tobytes() == alone.score_samples(images).tobytes()
    ours, theirs = derived.summary(), alone.summary()
    assert ours["normalization"] == pytest.approx(theirs["normalization"], rel=1e-6)
    for said in ("config", "parts", "conditions", "weight", "trials"):
        assert ours[said] == theirs[said]


@pytest.mark.parametrize("name", VARIANTS[:4])
def test_a_part_left_out_is_the_fit_without_it(root, full, name):
    compare(full, name, root / "bottle", TINY)


def test_neighborhood_alone_is_the_fit_with_it_alone(root):
    settings = TINY | {"neighborhood": True, "position_gate": False, "mlp.positions": 256}
    full = PNI(device="cpu", **settings).fit(root / "bottle")
    compare(full, "N", root / "bottle", settings)
    assert derive(full, Variant.named("NP"), []) is None, "context acts, and position was not kept"


def test_what_the_whole_model_did_not_keep_is_fitted_anew(root, tmp_path):
    settings = TINY | {"position_gate": False}  # what is switched on acts, context before position
    options = COMMON | {"settings": settings}
    done = run_benchmark(root, "folder", tmp_path, ablation=True, **options)
    assert done.failures == []
    records = {record.variant: record for record in done.records}
    acting = {"neither": [], "P": ["position"], "C": ["context"], "PC": ["context"]}
    acting["PCR"] = ["context", "refinement"]
    assert {name: record.model["parts"] for name, record in records.items()} == acting
    fits = {name: record.seconds["fit"] for name, record in records.items()}
    assert fits.pop("P") not in fits.values()
    assert len(set(fits.values())) == 1
    category = open_category(root / "bottle")
    position = PNI(device="cpu", context=False, **settings).fit(category.train)
    threshold = evaluate(position, category).metrics.image_threshold
    assert records["P"].metrics["image_threshold"] == threshold
    assert "lite PC chose: bottle context 0.5." in (tmp_path / "benchmark.md").read_text()


def test_features_of_an_image_are_extracted_once(root, full, monkeypatch):
    from pni_fast.features.stored import StoredExtractor

    category = open_category(root / "bottle")
    shared = share_extraction(full)
    calls = []
    extraction = StoredExtractor.extraction

    def counted(self, run):
        extract = extraction(self, run)
        return lambda crops: calls.append(1) or extract(crops)

    monkeypatch.setattr(StoredExtractor, "extraction", counted)
    images = [sample.path for sample in category.test]
    for variant in ("neither", "P", "PC"):
        derive(shared, Variant.named(variant), category.train).score_samples(images)
    assert len(calls) == len(images) + len(category.train)
    shared.fitted.extractor._left = 0
    shared.fitted.extractor._seen.clear()
    shared.score_samples(images)
    shared.score_samples(images)
    assert len(calls) == 3 * len(images) + len(category.train), "beyond its capacity nothing is kept"


def test_a_variant_with_more_parts_than_the_model_is_refused(root):
    model = PNI(device="cpu", context=False, **TINY).fit(root / "bottle")
    with pytest.raises(ValueError, match="variant must have parts of P only, got PC"):
        derive(model, Variant.named("PC"), [])
