import numpy as np
import pytest
from pictures import SIDE, texture
from PIL import Image
from pni_fast import PNI, DataError, PniError

TINY = {"resize": 80, "crop": 64, "coreset_ratio": 0.1, "device": "cpu"}
PLACED = TINY | {"position_gate": False, "context": False}


@pytest.fixture(scope="module")
def good():
    return [texture(seed) for seed in range(6)]


@pytest.fixture(scope="module")
def model(good):
    return PNI(**PLACED).fit(good)


def test_a_defect_scores_higher_than_good_parts_and_is_where_it_is(model):
    good, bad = model.predict([texture(50), texture(51, defect=True)])
    assert bad.score > 1.5 * good.score
    row, column = np.unravel_index(bad.anomaly_map.argmax(), bad.anomaly_map.shape)
    # the square covers 36..60 of 96 pixels: 22..42 of the crop's 64
    assert 16 <= row <= 48
    assert 16 <= column <= 48


def test_prediction_holds_what_it_says(model):
    (prediction,) = model.predict(texture(50))
    assert prediction.name == "0"
    assert prediction.path is None
    assert prediction.anomaly_map.shape == (64, 64)
    assert prediction.anomaly_map.dtype == np.float32
    assert prediction.image.shape == (64, 64, 3)
    assert prediction.score == prediction.anomaly_map.max()


def test_fitted_attributes(model):
    assert model.n_images_ == 6
    assert model.coreset_.shape == (int(6 * 64 * 0.1), 152)
    assert model.groups_.shape == (38,)
    assert model.groups_.tolist() == list(range(38)), "with |C_dist| = |C_emb| every vector is its own group"
    assert model.position_.shape == (8, 8, 38)
    np.testing.assert_allclose(model.position_.sum(2), 1, rtol=1e-5)
    assert model.config.preset == "lite"
    low, high = model.normalization_
    assert 0 <= low < high
    with pytest.raises(AttributeError, match="no_such_"):
        _ = model.no_such_


def test_group_of_a_vector_is_its_nearest_distribution_vector(good):
    model = PNI(**TINY, distribution_size=10).fit(good)
    distances = np.linalg.norm(model.coreset_[:, None].astype(float) - model.coreset_[None, :10], axis=2)
    np.testing.assert_array_equal(model.groups_, distances.argmin(1))


@pytest.mark.parametrize("preset", ["lite", "paper"])
@pytest.mark.parametrize("position", [False, True])
@pytest.mark.parametrize("neighborhood", [False, True])
def test_the_map_is_equation_4_word_for_word(good, preset, position, neighborhood):
    """Recompute a map from the fitted parts: threshold, masked distances, resizing, smoothing."""
    import torch
    import torch.nn.functional as F
    from pni_fast.presets import PRESETS
    from scipy.ndimage import gaussian_filter

    settings = TINY | {
        "backbone": "tf_efficientnet_lite0",
        "mlp": PRESETS["lite"].mlp,
        "refinement": False,
        "distribution_size": 12,
    }
    settings |= {"rule": "both", "position_gate": False} if preset == "lite" else {}
    model = PNI(preset, position=position, neighborhood=neighborhood, **settings).fit(good)
    (prediction,) = model.predict(texture(51, defect=True))
    features = model.extractor_(torch.from_numpy(prediction.image)[None])
    allowed = np.ones((64, 12), bool)
    tau = 1 / (2 * len(model.coreset_))
    by_position = model.position_.reshape(64, 12) if position else None
    by_neighborhood = model.neighborhood_.probabilities(features)[0].numpy() if neighborhood else None
    if position and neighborhood and preset == "paper":
        allowed = (by_position + by_neighborhood) / 2 > tau
    else:
        for probabilities in filter(lambda p: p is not None, (by_position, by_neighborhood)):
            allowed &= probabilities > tau
        if position:  # where the two share no class
            allowed = np.where(allowed.any(1, keepdims=True), allowed, by_position > tau)
    rows = features[0].reshape(64, -1).double().numpy()
    distances = np.linalg.norm(rows[:, None] - model.coreset_[None].astype(float), axis=2)
    score = np.where(allowed[:, model.groups_], distances, np.inf).min(1).reshape(8, 8)
    resized = F.interpolate(torch.from_numpy(score)[None, None], size=(64, 64), mode="bilinear")[0, 0].numpy()
    expected = gaussian_filter(resized, 8.0, mode="reflect", truncate=4.0)
    np.testing.assert_allclose(prediction.anomaly_map, expected, rtol=1e-4)


def test_same_bits_for_any_number_of_threads_and_twice(good):
    test = [texture(50), texture(51, defect=True), texture(52)]
    maps = []
    for threads in (1, 2, 3, 1):
        model = PNI(**TINY, num_threads=threads).fit(good)
        maps.append(np.stack([prediction.anomaly_map for prediction in model.predict(test)]))
    for other in maps[1:]:
        assert maps[0].tobytes() == other.tobytes()


