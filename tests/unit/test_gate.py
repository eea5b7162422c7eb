"""The gate: its measure, its verdict, and what a model with a verdict is, saved and loaded."""

from dataclasses import replace

import numpy as np
import pytest
from model_files import rewrite
from pictures import texture
from pni_fast import PNI, ModelFileError
from pni_fast.distribution.gate import LIMIT, Gate
from pni_fast.distribution.shrinkage import tail_rate
from pni_fast.presets import PRESETS, preset
from refiners import SMALL
from scenes import left_out, scene

TINY = {"resize": 80, "crop": 64, "coreset_ratio": 0.1, "distribution_size": 12, "device": "cpu"}


@pytest.fixture(scope="module")
def good():
    return [texture(seed) for seed in range(5)]


@pytest.fixture
def dropping(monkeypatch):
    monkeypatch.setattr("pni_fast.distribution.gate.LIMIT", -1.0)


@pytest.fixture
def keeping(monkeypatch):
    monkeypatch.setattr("pni_fast.distribution.gate.LIMIT", 1.0)


def maps(model):
    return np.stack([found.anomaly_map for found in model.predict([texture(50), texture(51, defect=True)])])


@pytest.mark.parametrize("count", [4, 8, 24])
def test_things_in_their_place_keep_position_and_shifted_ones_lose_it(count):
    kept, dropped = (Gate.of(left_out(scene(count, shift=shift))) for shift in (False, True))
    assert kept.kept
    assert kept.risk <= LIMIT
    assert not dropped.kept
    assert dropped.risk > LIMIT


def test_the_risk_is_the_largest_loss_of_auroc_under_the_tail_measured():
    found = left_out(scene(4, shift=True))
    rate = tail_rate(found.maps)
    alike = replace(found, bound=found.free + 1.7 / rate)  # every score rises by 1.7 over the rate
    # Scores with that tail are Gumbel; defects lie D higher, and only the good ones rise.
    above = np.linspace(-20, 20, 40_001)
    auroc = 1 / (1 + np.exp(-above))
    risen = 1 / (1 + np.exp(-(above - 1.7)))
    assert Gate.of(alike).risk == pytest.approx((auroc - risen).max(), abs=1e-6)
    random = np.random.default_rng(0)
    defective, normal = random.gumbel(0.85, 1, 200_000), random.gumbel(0, 1, 200_000)
    simulated = (defective > normal).mean() - (defective > normal + 1.7).mean()
    assert Gate.of(alike).risk == pytest.approx(simulated, abs=0.005)


def test_the_risk_does_not_depend_on_the_unit_of_the_features():
    features = scene(6, shift=True)
    assert Gate.of(left_out(features * np.float32(8))).risk == pytest.approx(
        Gate.of(left_out(features)).risk, rel=1e-4
    )


def test_one_image_out_of_bounds_counts_for_one():
    found = left_out(scene(24, shift=False))
    calm = Gate.of(found).risk
    wild = found.bound.copy()
    wild[5] += 1e6
    assert Gate.of(replace(found, bound=wild)).risk <= calm + 1 / 24 + 1e-9


def test_no_rise_is_no_risk_and_equal_images_do_not_divide_by_zero():
    found = left_out(scene(4, shift=False))
    assert Gate.of(replace(found, bound=found.free)) == Gate(0.0, kept=True)
    same = left_out(np.repeat(scene(1, shift=False), 3, axis=0))
    assert Gate.of(same).risk == 0


def test_a_single_image_does_not_speak_for_position(good):
    model = PNI("lite", rule="both", **TINY, neighborhood=False).fit(good[:1])
    assert model.position_ is None
    assert model.summary()["position"] == "dropped: one image does not show what it costs"
    assert model.summary()["position_risk"] is None


def test_which_presets_have_the_gate():
    gated = {name for name, config in PRESETS.items() if config.position_gate}
    assert gated == {"lite", "best", "dino", "dino-base"}
    assert not preset("lite", position_gate="no").position_gate


