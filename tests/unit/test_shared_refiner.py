"""The library's `refine`, and checkpoints of a fit with refinement."""

import signal
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from pictures import texture
from pni_fast import PNI, DataError, ModelFileError, PniError, WeightsError, refine
from refiners import SMALL, TINY


@pytest.fixture(scope="module")
def good():
    return [texture(seed) for seed in range(5)]


@pytest.fixture(scope="module")
def plain(good):
    return PNI(**TINY).fit(good)


def saved(model, folder):
    model.save(folder / "model.safetensors")
    return (folder / "model.safetensors").read_bytes()


def test_refining_a_model_is_fitting_it_with_refinement(good, plain, tmp_path):
    expected = saved(PNI(**TINY, refinement=True).fit(good), tmp_path)
    before = saved(plain, tmp_path)
    (refined,) = refine([plain], [good], device="cpu", num_threads=1)
    assert saved(refined, tmp_path) == expected
    assert saved(plain, tmp_path) == before
    assert plain.refiner_ is None


def test_a_threshold_that_was_chosen_ends_with_a_word(good, plain, tmp_path, recwarn):
    saved(plain, tmp_path)
    chosen = [PNI.load(tmp_path / "model.safetensors", device="cpu", num_threads=1) for _ in range(2)]
    chosen[0].set_threshold(at=5.0)
    chosen[1].set_threshold(0.5, calibrate=[texture(seed) for seed in range(20, 24)])
    refined = refine(chosen, [good, good], iterations=1, device="cpu", num_threads=1)
    said = [str(one.message).split(",")[0] for one in recwarn if "threshold" in str(one.message)]
    assert said == [
        "models[0]: its threshold was set by hand (5)",
        "models[1]: its threshold was calibrated (4 images)",
    ]
    assert [model.decision_.at for model in refined] == [None, None]
    assert [model.decision_.source for model in refined] == ["left out", "left out"]
    assert [model.decision_.false_alarms for model in refined] == [plain.decision_.false_alarms, 0.5]


def test_other_images_of_the_same_number_are_refused(good, plain):
    others = [*good[:3], texture(30), good[4]]
    message = (
        r"image 3: must be one of the images that models\[0\] was fitted on, its bytes are those of none"
    )
    with pytest.raises(DataError, match=message):
        refine([plain], [others], iterations=1, device="cpu", num_threads=1)
    with pytest.raises(PniError, match=rf"seed must be at most {2**62}, got {2**64}"):
        refine([plain], [good], iterations=1, seed=2**64, device="cpu", num_threads=1)


def test_the_encoder_of_a_refiner_starts_from_a_file(good, plain, tmp_path):
    weights = tmp_path / "encoder.safetensors"
    state = timm.create_model(SMALL.encoder).state_dict()  # random: other weights than the embedded ones
    safetensors.torch.save_file(state, weights)
    fitted = PNI(**TINY, refinement=True, refiner_weights=weights).fit(good)
    (refined,) = refine([plain], [good], device="cpu", weights=weights)
    expected = fitted.refiner_.state_dict()
    embedded = PNI(**TINY, refinement=True).fit(good).refiner_.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in refined.refiner_.state_dict().items())
    assert any(not torch.equal(value, expected[name]) for name, value in embedded.items())


def test_a_checkpoint_belongs_to_the_encoders_weights(good, plain, tmp_path):
    weights, checkpoint = tmp_path / "encoder.safetensors", tmp_path / "training"
    safetensors.torch.save_file(timm.create_model(SMALL.encoder).state_dict(), weights)
    refine([plain], [good], device="cpu", weights=weights, checkpoint=checkpoint)
    with pytest.raises(ModelFileError, match="training"):
        refine([plain], [good], device="cpu", checkpoint=checkpoint)


def test_wrong_weights_of_a_refiner_are_found_before_the_fit(good, plain, tmp_path):
    told = []
    missing = tmp_path / "none.safetensors"
    with pytest.raises(WeightsError, match=r"none\.safetensors: no such weights file"):
        PNI(**TINY, refinement=True, refiner_weights=missing).fit(
            good, progress=lambda *now: told.append(now)
        )
    with pytest.raises(WeightsError, match=r"none\.safetensors: no such weights file"):
        refine([plain], [good], device="cpu", weights=missing, progress=lambda *now: told.append(now))
    assert told == []
    with pytest.raises(PniError, match=r"refiner_weights .*: refinement must be on"):
        PNI(**TINY, refiner_weights=missing).fit(good)


def test_the_refiner_never_sees_images_that_its_maps_were_fitted_on(good, plain, monkeypatch):
    from pni_fast.data.cropping import crop_image
    from pni_fast.refinement import train as training

    seen = []

    def remember(tasks, *rest, **options):
        seen.extend(tasks)
        return train(tasks, *rest, **options)

    train = training.train_shared_refiner
    monkeypatch.setattr(training, "train_shared_refiner", remember)
    refine([plain], [good], device="cpu", iterations=1)
    (task,) = seen
    crops = [crop_image(image, plain.geometry) for image in good]
    assert [image.tobytes() for image in task.images] == [crops[1].tobytes(), crops[3].tobytes()]
    # Every coreset vector that a fit on all images took from one of these would be at distance 0.
    unseen = task.anomaly_map(np.stack(task.images))
    assert unseen.min() == 0.0
    assert unseen.max() == 1.0
    whole = refine([plain], [good], device="cpu", iterations=1)[0]
    assert whole.refiner_range_[1] > plain.normalization_[1]


