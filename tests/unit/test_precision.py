import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from pictures import texture
from pni_fast import PNI
from pni_fast.config import RefinerConfig
from pni_fast.distribution.neighborhood.training import train_neighborhood
from pni_fast.errors import ModelFileError, PniError
from pni_fast.presets import MLPConfig
from pni_fast.refinement import RefinementTask, train_shared_refiner
from pni_fast.runtime.precision import _TF32, FLOAT32, Precision, _switches, resolve_precision
from pni_fast.runtime.run import Run

CPU, GPU = torch.device("cpu"), torch.device("cuda")
BF16 = resolve_precision("bf16", CPU)
MLP = MLPConfig(layers=4, width=32, epochs=6, step=3, batch=64, learning_rate=0.01)


def switches():
    return [getattr(holder, name) for holder, name, _, _ in _switches()]


def all_of(which):
    return [pair[which] for *_, on, off in _switches() for pair in [(on, off)]]


def kinds(count=24):
    """Maps of one of three kinds each, which the neighbours tell, and their labels."""
    random = np.random.default_rng(1)
    kind = random.integers(0, 3, count)
    features = np.zeros((count, 6, 6, 3), np.float32)
    features[np.arange(count), ..., kind] = 1
    features += random.normal(0, 0.1, features.shape).astype(np.float32)
    return features, np.broadcast_to(kind[:, None, None], (count, 6, 6)).copy()


@pytest.mark.parametrize("name", ["auto", "fp32"])
def test_on_a_cpu_everything_is_float32_unless_asked(name):
    precision = resolve_precision(name, CPU)
    assert (precision.backbone, precision.networks) == (torch.float32, torch.float32)
    assert not precision.tf32


def test_auto_on_a_gpu_keeps_the_features_out_of_bfloat16(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (9, 0))
    auto = resolve_precision("auto", GPU)
    assert (auto.backbone, auto.networks, auto.tf32) == (torch.float32, torch.bfloat16, True)
    full = resolve_precision("fp32", GPU)
    assert (full.backbone, full.networks, full.tf32) == (torch.float32, torch.float32, False)
    low = resolve_precision("bf16", GPU)
    assert (low.backbone, low.networks) == (torch.bfloat16, torch.bfloat16)


def test_a_gpu_without_bfloat16_units_falls_back_or_refuses(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (7, 5))
    assert resolve_precision("auto", GPU).networks == torch.float32
    with pytest.raises(PniError, match=r"'bf16' asked for, but the GPU has no bfloat16 units.*auto or fp32"):
        resolve_precision("bf16", GPU)


def test_an_unknown_name_is_refused():
    with pytest.raises(PniError, match="precision must be one of auto, fp32, bf16, got 'half'"):
        PNI(precision="half", device="cpu")


@pytest.mark.parametrize("tf32", [True, False])
def test_the_processs_switches_are_set_for_a_call_and_put_back(tf32):
    before = switches()
    precision = Precision(device_type="cuda", tf32=tf32)
    with precision.in_backbone():
        assert switches() == all_of(0 if tf32 else 1)
    assert switches() == before
    with pytest.raises(ZeroDivisionError), precision.in_networks():
        raise ZeroDivisionError
    assert switches() == before
    with replace(precision, device_type="cpu").in_networks():
        assert switches() == before


def test_of_calls_at_work_together_the_strictest_decides():
    before = switches()
    inside, leave = threading.Event(), threading.Event()

    def strict():
        with _TF32.allowed(False):
            inside.set()
            leave.wait(10)

    with _TF32.allowed(True):
        assert switches() == all_of(0)
        other = threading.Thread(target=strict)
        other.start()
        assert inside.wait(10)
        assert switches() == all_of(1)
        leave.set()
        other.join()
        assert switches() == all_of(0)
    assert switches() == before


def test_autocast_ends_with_the_call():
    with BF16.in_networks():
        assert torch.is_autocast_enabled("cpu")
        with FLOAT32.in_networks():
            assert not torch.is_autocast_enabled("cpu")
    assert not torch.is_autocast_enabled("cpu")


