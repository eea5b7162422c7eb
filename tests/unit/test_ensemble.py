"""Several backbones are several models whose normalised maps are averaged, in one file."""

import gc
import json
import weakref

import numpy as np
import pytest
import safetensors
from model_files import rewrite
from pictures import texture
from pni_fast import PNI, DataError, ModelFileError, WeightsError
from pni_fast.features import extract
from pni_fast.refinement import RefinerConfig
from pni_fast.runtime.run import Run
from pni_fast.scoring.map_range import normalised

LITE, RESNET = "tf_efficientnet_lite0", "resnet18"
TINY = {"resize": 80, "crop": 64, "coreset_ratio": 0.1, "rule": "both"}
WHOLE = TINY | {"neighborhood": True}
REFINER = RefinerConfig(side=32, bank=2, iterations=2, batch=2, levels=(0, 1), widths=(8, 8))
TEST = [texture(50), texture(51, defect=True), texture(52)]


@pytest.fixture(scope="module")
def good():
    return [texture(seed) for seed in range(6)]


@pytest.fixture(scope="module")
def choice(resnet_weights):
    return {"backbone": [LITE, RESNET], "weights": [None, resnet_weights], "device": "cpu"}


@pytest.fixture(scope="module")
def model(good, choice):
    return PNI(**WHOLE, **choice, num_threads=1).fit(good)


@pytest.fixture(scope="module")
def alone(good, choice):
    """Return the models of the members' backbones, each fitted by itself."""
    pairs = zip(choice["backbone"], choice["weights"], strict=True)
    return [PNI(**WHOLE, device="cpu", backbone=name, weights=file).fit(good) for name, file in pairs]


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("ensemble") / "m.safetensors"
    model.save(path)
    return path


def maps(model, images=TEST):
    return np.stack([prediction.anomaly_map for prediction in model.predict(images)])


def mean_by_hand(members, images=TEST):
    total = np.float32(0)
    for member in members:
        low, high = member.normalization_
        total = total + (maps(member, images) - np.float32(low)) / np.float32(high - low)
    return total / np.float32(len(members))


def test_maps_are_the_mean_of_the_normalised_maps_of_models_fitted_alone(model, alone):
    expected = mean_by_hand(alone)
    assert maps(model).tobytes() == expected.tobytes()
    assert model.score_samples(TEST).tobytes() == expected.max(axis=(1, 2)).tobytes()
    assert model.score_samples(TEST)[1] > 2 * model.score_samples(TEST)[0]


def test_members_are_whole_models(model, alone, tmp_path):
    assert [member.config for member in model.members_] == [one.config for one in alone]
    for number, (member, one) in enumerate(zip(model.members_, alone, strict=True)):
        member.save(tmp_path / f"member{number}")
        one.save(tmp_path / f"alone{number}")
        assert (tmp_path / f"member{number}").read_bytes() == (tmp_path / f"alone{number}").read_bytes()
    assert [member.coreset_.shape for member in model.members_] == [(38, 152), (38, 384)]
    (only,) = alone[0].members_
    assert maps(only).tobytes() == maps(alone[0]).tobytes()


def test_maps_of_the_images_fitted_on_span_zero_to_one(model, good):
    assert model.normalization_ == (0.0, 1.0)
    found = maps(model, good)
    assert found.min() >= 0
    assert 0.5 < found.max() <= 1
    for member in model.members_:
        low, high = member.normalization_
        each = normalised(maps(member, good), low, high)
        assert (each.min(), each.max()) == (0, 1)


def test_maps_without_a_range_are_only_shifted(good, choice):
    flat = np.full((2, 2), 3, np.float32)
    assert normalised(flat + 2, 3.0, 3.0).tolist() == [[2, 2], [2, 2]]
    whole = PNI(**(TINY | {"coreset_ratio": 1.0}), **choice, position=False, neighborhood=False).fit(good)
    assert [member.normalization_ for member in whole.members_] == [(0.0, 0.0)] * 2
    assert np.isfinite(whole.score_samples(TEST)).all()


