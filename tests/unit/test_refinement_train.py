"""Training: it learns, is a function of its inputs alone, and goes on after a stop."""

import functools
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pni_fast.errors import DataError, ModelFileError
from pni_fast.progress import silent
from pni_fast.refinement import (
    RefinementTask,
    RefinerConfig,
    refinement_loss,
    train_refiner,
    train_shared_refiner,
)
from pni_fast.refinement.examples import Bank, Example, augment
from pni_fast.refinement.train import learning_rate
from pni_fast.runtime.run import Run
from pni_fast.runtime.threads import thread_pool
from pni_fast.synthetic import KINDS

SMALL = RefinerConfig(
    levels=(0, 1),
    widths=(8, 8),
    side=32,
    bank=8,
    batch=4,
    iterations=6,
    checkpoint_every=2,
    learning_rate=3e-3,
)


def photographs(count=3, side=48):
    """Smooth surfaces: whatever is sharp on them is a defect."""
    y, x = np.mgrid[0:side, 0:side] / side
    waves = [np.stack((x, y, 0.5 * (x + y)), axis=2) * 60 + 90 + 3 * number for number in range(count)]
    return [wave.astype(np.uint8) for wave in waves]


def detector(images):
    """Distance to the mean surface, blurred into blocks of 8: what a coarse detector would see."""
    distance = np.abs(images.astype(np.float32) - np.mean(photographs(), axis=0)).max(axis=3) / 100
    count, height, width = distance.shape
    coarse = distance.reshape(count, height // 8, 8, width // 8, 8).mean(axis=(2, 4))
    return coarse.repeat(8, axis=1).repeat(8, axis=2).astype(np.float32)


def equal(first, second):
    states = first.state_dict(), second.state_dict()
    return all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@functools.cache
def trained(made=SMALL.bank):
    """A whole run, for reading only."""
    return train_refiner(photographs(), detector, config=replace(SMALL, bank=made))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The checkpoint at the end of the same run."""
    path = tmp_path_factory.mktemp("finished") / "run.safetensors"
    assert equal(trained(), train_refiner(photographs(), detector, config=SMALL, checkpoint=path))
    return path


def bank(config, pool):
    return Bank([RefinementTask(photographs(), detector)], config, 0, pool, silent)


def test_training_lowers_the_loss_far_below_that_of_no_defect_anywhere():
    config = replace(SMALL, iterations=40, rotation=0.0, colour=0.0, learning_rate=1e-2)
    network = train_refiner(photographs(), detector, config=config)
    with thread_pool(1) as pool:
        samples = [sample for iteration in range(2) for sample in bank(config, pool).batch(iteration)]
    images = np.stack([sample.image for sample in samples])
    maps = np.stack([sample.map for sample in samples])
    truth = torch.from_numpy(np.stack([sample.truth for sample in samples]))
    refined = torch.from_numpy(network.refine(images, maps))
    nothing = refinement_loss(torch.zeros_like(truth), truth).mean()
    assert refinement_loss(refined, truth).mean() < 0.8 * nothing
    assert refined[truth > 0.5].mean() > refined[truth == 0].mean() + 0.3
    assert not network.training


def test_the_result_does_not_depend_on_the_number_of_threads():
    before = torch.get_num_threads()
    one = train_refiner(photographs(), detector, config=SMALL, num_threads=1)
    assert torch.get_num_threads() == before
    assert equal(one, train_refiner(photographs(), detector, config=SMALL, num_threads=3))
    assert not equal(one, train_refiner(photographs(), detector, config=SMALL, seed=1))


def test_torchs_generator_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train_refiner(photographs(), detector, config=replace(SMALL, iterations=1))
    assert torch.equal(torch.rand(3), expected)


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("made", [8, 0], ids=["bank", "online"])
@pytest.mark.parametrize("stop", [1, 3, 4])
def test_a_stopped_run_goes_on_to_the_same_result(tmp_path, made, stop):
    config = replace(SMALL, bank=made)
    whole = trained(made)

    def stopping(stage, done, _):
        if stage == "refinement" and done == stop:
            raise StoppedError

    path = tmp_path / "run.safetensors"
    with pytest.raises(StoppedError):
        train_refiner(photographs(), detector, config=config, checkpoint=path, progress=stopping)
    assert path.exists() == (stop >= 2)
    begun = []
    again = train_refiner(
        photographs(),
        detector,
        config=config,
        checkpoint=path,
        progress=lambda stage, done, _: begun.append(done) if stage == "refinement" else None,
    )
    assert begun[0] == stop - stop % 2
    assert equal(whole, again)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.safetensors"]


def test_a_finished_run_is_read_back_without_the_detector(tmp_path, finished):
    path = Path(shutil.copy(finished, tmp_path))

    def never(_):
        raise AssertionError("nothing is left to compute")

    assert equal(trained(), train_refiner(photographs(), never, config=SMALL, checkpoint=path))


@pytest.mark.parametrize(
    ("images", "options"),
    [
        (photographs(), {"seed": 1}),
        (photographs()[::-1], {}),
        (photographs(), {"config": replace(SMALL, learning_rate=1e-3)}),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, finished, images, options):
    path = Path(shutil.copy(finished, tmp_path))
    with pytest.raises(ModelFileError, match="of another run"):
        train_refiner(images, detector, **{"config": SMALL, "checkpoint": path, **options})


@pytest.mark.parametrize("damage", ["foreign", "truncated"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, finished, damage):
    path = tmp_path / "run.safetensors"
    if damage == "foreign":
        from safetensors.torch import save_file

        save_file({"x": torch.zeros(1)}, path)
    else:
        path.write_bytes(finished.read_bytes()[:-10])
    with pytest.raises(ModelFileError, match=r"run\.safetensors"):
        train_refiner(photographs(), detector, config=SMALL, checkpoint=path)


def test_several_categories_train_one_refiner():
    tasks = [RefinementTask(photographs(), detector), RefinementTask(photographs(2), detector)]
    both = train_shared_refiner(tasks, SMALL, Run(threads=2))
    online = train_shared_refiner(tasks, replace(SMALL, bank=0, iterations=2), Run(threads=2))
    assert not equal(both, train_shared_refiner(tasks[:1], SMALL, Run(threads=2)))
    assert not equal(both, online)


def test_mixed_sizes_are_refused_with_the_place_and_both_sizes():
    images = [*photographs(2), photographs(1, 64)[0]]
    with pytest.raises(DataError, match=r"image 2 is 64×64 .* those before it are 48×48"):
        train_refiner(images, detector, config=SMALL)
    tasks = [RefinementTask(photographs(1), detector), RefinementTask(photographs(1, 64), detector)]
    with pytest.raises(DataError, match="one size"):
        train_shared_refiner(tasks, SMALL, Run(threads=2))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "at least one normal image"),
        ([photographs(1)[0].astype(float)], "must be uint8"),
        ([np.zeros((48, 48), np.uint8)], "must be uint8"),
    ],
)
def test_images_that_cannot_be_used_are_refused(images, message):
    with pytest.raises(DataError, match=message):
        train_refiner(images, detector, config=SMALL)


def test_maps_of_another_shape_or_not_finite_are_refused():
    with pytest.raises(ValueError, match=r"anomaly_map must return shape \(4, 48, 48\), got \(4, 24, 24\)"):
        train_refiner(photographs(), lambda images: detector(images)[:, ::2, ::2], config=SMALL)
    with pytest.raises(ValueError, match="finite"):
        train_refiner(photographs(), lambda images: detector(images) * np.nan, config=SMALL)


def test_an_epoch_of_the_bank_shows_every_sample_once():
    with thread_pool(1) as pool:
        source = bank(SMALL, pool)
    shown = [id(sample.image) for iteration in range(2) for sample in source.batch(iteration)]
    assert len(set(shown)) == SMALL.bank == 2 * len(KINDS)
    assert [id(s.image) for s in source.batch(0)] == shown[:4]


def test_augmentation_moves_image_map_and_truth_together():
    rng = np.random.default_rng(0)
    truth = np.zeros((40, 40), dtype=np.float32)
    truth[5:12, 8:20] = 1
    image = (200 * truth[..., None] + np.array([0, 20, 40])).clip(0, 255).astype(np.uint8)
    config = replace(SMALL, colour=0.0, rotation=15.0)
    moved = 0
    for _ in range(10):
        pixels, maps, target = augment(Example(image, truth.copy(), truth), config, rng)
        assert pixels.shape == (3, 40, 40)
        torch.testing.assert_close(maps, target)
        torch.testing.assert_close(pixels[0], 200 / 255 * target, atol=1e-5, rtol=0)
        moved += not torch.equal(target, torch.from_numpy(truth))
    assert moved == 10


def test_colour_changes_the_image_alone():
    truth = np.zeros((16, 16), dtype=np.float32)
    image = np.full((16, 16, 3), (90, 120, 150), dtype=np.uint8)
    config = replace(SMALL, colour=0.2, rotation=0.0)
    pixels, maps, target = augment(Example(image, truth + 0.5, truth), config, np.random.default_rng(0))
    assert not torch.equal(pixels, torch.from_numpy(image).permute(2, 0, 1) / 255)
    assert torch.equal(maps, torch.full((16, 16), 0.5))
    assert torch.equal(target, torch.zeros(16, 16))


def test_learning_rates():
    annealed = [learning_rate(replace(SMALL, iterations=100), step) for step in range(100)]
    assert max(annealed) == pytest.approx(SMALL.learning_rate)
    assert annealed[0] < annealed[5] < annealed[9] > annealed[50] > annealed[99] > 0
    assert learning_rate(replace(SMALL, anneal=False), 5) == SMALL.learning_rate


def test_images_without_a_defect_are_part_of_the_bank():
    config = replace(SMALL, sound=0.5)
    with thread_pool(1) as pool:
        source = bank(config, pool)
    samples = [sample for iteration in range(3) for sample in source.batch(iteration)]
    without = [sample for sample in samples if not sample.truth.any()]
    assert (len(samples), len(without)) == (12, 4)
    pooled = torch.nn.functional.adaptive_avg_pool2d
    expected = pooled(torch.from_numpy(detector(np.stack(photographs()))), (32, 32)).numpy()
    assert all((sample.map == expected).all(axis=(1, 2)).any() for sample in without)
    # Beside every defect lies the map of the very image it was put into.
    assert all((sample.sound == expected).all(axis=(1, 2)).any() for sample in samples)
    assert any((sample.sound != sample.map).any() for sample in samples)


def test_a_defect_is_faded_in_the_map_alone():
    truth = np.zeros((16, 16), dtype=np.float32)
    truth[4:8, 4:8] = 1
    image = np.full((16, 16, 3), 100, dtype=np.uint8)
    background = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    example = Example(image, background + 2 * truth, truth, background)
    config = replace(SMALL, colour=0.0, rotation=0.0, faintest=0.3)
    left = []
    for seed in range(20):
        pixels, maps, target = augment(example, config, np.random.default_rng(seed))
        mirrored = not torch.equal(target, torch.from_numpy(truth))
        maps = maps.flip(1) if mirrored else maps
        added = (maps.numpy() - background) / 2
        np.testing.assert_allclose(added[truth == 0], 0, atol=1e-6)
        np.testing.assert_allclose(added[truth == 1], added[4, 4], atol=1e-6)
        assert torch.equal(pixels, torch.full((3, 16, 16), 100 / 255))
        assert target.sum() == truth.sum()
        left.append(float(added[4, 4]))
    assert 0.3 <= min(left) < 0.45
    assert 0.85 < max(left) <= 1.0


def test_no_more_synthetic_images_are_made_than_training_sees():
    made = []

    def counting(images):
        made.extend(images)
        return detector(images)

    train_refiner(photographs(), counting, config=replace(SMALL, bank=100, iterations=2))
    assert len(made) == 2 * SMALL.batch
