import threading
import time

import numpy as np
import pytest
from pictures import texture
from pni_fast import PNI
from pni_fast.config import Geometry
from pni_fast.data import Source
from pni_fast.errors import DataError
from pni_fast.runtime.device import Device
from pni_fast.runtime.gpu_calls import GPU_BATCH
from pni_fast.runtime.run import Run
from pni_fast.scoring.image_maps import shares, stream_maps

SETTINGS = {"device": "cpu", "num_threads": 2, "coreset_ratio": 0.1, "resize": 80, "crop": 64}


@pytest.fixture(scope="module")
def model():
    return PNI(rule="average", **SETTINGS).fit([texture(seed) for seed in range(3)])


def mapped(scorer, sources, batched, threads=3, **more):
    run = Run(threads=threads)
    found = stream_maps(scorer, sources, Geometry(80, 64), run, batched=batched, **more)
    return [(item.source.name, item.result) for item in found]


@pytest.mark.parametrize("threads", [1, 3])
def test_the_batches_of_a_gpu_give_the_maps_of_single_images(model, threads):
    """The path of a GPU, here on the CPU: a whole batch and a small one."""
    sources = [Source(str(seed), texture(seed)) for seed in range(GPU_BATCH + 2)]
    scorer = model.fitted.scorer(Run())
    single, batched = (mapped(scorer, sources, each, threads) for each in (False, True))
    assert [name for name, _ in batched] == [name for name, _ in single] == [s.name for s in sources]
    for (_, one), (_, other) in zip(single, batched, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4)


def test_a_broken_image_stops_the_batches_or_is_left_out(model, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no")
    broken = Source("broken.png", tmp_path / "broken.png")
    sources = [Source("0", texture(0)), broken, Source("2", texture(2))]
    scorer = model.fitted.scorer(Run())
    with pytest.raises(DataError, match=r"broken\.png"):
        mapped(scorer, sources, True)
    told = []
    found = mapped(scorer, sources, True, on_broken=lambda name, _: told.append(name))
    assert ([name for name, _ in found], told) == (["0", "2"], ["broken.png"])
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pni-fast")]


def test_the_next_batch_is_in_the_networks_while_one_is_searched():
    """A search that waits for the networks to have begun another batch would never end without overlap."""
    begun = threading.Semaphore(0)

    class Waiting:
        def maps(self, crops, _threads, for_each):
            begun.release()
            return list(for_each(self.search, range(len(crops))))

        def search(self, index):
            if index == 0 and not first.locked():
                first.acquire()
                assert begun.acquire(timeout=20)
                assert begun.acquire(timeout=20), "no second batch was begun"
            return np.zeros((64, 64), np.float32)

    first = threading.Lock()
    sources = [Source(str(seed), texture(seed)) for seed in range(2 * GPU_BATCH)]
    assert len(mapped(Waiting(), sources, True)) == len(sources)


@pytest.mark.parametrize("threads", [1, 2, 15, 16, 24, 40, 64, 96])
def test_the_images_in_work_share_the_cores(threads):
    images, each = shares(threads)
    assert 0.8 * threads <= images * each <= threads
    at_work, most, lock = 0, 0, threading.Lock()

    class Counting:
        def maps(self, crops, threads, for_each):
            return list(for_each(lambda _: self.search(threads), range(len(crops))))

        def search(self, threads):
            nonlocal at_work, most
            with lock:
                at_work += threads
                most = max(most, at_work)
            time.sleep(0.001)
            with lock:
                at_work -= threads
            return np.zeros((64, 64), np.float32)

    sources = [Source(str(seed), np.zeros((64, 64), np.uint8)) for seed in range(3 * GPU_BATCH)]
    mapped(Counting(), sources, True, threads)
    assert 0 < most <= threads


@pytest.mark.parametrize("settings", [{"rule": "both", "neighborhood": True}, {"rule": "blend"}])
def test_tensors_on_a_gpu_give_the_maps_of_arrays(monkeypatch, settings):
    """The whole way of a batch on a GPU, in tensors; the GPU is this CPU, which has no pinned memory."""
    import torch

    model = PNI(**SETTINGS, **settings).fit([texture(seed) for seed in range(3)])
    sources = [Source(str(seed), texture(seed, defect=seed > 1)) for seed in range(4)]
    expected = mapped(model.fitted.scorer(Run()), sources, False)
    empty = torch.empty

    def unpinned(*size, **how):
        how.pop("pin_memory", None)
        return empty(*size, **how)

    monkeypatch.setattr(torch, "empty", unpinned)
    monkeypatch.setattr(Device, "torch", property(lambda _: torch.device("cpu")))
    run = Run(Device("cuda"), threads=3)
    scorer, crops = model.fitted.scorer(run), []
    found = stream_maps(scorer, sources, Geometry(80, 64), run)
    extract = scorer.scorer.extract

    def watched(batch):
        crops.append(batch)
        return extract(batch)

    scorer.scorer.extract = watched
    for item, (name, one) in zip(found, expected, strict=True):
        assert item.source.name == name
        np.testing.assert_allclose(item.result, one, rtol=1e-4)
    assert all(isinstance(batch, torch.Tensor) for batch in crops)
    assert len(crops) == 1


@pytest.mark.parametrize(
    ("count", "ahead", "threads", "expected"),
    [(1, True, 4, 4), (2, True, 4, 2), (3, True, 4, 1), (9, True, 4, 1), (9, False, 4, 4), (1, True, 1, 1)],
)
def test_images_that_are_fewer_than_the_threads_share_them(count, ahead, threads, expected):
    seen = []

    class Counting:
        def maps(self, crops, threads, _for_each=map):
            seen.append(threads)
            return [np.zeros(crop.shape[:2], dtype=np.float32) for crop in crops]

    sources = [Source(str(seed), texture(seed)) for seed in range(count)]
    found = mapped(Counting(), sources, False, threads, ahead=ahead)
    assert (len(found), set(seen)) == (count, {expected})
    # How many an iterator will give nobody knows.
    seen.clear()
    mapped(Counting(), iter(sources), False, threads)
    assert set(seen) == {1}