@pytest.mark.parametrize(
    "name", ["coreset_", "groups_", "position_", "neighborhood_", "refiner_", "extractor_"]
)
def test_what_belongs_to_one_backbone_is_asked_of_the_members(model, name):
    with pytest.raises(
        AttributeError, match=rf"'{name}' belongs to one .* take members_\[0\]\.{name} to .*\[1\]"
    ):
        getattr(model, name)
    assert hasattr(model.members_[0], name)


def test_what_belongs_to_all(model):
    assert model.n_images_ == 6
    assert model.config.backbones == (LITE, RESNET)
    with pytest.raises(AttributeError, match="no attribute 'no_such_'"):
        _ = model.no_such_
    with pytest.raises(AttributeError, match=r"'members_' is there after fit\(\) or load\(\)"):
        _ = PNI(device="cpu").members_


def test_the_summary_describes_every_member(model, alone):
    described = json.loads(json.dumps(model.summary()))
    assert described["backbone"] == described["config"]["backbone"] == [LITE, RESNET]
    assert described["weights"] == ["embedded", "resnet18.safetensors"]
    assert described["parts"] == ["position", "neighborhood"]
    for member, one in zip(described["members"], alone, strict=True):
        assert member == {key: value for key, value in one.summary().items() if key in member}
        assert set(member) >= {"backbone", "weights", "coreset", "dimension", "normalization"}


def test_same_bits_and_the_same_file_for_any_number_of_threads(good, choice, saved, model, tmp_path):
    other = PNI(**WHOLE, **choice, num_threads=3).fit(good)
    other.save(tmp_path / "m.safetensors")
    assert (tmp_path / "m.safetensors").read_bytes() == saved.read_bytes()
    assert maps(other).tobytes() == maps(model).tobytes()


def test_a_batch_gives_the_maps_of_single_images(model):
    """Several crops go through every member at once."""
    found = list(model.predict(TEST))
    scorer = model.fitted.scorer(Run())
    batch = scorer.maps(np.stack([one.image for one in found]), threads=2)
    assert [one.shape for one in batch] == [(64, 64)] * 3
    for one, prediction in zip(batch, found, strict=True):
        np.testing.assert_allclose(one, prediction.anomaly_map, rtol=1e-4)


def test_saved_and_loaded_ensembles_score_the_same_bits(model, saved, tmp_path):
    loaded = PNI.load(saved, device="cpu", num_threads=1)
    assert maps(loaded).tobytes() == maps(model).tobytes()
    assert loaded.summary() == model.summary()
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()
    assert maps(loaded.members_[1]).tobytes() == maps(model.members_[1]).tobytes()


def test_one_member_is_a_plain_model_file(good, saved, tmp_path):
    for name, backbone in (("listed", [LITE]), ("plain", None)):
        PNI(**TINY, device="cpu", backbone=backbone, neighborhood=False).fit(good).save(tmp_path / name)
    assert (tmp_path / "listed").read_bytes() == (tmp_path / "plain").read_bytes()
    headers = {}
    for path in (tmp_path / "plain", saved):
        with safetensors.safe_open(path, "pt") as file:
            headers[path.name] = json.loads(file.metadata()["pni_fast"])
    # Version 0.1.0 reads exactly this.
    assert headers["plain"]["format"] == 1
    assert headers["plain"]["config"]["backbone"] == LITE
    assert "members" not in headers["plain"]
    assert headers["m.safetensors"]["format"] == 2


def test_a_reader_of_one_member_refuses_an_ensemble_by_its_format(saved, monkeypatch):
    monkeypatch.setattr("pni_fast.model.file.header.FORMAT", 1)
    with pytest.raises(ModelFileError, match=r"model format 2 \(.*\) is newer than format 1, .*; upgrade"):
        PNI.load(saved)


@pytest.mark.parametrize("kept", [100, 100_000, -1])
def test_a_truncated_ensemble_is_refused(saved, tmp_path, kept):
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(saved.read_bytes()[:kept])
    with pytest.raises(ModelFileError, match=r"cut\.safetensors: not a whole \.safetensors file"):
        PNI.load(cut)