def test_the_mlp_learns_and_scores_in_bfloat16_with_float32_weights_and_probabilities():
    features, labels = kinds()
    low = train_neighborhood(features, labels, 3, 3, MLP, Run(precision=BF16), seed=0)
    assert {value.dtype for value in low.state_dict().values() if value.is_floating_point()} == {
        torch.float32
    }
    maps = torch.from_numpy(features)
    with BF16.in_networks():
        found = low.classes(low.reduce(maps), low.scoring_kernel(BF16))
    assert low.scoring_kernel(BF16).dtype == torch.bfloat16
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.sum(2), torch.ones(24, 36))
    assert (found.argmax(2).numpy() == labels.reshape(24, -1)).mean() > 0.99
    exact = low.probabilities(maps)
    assert not torch.equal(found, exact)
    torch.testing.assert_close(found, exact, rtol=0, atol=0.05)


def test_asking_for_float32_on_a_cpu_changes_no_bit():
    features, labels = kinds(6)
    plain = train_neighborhood(features, labels, 3, 3, MLP, Run(), seed=0)
    asked = train_neighborhood(features, labels, 3, 3, MLP, Run.resolve("cpu", "auto", 1), seed=0)
    assert all(torch.equal(value, asked.state_dict()[name]) for name, value in plain.state_dict().items())
    maps = torch.from_numpy(features)
    kernel = plain.scoring_kernel(FLOAT32)
    assert torch.equal(plain.probabilities(maps), plain.probabilities(maps, kernel))


@pytest.fixture(scope="module")
def models():
    """The same model fitted in float32 and in bfloat16."""
    images = [texture(seed) for seed in range(3)]
    settings = {"device": "cpu", "num_threads": 2, "coreset_ratio": 0.1, "resize": 80, "crop": 64}
    return [PNI(precision=name, **settings).fit(images) for name in ("auto", "bf16")]


def test_precision_belongs_to_the_run_and_not_to_the_file(models, tmp_path):
    exact, low = models
    for model in models:
        model.save(tmp_path / "model.safetensors")
        assert PNI.load(tmp_path / "model.safetensors", device="cpu").precision.name == "auto"
    assert exact.summary()["config"] == low.summary()["config"]
    image = [texture(9, defect=True)]
    loaded = PNI.load(tmp_path / "model.safetensors", device="cpu", precision="bf16")
    np.testing.assert_array_equal(loaded.score_samples(image), low.score_samples(image))
    assert exact.score_samples(image) != low.score_samples(image)


def test_bfloat16_tells_the_defect_too(models):
    for model in models:
        good, bad = model.score_samples([texture(9), texture(9, defect=True)])
        assert bad > 1.5 * good


def test_features_leave_the_backbone_as_float32(models):
    scorer = models[1].fitted.likelihood_scorer(Run(precision=BF16))
    crop = np.asarray(texture(3).crop((0, 0, 64, 64)))[None].copy()
    features = scorer.features(crop)
    assert features.dtype == np.float32
    exact = models[1].extractor_(torch.from_numpy(crop)).numpy()
    assert not np.array_equal(features, exact)
    relative = np.linalg.norm(features - exact) / np.linalg.norm(exact)
    assert relative < 0.2


def test_the_refiner_trains_in_bfloat16_and_its_checkpoint_knows(tmp_path):
    images = [np.asarray(texture(seed).crop((0, 0, 64, 64))) for seed in range(2)]
    task = RefinementTask(images, lambda crops: np.zeros(crops.shape[:3], np.float32))
    config = RefinerConfig(side=32, bank=4, batch=2, iterations=2, checkpoint_every=1)
    checkpoint = tmp_path / "state"
    low = train_shared_refiner([task], config, Run(precision=BF16), checkpoint=checkpoint)
    assert {value.dtype for value in low.state_dict().values() if value.is_floating_point()} == {
        torch.float32
    }
    refined = low.refine(np.stack(images), np.zeros((2, 64, 64), np.float32), BF16)
    assert refined.dtype == np.float32
    assert np.isfinite(refined).all()
    with pytest.raises(ModelFileError, match="of another run"):
        train_shared_refiner([task], config, Run(), checkpoint=checkpoint)