def test_saved_and_loaded_models_score_the_same_bits(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    loaded = PNI.load(tmp_path / "m.safetensors", device="cpu")
    test = [texture(50), texture(51, defect=True)]
    assert loaded.score_samples(test).tobytes() == model.score_samples(test).tobytes()
    assert loaded.summary() == model.summary()
    assert loaded.geometry == model.geometry


def test_every_way_of_handing_over_images_gives_the_same_scores(model, tmp_path):
    pictures = [texture(50), texture(51, defect=True)]
    for index, picture in enumerate(pictures):
        picture.save(tmp_path / f"{index}.png")
    expected = model.score_samples(pictures).tolist()
    arrays = [np.asarray(picture) for picture in pictures]
    for images in (
        tmp_path,
        str(tmp_path),
        [tmp_path / "0.png", tmp_path / "1.png"],
        arrays,
        np.stack(arrays),
        (array for array in arrays),
    ):
        assert model.score_samples(images).tolist() == expected
    assert model.score_samples(tmp_path / "1.png").tolist() == expected[1:]
    assert model.score_samples(arrays[1]).tolist() == expected[1:]
    grey = np.asarray(pictures[0].convert("L"))
    assert (
        model.score_samples(grey).tolist()
        == model.score_samples(Image.fromarray(grey).convert("RGB")).tolist()
    )


def test_prediction_is_lazy_and_bounded(model):
    read = 0

    def images():
        nonlocal read
        while True:
            read += 1
            yield np.zeros((SIDE, SIDE, 3), np.uint8)

    predictions = model.predict(images())
    for _ in range(5):
        next(predictions)
    predictions.close()
    assert read <= 5 + 2 * model.run.threads + 2


def test_broken_images_raise_or_are_listed(model, tmp_path):
    texture(50).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("not an image")
    texture(51).save(tmp_path / "c.png")
    with pytest.raises(DataError, match=r"b\.png"):
        list(model.predict(tmp_path))
    names = [prediction.name for prediction in model.predict(tmp_path, skip_broken=True)]
    assert names == ["a.png", "c.png"]
    assert [name for name, _ in model.skipped_] == ["b.png"]
    fitted = PNI(**TINY).fit(tmp_path, skip_broken=True)
    assert fitted.n_images_ == 2
    assert [name for name, _ in fitted.skipped_] == ["b.png"]


def test_progress_counts_every_stage_to_its_end(good):
    seen = {}
    PNI(**TINY, neighborhood=True).fit(
        good, progress=lambda stage, done, total: seen.setdefault(stage, []).append((done, total))
    )
    assert list(seen) == ["features", "coreset", "conditions", "neighborhood", "left out"]
    assert all(steps[-1][0] == steps[-1][1] > 0 for steps in seen.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"preset": "light"},
            r"preset must be one of lite, best, paper, .*, dino-base, got 'light'; did you mean 'lite'\?",
        ),
        ({"coreset_ratio": 0.0}, r"coreset_ratio must be in \(0, 1\], got 0.0"),
        ({"neighborhood_size": 4}, "neighborhood_size must be a positive odd number, got 4"),
        ({"rule": "any"}, "rule must be one of average, both, scores, penalty, blend, got 'any'"),
        ({"device": "tpu"}, "device must be auto, cpu or cuda, got 'tpu'"),
        ({"crop": 600}, "crop must be between 1 and resize = 512, got 600"),
    ],
)
def test_options_out_of_range_are_named(arguments, message):
    with pytest.raises(PniError, match=message):
        PNI(**arguments)


def test_unknown_settings_are_a_type_error():
    with pytest.raises(TypeError, match="unknown setting 'copset_ratio'"):
        PNI(copset_ratio=0.1)


def test_unfitted_models_say_so(tmp_path):
    for use in (lambda m: list(m.predict([])), lambda m: m.save(tmp_path / "m"), lambda m: m.summary()):
        with pytest.raises(PniError, match=r"not fitted yet; call fit\(\) or PNI.load\(\)"):
            use(PNI(device="cpu"))


@pytest.mark.parametrize("gate", [True, False])
@pytest.mark.parametrize("settings", [{}, {"context": False}, {"rule": "penalty"}], ids=str)
def test_fewer_features_that_differ_than_classes(settings, gate):
    flat = [np.full((64, 64, 3), 120 + number % 2, np.uint8) for number in range(6)]
    model = PNI(size=64, coreset_ratio=0.5, position_gate=gate, device="cpu", **settings).fit(flat)
    assert len(np.unique(model.coreset_, axis=0)) < model.fitted.distribution.n_classes == 192
    known, other = model.score_samples([flat[0], np.full((64, 64, 3), 200, np.uint8)])
    assert known < other


def test_no_images_is_an_error(tmp_path):
    with pytest.raises(DataError, match="at least one image"):
        PNI(device="cpu").fit([])
    with pytest.raises(DataError):
        PNI(device="cpu").fit(tmp_path)


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4, 3), np.int64), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_arrays_that_are_no_images_are_named(model, array):
    with pytest.raises(DataError, match=r"image 0: an array must be uint8"):
        model.score_samples([array])


def test_refinement_is_trained_fused_and_saved(good, tmp_path):
    from pni_fast.refinement import RefinerConfig, fuse

    config = RefinerConfig(side=32, bank=8, iterations=3, batch=4, levels=(0, 1), widths=(8, 8))
    stages = []
    model = PNI(**PLACED, refinement=True, refiner=config).fit(
        good, progress=lambda stage, *_: stages.append(stage) if stage not in stages else None
    )
    assert stages == ["features", "coreset", "synthetic maps", "refinement", "left out"]
    plain = PNI(**PLACED).fit(good)
    test = texture(51, defect=True)
    (refined,), (base,) = model.predict(test), plain.predict(test)
    low, high = model.refiner_range_
    normalised = (base.anomaly_map - np.float32(low)) / np.float32(high - low)
    expected = fuse(model.refiner_.refine(refined.image[None], normalised[None])[0], normalised, 0.1)
    np.testing.assert_allclose(refined.anomaly_map, expected, rtol=1e-6)  # an engine's, beside torch's
    model.save(tmp_path / "m.safetensors")
    loaded = PNI.load(tmp_path / "m.safetensors", device="cpu")
    assert loaded.score_samples(test).tobytes() == model.score_samples(test).tobytes()
    assert loaded.summary()["parts"] == ["position", "refinement"]