@pytest.mark.usefixtures("dropping")
def test_a_model_without_position_is_patchcore(good, tmp_path):
    model = PNI("lite", rule="both", **TINY, neighborhood=False).fit(good)
    assert model.position_ is None
    assert model.gate_.risk >= 0
    plain = PNI("lite", rule="both", **TINY, position=False, neighborhood=False).fit(good)
    assert maps(model).tobytes() == maps(plain).tobytes()
    assert plain.gate_ is None
    assert plain.summary()["position"] == "off"
    model.save(tmp_path / "m.safetensors")
    loaded = PNI.load(tmp_path / "m.safetensors", device="cpu")
    assert (loaded.gate_, loaded.position_) == (model.gate_, None)
    assert loaded.summary() == model.summary()
    assert maps(loaded).tobytes() == maps(model).tobytes()


@pytest.mark.usefixtures("keeping")
def test_a_model_that_keeps_position_is_the_one_without_a_gate(good):
    model = PNI("lite", rule="both", **TINY).fit(good)
    free = PNI("lite", rule="both", **TINY, position_gate=False).fit(good)
    np.testing.assert_array_equal(model.position_, free.position_)
    assert maps(model).tobytes() == maps(free).tobytes()
    assert model.summary()["position"].startswith("kept: ")
    assert free.summary()["position"] == "used"
    assert free.gate_ is None


def rewritten(source, target, change):
    """Load a copy of a model file with its header and tensors changed."""
    return PNI.load(rewrite(source, target, change), device="cpu")


def as_before_the_gate(header, _):
    del header["gate"], header["config"]["position_gate"]


@pytest.mark.usefixtures("keeping")
def test_files_from_before_the_gate_are_read(good, tmp_path):
    lite, best = tmp_path / "lite.safetensors", tmp_path / "best.safetensors"
    model = PNI("lite", rule="both", **TINY).fit(good)
    model.save(lite)
    old = rewritten(lite, tmp_path / "old.safetensors", as_before_the_gate)
    assert maps(old).tobytes() == maps(model).tobytes()
    assert (old.summary()["position"], old.config.position_gate) == ("used", False)

    PNI("best", **TINY).fit(good).save(best)
    assert rewritten(best, tmp_path / "old.safetensors", as_before_the_gate).summary()["position"] == "used"

    def without_histogram(header, tensors):
        as_before_the_gate(header, tensors)
        del tensors["position"]

    dropped = rewritten(best, tmp_path / "old.safetensors", without_histogram)
    assert (dropped.position_, dropped.summary()["position"]) == (None, "dropped")
    with pytest.raises(ModelFileError, match="position"):
        rewritten(lite, tmp_path / "old.safetensors", without_histogram)


@pytest.mark.parametrize("limit", [-1.0, 1.0])
def test_a_refiner_learns_from_maps_of_the_kind_it_will_see(good, monkeypatch, tmp_path, limit):
    """The half of the images that its maps come from has no say of its own."""
    asked = []
    verdict = Gate.of.__func__
    monkeypatch.setattr("pni_fast.distribution.gate.LIMIT", limit)
    monkeypatch.setattr(Gate, "of", classmethod(lambda cls, found: asked.append(1) or verdict(cls, found)))
    fits = []
    from pni_fast.model import refiner_fit as refiner_fitting

    whole = refiner_fitting.fit_distribution
    monkeypatch.setattr(
        refiner_fitting,
        "fit_distribution",
        lambda *args, **named: fits.append(whole(*args, **named)) or fits[-1],
    )
    paths = []
    for number, image in enumerate(good):
        paths.append(tmp_path / f"{number}.png")
        image.save(paths[-1])
    refiner = replace(SMALL, iterations=1)
    model = PNI("lite", rule="both", **TINY, neighborhood=False, refinement=True, refiner=refiner).fit(paths)
    assert len(asked) == 1
    assert [half.position is None for half in fits] == [model.position_ is None] == [limit < 0]
