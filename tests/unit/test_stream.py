import threading
import time

import numpy as np
import pytest
import torch
from pictures import texture
from pni_fast.config import Geometry
from pni_fast.data import Source
from pni_fast.data.cropping import crop_image, crop_mask
from pni_fast.errors import DataError, PniError
from pni_fast.runtime.run import Run
from pni_fast.runtime.stream import in_batches, stream
from pni_fast.runtime.threads import one_torch_thread, ordered_map, resolve_threads, thread_pool

GEOMETRY = Geometry(80, 64)


def mean_of_each(crops):
    return [float(crop.mean()) for crop in crops]


def test_batches_give_what_single_images_give():
    """The path of a GPU, here on the CPU."""
    sources = [Source(str(seed), texture(seed)) for seed in range(7)]
    device = torch.device("cpu")
    single = list(stream(sources, GEOMETRY, mean_of_each, Run(threads=2)))
    pairs = [(item.source, item.image) for item in single]
    batched = list(in_batches(pairs, mean_of_each, device, size=3))
    assert [item.source.name for item in batched] == [str(seed) for seed in range(7)]
    assert [item.result for item in batched] == [item.result for item in single]
    assert list(in_batches([], mean_of_each, device)) == []


def test_a_broken_image_comes_out_at_its_turn(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no")
    sources = [
        Source("0", texture(0)),
        Source("broken.png", tmp_path / "broken.png"),
        Source("2", texture(2)),
    ]
    results = stream(sources, GEOMETRY, mean_of_each, Run(threads=2))
    assert next(results).source.name == "0"
    with pytest.raises(DataError, match=r"broken\.png"):
        next(results)


@pytest.mark.parametrize("threads", [1, 3])
def test_ordered_map_keeps_order_and_bounds_what_is_pulled(threads):
    pulled = 0

    def items():
        nonlocal pulled
        for index in range(40):
            pulled += 1
            yield index

    def slow_at_first(index):
        time.sleep(0.02 if index % threads == 0 else 0)
        return index * index

    for count, result in enumerate(ordered_map(slow_at_first, items(), threads)):
        assert result == count * count
        assert pulled <= count + 1 + 2 * threads
    assert pulled == 40


def test_an_error_stops_what_is_queued():
    started = []

    def fail_at_three(index):
        started.append(index)
        if index == 3:
            raise ValueError("three")
        return index

    results = ordered_map(fail_at_three, range(1000), 2)
    with pytest.raises(ValueError, match="three"):
        list(results)
    assert len(started) < 20


def test_pool_threads_compute_alone_and_the_callers_setting_stays():
    before = torch.get_num_threads()
    with thread_pool(2) as pool:
        assert set(pool.map(lambda _: torch.get_num_threads(), range(8))) == {1}
    with one_torch_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pni-fast")]


def test_geometry_cuts_image_and_mask_alike():
    mask = np.zeros((96, 96), bool)
    mask[36:60, 36:60] = True
    picture = np.where(mask[..., None], 255, 0).astype(np.uint8).repeat(3, axis=2)
    from PIL import Image

    crop, cut = crop_image(Image.fromarray(picture), GEOMETRY), crop_mask(mask, GEOMETRY)
    assert crop.shape == (64, 64, 3)
    assert cut.shape == (64, 64)
    agreement = (crop[..., 0] > 127) == cut
    assert agreement.mean() > 0.98


@pytest.mark.parametrize("batched", [False, True])
def test_without_reading_ahead_a_result_is_out_before_the_next_is_asked_for(batched):
    taken = []

    def waiting():
        for index in range(5):
            assert len(taken) == index, "asked for before the last result was taken"
            yield Source(str(index), texture(index))

    for item in stream(waiting(), GEOMETRY, mean_of_each, Run(threads=3), batched=batched, ahead=False):
        taken.append(item.source.name)
    assert taken == list("01234")


@pytest.mark.parametrize("count", [0, -1, 1.5, "2", True])
def test_what_is_no_number_of_threads_is_refused_in_one_line(count):
    with pytest.raises(PniError, match="num_threads must be an int"):
        resolve_threads(count)


def test_a_setting_that_is_no_number_is_refused_in_one_line(monkeypatch):
    monkeypatch.setenv("PNI_FAST_NUM_THREADS", "many")
    with pytest.raises(PniError, match="PNI_FAST_NUM_THREADS must be"):
        resolve_threads(None)