def test_the_number_of_threads_and_of_categories(good, plain):
    other = PNI(**TINY).fit(good[:4])
    one, two = (
        refine([plain, other], [good, good[:4]], iterations=2, device="cpu", num_threads=threads)
        for threads in (1, 2)
    )
    for first, second in zip(one, two, strict=True):
        assert first.score_samples(good[:2]).tobytes() == second.score_samples(good[:2]).tobytes()
    alone = refine([plain], [good], iterations=2, device="cpu")[0]
    assert alone.score_samples(good[:2]).tolist() != one[0].score_samples(good[:2]).tolist()


def test_wrong_arguments_are_named(good, plain):
    with pytest.raises(PniError, match="got 1 models and 0 categories"):
        refine([plain], [])
    with pytest.raises(PniError, match="got 0 models and 0 categories"):
        refine([], [])
    with pytest.raises(PniError, match="seed must be at least 0, got -1"):
        refine([plain], [good], seed=-1)
    with pytest.raises(PniError, match="iterations must be at least 1, got 0"):
        refine([plain], [good], iterations=0)
    with pytest.raises(PniError, match="not fitted yet"):
        refine([PNI(**TINY)], [good])
    with pytest.raises(DataError, match=r"^must hold the 5 images that models\[0\] was fitted on, got 4;"):
        refine([plain], [good[:4]], device="cpu")


KILLED_FIT = """
import os, signal, sys
from pictures import texture
from pni_fast import PNI
from refiners import TINY

def kill(stage, done, total):
    if (stage, done) == ("refinement", 5):
        os.kill(os.getpid(), signal.SIGKILL)

PNI(**TINY, refinement=True).fit([texture(seed) for seed in range(5)], checkpoint=sys.argv[1], progress=kill)
"""


def test_a_killed_fit_goes_on_to_the_same_model(good, tmp_path, starter):
    expected = saved(PNI(**TINY, refinement=True).fit(good), tmp_path)
    checkpoint = tmp_path / "training.safetensors"
    killed = starter.run("-c", KILLED_FIT, checkpoint)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    steps = []
    model = PNI(**TINY, refinement=True).fit(
        good,
        checkpoint=checkpoint,
        progress=lambda stage, done, _: steps.append(done) if stage == "refinement" else None,
    )
    assert steps == [4, 5, 6]
    assert saved(model, tmp_path) == expected
    assert checkpoint.exists(), "the library leaves it: the model may not be saved yet"


SHORT = {**TINY, "refinement": True, "refiner": replace(SMALL, iterations=2)}


@pytest.fixture(scope="module")
def finished(good, tmp_path_factory):
    """The checkpoint of a finished training."""
    checkpoint = tmp_path_factory.mktemp("finished") / "training.safetensors"
    PNI(**SHORT).fit(good, checkpoint=checkpoint)
    return checkpoint


@pytest.mark.parametrize(
    "settings",
    [{"seed": 1}, {"coreset_ratio": 0.2}, {"sigma": 4.0}, {"refiner": replace(SMALL, iterations=4)}, {}],
)
def test_a_checkpoint_of_another_fit_is_refused(good, finished, settings):
    images = good if settings else good[1:]
    with pytest.raises(ModelFileError, match=r"training\.safetensors: the checkpoint is of another run"):
        PNI(**{**SHORT, **settings}).fit(images, checkpoint=finished)


def test_a_checkpoint_without_a_refiner_is_refused(good, tmp_path):
    with pytest.raises(PniError, match="refinement must be on, got refinement=False"):
        PNI(**TINY).fit(good, checkpoint=tmp_path / "training.safetensors")


@pytest.fixture(scope="module")
def two_backbones(resnet_weights):
    return {"backbone": ["tf_efficientnet_lite0", "resnet18"], "weights": [None, resnet_weights]}


def test_each_member_of_an_ensemble_keeps_its_training_in_a_file_of_its_own(good, two_backbones, tmp_path):
    checkpoint = tmp_path / "training.safetensors"
    model = PNI(**SHORT, **two_backbones).fit(good, checkpoint=checkpoint)
    files = [tmp_path / "training-1.safetensors", tmp_path / "training-2.safetensors"]
    assert sorted(tmp_path.iterdir()) == files
    steps = []
    again = PNI(**SHORT, **two_backbones).fit(
        good,
        checkpoint=checkpoint,
        progress=lambda stage, *_: steps.append(stage) if stage.endswith("refinement") else None,
    )
    assert steps == [], "both trainings were finished"
    assert saved(again, tmp_path) == saved(model, tmp_path)
    files[1].write_bytes(b"something else")
    with pytest.raises(ModelFileError, match=r"training-2\.safetensors: not a readable"):
        PNI(**SHORT, **two_backbones).fit(good, checkpoint=checkpoint)
    with pytest.raises(PniError, match=r"models\[0\]: must be a model of one backbone, got an ensemble of 2"):
        refine([model], [good], device="cpu")
