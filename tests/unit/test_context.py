"""Context: which images are alike, what they allow, what a model keeps of it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_files import rewrite
from pictures import texture
from pni_fast import PNI, ModelFileError, PniError, max_likelihood, nearest
from pni_fast.distribution import context as module
from pni_fast.distribution.context import Context, covering, describe
from pni_fast.kernels.bound import blended, bound_distances
from pni_fast.kernels.packing import pack

TINY = {"resize": 80, "crop": 64, "coreset_ratio": 0.1, "distribution_size": 12, "device": "cpu"}
FORCED = TINY | {"position_gate": False, "context.images": 2}


@pytest.fixture(scope="module")
def good():
    return [texture(seed) for seed in range(6)]


@pytest.fixture(scope="module")
def model(good):
    return PNI("lite", **FORCED).fit(good)


def small(**changes):
    random = np.random.default_rng(0)
    parts = {
        "labels": random.integers(0, 5, (7, 4, 3)).astype(np.uint16),
        "descriptors": random.normal(size=(7, 2)).astype(np.float32),
        "center": np.zeros(2, np.float32),
        "spread": np.ones(2, np.float32),
        "images": 3,
        "window": 3,
        "n_classes": 5,
    }
    return Context(**(parts | changes))


def test_alike_are_the_nearest_descriptors_in_units_of_their_spread():
    descriptors = np.array([[0, 0], [0, 9], [1, 0], [2, 0], [3, 0], [4, 0], [5, 0]], np.float32)
    one = small(descriptors=descriptors, spread=np.array([1, 100], np.float32), images=3)
    assert one.alike(np.array([[0.2, 0.0], [0.2, 0.0]], np.float32)).tolist() == [0, 1, 2]
    assert small(descriptors=descriptors, images=3).alike(np.zeros((2, 2), np.float32)).tolist() == [0, 2, 3]
    assert len(small(images=30).alike(np.zeros((1, 2), np.float32))) == 7


def test_a_class_is_allowed_where_an_alike_image_has_it_nearby():
    one = small(images=2)
    rows = np.full((12, 2), 0.3, np.float32)
    chosen = one.labels[one.alike(rows)]
    allowed = one.allowed(rows, threads=1)
    for position in range(12):
        y, x = divmod(position, 3)
        window = chosen[:, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        assert allowed[position].tolist() == pack(np.isin(np.arange(5), window)).tolist()


def test_columns_without_spread_are_not_divided_by_zero():
    labels = np.zeros((4, 2, 2), np.int64)
    descriptors = np.tile(np.float32([1e3, 0]), (4, 1))
    one = Context.of(labels, descriptors, kept=np.arange(4), images=2, window=3, n_classes=1)
    assert one.spread.tolist() == [1, 1]
    assert one.alike(np.full((4, 2), 7, np.float32)).tolist() == [0, 1]


def test_of_many_images_those_are_kept_that_cover_all(monkeypatch):
    far = np.zeros((50, 1), np.float32)
    far[[7, 31]] = [[90.0], [-90.0]]
    kept = covering(far + np.arange(50, dtype=np.float32)[:, None] / 1e4, 4, 5, 2)
    assert {7, 31} <= set(kept.tolist())
    assert kept.tolist() == sorted(kept.tolist())
    assert len(kept) == 5
    monkeypatch.setattr(module, "MOST_BYTES", 3 * (2 * 4 + 4))
    assert len(covering(far, 4, 2000, 1)) == 3
    assert covering(far[:2], 4, 2000, 1).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.full((7, 4, 3), 5, np.uint16)}, "labels must be below 5, got 5"),
        ({"labels": np.zeros((6, 4, 3), np.uint16)}, "of one n"),
        ({"descriptors": np.full((7, 2), np.nan, np.float32)}, "descriptors must hold numbers"),
        ({"spread": np.zeros(2, np.float32)}, "spread must be positive"),
        ({"center": np.zeros(3, np.float32)}, "of one n"),
        ({"names": ("a",)}, "name each of its 7 images, got 1"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(PniError, match=message):
        small(**changes)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 4))
def test_bound_distances_are_those_of_the_whole_search(seed, groups, threads):
    random = np.random.default_rng(seed)
    rows, coreset = (random.integers(-3, 4, (n, 3)).astype(np.float32) for n in (20, 12))
    of = random.integers(0, groups, 12)
    allowed = pack(random.random((20, groups)) < 0.4)
    found, free = nearest(rows, coreset)
    bound = bound_distances(rows, coreset, of, allowed, found, free, num_threads=threads)
    whole, _ = max_likelihood(rows, coreset, of, allowed)
    np.testing.assert_array_equal(bound, np.where(np.isfinite(whole), whole, free))
    np.testing.assert_array_equal(blended(free, bound, 0.0), free)
    filled = np.empty_like(free)
    assert blended(free, bound, 0.25, out=filled) is filled
    np.testing.assert_array_equal(filled, blended(free, bound, 0.25))
    np.testing.assert_allclose(blended(free, bound, 0.5), (free + bound) / 2, rtol=1e-6)


def test_the_map_is_the_definition_word_for_word(model):
    """Half the distance to the nearest vector, half that to the nearest allowed by the two alike images."""
    import torch
    from pni_fast.scoring.anomaly_map import Upsampler

    assert (model.summary()["context"], model.weight_, model.position_) == ("used", 0.5, None)
    (prediction,) = model.predict(texture(51, defect=True))
    rows = model.extractor_(torch.from_numpy(prediction.image)[None])[0].numpy().reshape(64, -1)
    context = model.context_
    z = (context.descriptors - describe(rows)) / context.spread
    chosen = context.labels[np.argsort((z.astype(float) ** 2).sum(1), kind="stable")[:2]]
    distances = np.linalg.norm(rows[:, None].astype(float) - model.coreset_[None], axis=2)
    allowed = np.zeros((64, 12), bool)
    for position in range(64):
        y, x = divmod(position, 8)
        allowed[position, chosen[:, max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5].ravel()] = True
    bound = np.where(allowed[:, model.groups_], distances, np.inf).min(1)
    scores = (distances.min(1) + bound) / 2
    expected = Upsampler((8, 8), (64, 64), 8.0)(scores.astype(np.float32).reshape(8, 8))
    np.testing.assert_allclose(prediction.anomaly_map, expected, rtol=1e-4)


def test_a_saved_model_keeps_its_context(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    loaded = PNI.load(tmp_path / "m.safetensors", device="cpu")
    assert loaded.summary() == model.summary()
    assert loaded.context_.names == model.context_.names == tuple("012345")
    one, other = (next(iter(each.predict(texture(51, defect=True)))) for each in (model, loaded))
    np.testing.assert_array_equal(one.anomaly_map, other.anomaly_map)


def test_same_bits_for_any_number_of_threads(good, model):
    other = PNI("lite", **FORCED, num_threads=3).fit(good)
    one, two = (next(iter(each.predict(texture(51, defect=True)))) for each in (model, other))
    np.testing.assert_array_equal(one.anomaly_map, two.anomaly_map)
    np.testing.assert_array_equal(other.context_.descriptors, model.context_.descriptors)


@pytest.mark.parametrize(
    ("settings", "context", "position"),
    [
        ({"context": False}, "off", "used"),
        ({"position": False}, "used", "off"),
        ({"context.used": "no", "position": "no"}, "off", "off"),
        ({"rule": "both"}, "off", "used"),
    ],
)
def test_what_is_switched_off_does_not_act(good, settings, context, position):
    found = PNI("lite", **(FORCED | settings)).fit(good[:3]).summary()
    assert (found["context"], found["position"]) == (context, position)


def damaged(model, tmp_path, change):
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(ModelFileError) as told:
        PNI.load(rewrite(tmp_path / "m.safetensors", tmp_path / "n.safetensors", change), device="cpu")
    return str(told.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _, t: t["context.labels"].fill_(12), "labels must be below 12"),
        (lambda _, t: t["context.spread"].fill_(0), "spread must be positive"),
        (lambda _, t: t.update({"context.center": t["context.center"][:3].clone()}), "context.center"),
        (lambda _, t: t.pop("context.descriptors"), "context.descriptors"),
        (lambda h, _: h.update(context_names=["a"]), "name each of its 6 images, got 1"),
        (lambda h, _: h.update(context_names=[1] * 6), "context_names must be names"),
        (lambda h, _: h.update(weight=2), r"weight must be in \[0, 1\]"),
        (lambda h, _: h.update(trials={"rows": 3, "chosen": 0}), "trials must be none, or rows"),
        (lambda h, _: h["config"]["context"].update(images=0), "context.images"),
        (lambda h, _: h["config"]["context"].update(used=False), "context"),
    ],
)
def test_a_damaged_context_is_refused_in_one_line(model, tmp_path, change, message):
    import re

    told = damaged(model, tmp_path, change)
    assert re.search(message, told), told
    assert "\n" not in told


def test_every_member_of_an_ensemble_keeps_its_own(good, resnet_weights, tmp_path):
    members = {"backbone": ["tf_efficientnet_lite0", "resnet18"], "weights": [None, resnet_weights]}
    model = PNI("lite", **FORCED, **members).fit(good[:4])
    model.save(tmp_path / "m.safetensors")
    loaded = PNI.load(tmp_path / "m.safetensors", device="cpu")
    assert [one.context_.descriptors.shape for one in loaded.members_] == [(4, 152), (4, 384)]
    test = texture(51, defect=True)
    assert loaded.score_samples(test).tobytes() == model.score_samples(test).tobytes()


@pytest.mark.parametrize("tensor", ["labels", "descriptors", "center", "spread"])
def test_a_file_that_lost_what_was_chosen_is_refused_and_not_scored_without_it(model, tmp_path, tensor):
    def lose(_, tensors):
        for name in ("labels", "descriptors", "center", "spread"):
            tensors.pop(f"context.{name}")
        if tensor != "labels":
            tensors[f"context.{tensor}"] = torch.ones(3)

    assert "context.labels" in damaged(model, tmp_path, lose)


def test_position_that_was_chosen_must_be_there(good, tmp_path):
    placed = PNI("lite", **FORCED, context=False).fit(good[:3])
    assert "position" in damaged(placed, tmp_path, lambda _, tensors: tensors.pop("position"))


def test_trials_cannot_have_chosen_what_is_switched_off(good, tmp_path):
    def claim(header, _):
        row = {"weight": 0.5, "risk": 0.0, "seen": {}}
        rows = [{"condition": "none", **row}, {"condition": "position", **row}]
        header.update(trials={"rows": rows, "chosen": 1})

    context = PNI("lite", **FORCED, position=False).fit(good[:3])
    assert "trials chose position, which is switched off" in damaged(context, tmp_path, claim)
