"""Images that are handed over as objects: those without pixels, those that several threads read, tensors."""

import io
import sys
import threading
import time

import numpy as np
import pytest
import torch
from pictures import texture
from PIL import Image, PngImagePlugin
from pni_fast import PNI, DataError
from pni_fast.data import Source
from pni_fast.data.depth import highest_value
from pni_fast.data.digests import digest
from pni_fast.data.sizes import known_size
from pni_fast.data.sources import prediction_sources

TINY = {
    **{"size": 64, "coreset_ratio": 0.1, "distribution_size": 12, "device": "cpu"},
    **{"position_gate": False, "context": False, "num_threads": 8},
}
EMPTY = {
    "new": lambda: Image.new("RGB", (0, 0)),
    "grey": lambda: Image.new("L", (0, 7)),
    "cropped": lambda: Image.new("RGB", (50, 50)).crop((5, 5, 5, 20)),
    "array": lambda: np.zeros((0, 0, 3), np.uint8),
    "flat": lambda: np.zeros(7, np.uint8),
}


@pytest.fixture(scope="module")
def good():
    return [texture(seed) for seed in range(4)]


@pytest.fixture(scope="module")
def model(good):
    return PNI(**TINY).fit(good)


@pytest.mark.parametrize("kind", EMPTY)
def test_an_image_without_pixels_is_named_or_left_out(model, good, kind):
    empty = EMPTY[kind]()
    with pytest.raises(DataError, match=r"image 0: an (image|array) must "):
        PNI(**{**TINY, "size": "auto"}).fit([empty])
    with pytest.raises(DataError, match=r"image 0: an (image|array) must "):
        model.score_samples([empty])
    assert [one.name for one in model.predict([good[0], empty, good[1]], skip_broken=True)] == ["0", "2"]
    assert [name for name, _ in model.skipped_] == ["1"]
    for settings in (TINY, {**TINY, "size": "auto"}):
        fitted = PNI(**settings).fit([*good[:2], empty], skip_broken=True)
        assert fitted.n_images_ == 2
        assert [name for name, _ in fitted.skipped_] == ["2"]


def test_an_image_without_pixels_from_a_generator(model, good):
    found = model.predict((image for image in [good[0], EMPTY["new"]()]), skip_broken=True)
    assert [one.name for one in found] == ["0"]


class Slow(io.BytesIO):
    """Bytes whose readers get in each other's way."""

    def read(self, size=-1):
        time.sleep(0.0005)
        return super().read(size)


def lazily_opened():
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    file, info = io.BytesIO(), PngImagePlugin.PngInfo()
    Image.fromarray(noise).save(file, "PNG", pnginfo=info)
    return Image.open(Slow(file.getvalue()))


@pytest.mark.parametrize("read", [lambda source: source.read(), digest, known_size, highest_value])
def test_one_object_is_decoded_by_one_thread_at_a_time(read):
    """Every way to read it, from many threads at once; Pillow itself lets them share its one file."""
    image = lazily_opened()
    start, broken = threading.Barrier(8), []

    def reading(number):
        source = Source(str(number), image)
        start.wait()
        try:
            read(source)
            source.read()
        except Exception as error:
            broken.append(error)

    threads = [threading.Thread(target=reading, args=(number,)) for number in range(8)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert broken == []


def test_the_same_object_many_times_in_a_list(model):
    results = list(model.predict([lazily_opened()] * 8, skip_broken=True))
    assert len({result.score for result in results}) == 1
    assert (len(results), model.skipped_) == (8, [])


def test_tensors_of_types_that_numpy_has_not(model, good):
    halves = torch.from_numpy(np.asarray(good[0]) / np.float32(255)).to(torch.bfloat16)
    expected = model.score_samples([halves.float().numpy()])
    assert model.score_samples([halves]) == expected
    assert model.score_samples(halves[None]) == expected
    with pytest.raises(DataError, match="an array must be uint8"):
        model.score_samples([torch.zeros(8, 8, dtype=torch.complex64)])


def test_masked_arrays_are_refused(model, good):
    pixels = np.ma.masked_array(np.asarray(good[0]), mask=False)
    assert model.score_samples([pixels]) == model.score_samples(good[:1])
    pixels[3, 5] = np.ma.masked
    with pytest.raises(
        DataError, match="image 0: an array must have all of its values, got 3 that are masked"
    ):
        model.score_samples([pixels])
    assert [one.name for one in model.predict([pixels, good[0]], skip_broken=True)] == ["1"]
    stack = np.ma.stack([np.ma.asarray(np.asarray(good[0])), pixels])
    assert [one.name for one in model.predict(stack, skip_broken=True)] == ["0"]


@pytest.mark.parametrize("images", [None, 3, 2.5])
def test_what_holds_no_images_is_named(model, images):
    for take in (model.score_samples, PNI(**TINY).fit, lambda given: list(prediction_sources(given))):
        with pytest.raises(DataError, match=rf"images must be a folder, paths, .* got \w+ {images}"):
            take(images)