@pytest.mark.parametrize(
    "change",
    [
        lambda header, _: header.pop("members"),
        lambda header, _: header["members"].pop(),
        lambda header, _: header["members"][1].pop("normalization"),
        lambda header, _: header["config"].update(backbone=[LITE]),
        lambda header, _: header.update(format=1),
        lambda _, tensors: tensors.pop("members.1.coreset"),
        lambda _, tensors: tensors.pop("members.0.backbone.conv_stem.weight"),
    ],
)
def test_a_damaged_ensemble_is_refused(saved, tmp_path, change):
    bad = rewrite(saved, tmp_path / "bad.safetensors", change)
    with pytest.raises(ModelFileError, match=r"bad\.safetensors: damaged model file"):
        PNI.load(bad)


def test_members_with_one_anothers_names_are_told_by_the_network(saved, tmp_path):
    """What is scored follows from graph and tensors; the name is held to them where a network is built."""
    bad = rewrite(
        saved,
        tmp_path / "bad.safetensors",
        lambda header, _: header["config"].update(backbone=[RESNET, LITE]),
    )
    with pytest.raises(ModelFileError, match="do not make the network it names"):
        PNI.load(bad).members_[0].extractor_  # noqa: B018


def test_features_are_held_of_one_member_at_a_time(good, choice, monkeypatch):
    allocate, alive = extract.allocate_features, []

    def watched(shape, dtype):
        gc.collect()
        alive.append(sum(store() is not None for store in stores))
        store = allocate(shape, dtype)
        stores.append(weakref.ref(store))
        return store

    stores = []
    monkeypatch.setattr(extract, "allocate_features", watched)
    PNI(**WHOLE, **choice).fit(good)
    assert alive == [0, 0]


def test_progress_names_the_member(good, choice):
    stages = []
    model = PNI(**TINY, **choice, neighborhood=False)
    model.fit(good, progress=lambda stage, *_: stages.append(stage) if stage not in stages else None)
    members = [f"{LITE} (1/2)", f"{RESNET} (2/2)"]
    assert stages == [
        f"{member}: {stage}" for member in members for stage in ("features", "coreset", "left out")
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone": [LITE, "resnet1"]}, "must be the name of a timm model, got 'resnet1'"),
        ({"weights": [None, "none.pth"]}, r"none\.pth: no such weights file"),
    ],
)
def test_a_later_member_that_cannot_be_built_is_found_before_the_first_fit(good, choice, change, message):
    stages = []
    with pytest.raises(WeightsError, match=message):
        PNI(**TINY, **(choice | change)).fit(good, progress=lambda stage, *_: stages.append(stage))
    assert stages == []


def test_wrong_counts_are_refused_by_the_constructor(resnet_weights):
    with pytest.raises(WeightsError, match=r"got 2 for 3"):
        PNI(backbone=[LITE, RESNET, RESNET], weights=[None, resnet_weights])


def test_broken_images_are_left_out_of_every_member_and_listed_once(choice, tmp_path):
    for index in range(3):
        texture(index).save(tmp_path / f"{index}.png")
    (tmp_path / "1.png").write_text("not an image")
    model = PNI(**TINY, **choice, neighborhood=False)
    with pytest.raises(DataError, match=r"1\.png"):
        model.fit(tmp_path)
    model.fit(tmp_path, skip_broken=True)
    assert [name for name, _ in model.skipped_] == ["1.png"]
    assert [member.n_images_ for member in model.members_] == [2, 2] == [model.n_images_] * 2
    names = [prediction.name for prediction in model.predict(tmp_path, skip_broken=True)]
    assert names == ["0.png", "2.png"]


def test_refined_members_are_averaged_as_they_are_alone(good, choice, tmp_path):
    settings = TINY | {"refiner": REFINER, "refinement": True, "neighborhood": False}
    model = PNI(**settings, **choice).fit(good)
    assert maps(model).tobytes() == mean_by_hand(model.members_).tobytes()
    first, second = model.members_
    assert any(
        not np.array_equal(mine.numpy(), other.numpy())
        for mine, other in zip(first.refiner_.parameters(), second.refiner_.parameters(), strict=True)
    )
    model.save(tmp_path / "m.safetensors")
    assert maps(PNI.load(tmp_path / "m.safetensors", device="cpu")).tobytes() == maps(model).tobytes()
