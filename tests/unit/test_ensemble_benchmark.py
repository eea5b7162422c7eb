"""A benchmark of an ensemble: variants leave a part out of every member, records know every weights file."""

import json

import numpy as np
import pytest
from pictures import make_category, texture
from pni_fast import PNI, PniError
from pni_fast.benchmark import run_benchmark
from pni_fast.benchmark.variants import Variant, derive, share_extraction
from pni_fast.refinement import RefinerConfig

LITE, RESNET = "tf_efficientnet_lite0", "resnet18"
TINY = {"resize": 80, "crop": 64, "coreset_ratio": 0.1}
REFINER = RefinerConfig(side=32, bank=2, iterations=2, batch=2, levels=(0, 1), widths=(8, 8))


@pytest.fixture(scope="module")
def choice(resnet_weights):
    return {"backbone": [LITE, RESNET], "weights": [None, resnet_weights], "device": "cpu"}


def maps(model):
    images = [texture(50), texture(51, defect=True), texture(52)]
    return np.stack([prediction.anomaly_map for prediction in model.predict(images)])


def test_variants_of_an_ensemble_are_ensembles_fitted_without_the_part(choice, tmp_path):
    category = make_category(tmp_path / "tile")
    train = sorted((category / "train" / "good").iterdir())
    # Few classes and a window of one patch: here position moves the range of normal maps.
    settings = TINY | choice | {"neighborhood": False, "neighborhood_size": 1, "distribution_size": 5}
    settings |= {"position_gate": False, "context": False}
    full = share_extraction(PNI(**settings).fit(train))
    derived = derive(full, Variant.named("neither"), train)
    alone = PNI(**settings, position=False).fit(train)
    assert full.members_[0].normalization_ != alone.members_[0].normalization_
    for _ in range(2):  # the second time from remembered features
        assert maps(derived).tobytes() == maps(alone).tobytes()
    # A variant has no threshold: the left-out scores are those of the whole model.
    assert derived.summary() == {**alone.summary(), "decision": None}


def test_every_member_of_the_papers_preset_has_a_refiner_of_its_own_in_a_benchmark(choice, tmp_path):
    make_category(tmp_path / "set" / "tile")
    seen = []

    def told(stage, *_):
        if stage not in seen:
            seen.append(stage)

    settings = TINY | {"refiner": REFINER, "position": False, "neighborhood": False}
    common = {**choice, "presets": ["paper-ensemble"], "settings": settings}
    done = run_benchmark(tmp_path / "set", "mvtec", tmp_path / "out", progress=told, **common)
    assert [vars(failure) for failure in done.failures] == []
    (record,) = done.records
    assert (record.preset, record.variant, record.metrics["image_auroc"]) == ("paper-ensemble", "R", 1.0)
    assert record.model["backbone"] == [LITE, RESNET]
    trained = [stage for stage in seen if stage.endswith(": refinement")]
    assert trained == [
        f"paper-ensemble tile: {name}: refinement" for name in (f"{LITE} (1/2)", f"{RESNET} (2/2)")
    ]
    again = run_benchmark(tmp_path / "set", "mvtec", tmp_path / "out", **common)
    assert again.measured == 0
    written = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert written["results"][0]["weights"] == ["embedded", "resnet18.safetensors"]
    with pytest.raises(PniError, match="holds results made with weights"):
        run_benchmark(tmp_path / "set", "mvtec", tmp_path / "out", **(common | {"weights": None}))
