import threading

import numpy as np
import pytest
import torch
from pictures import texture
from pni_fast import PNI
from pni_fast.runtime.device import Device
from pni_fast.runtime.gpu_calls import GPU_BATCH, filled, on_gpu_thread
from pni_fast.runtime.run import Run
from pni_fast.runtime.threads import ordered_map

GPU = Device("cuda", 7)


def caller(_=None):
    return on_gpu_thread(GPU, threading.get_ident)


def test_one_thread_makes_all_calls_and_stays():
    callers = set(ordered_map(caller, range(20), 4)) | set(ordered_map(caller, range(20), 4)) | {caller()}
    assert len(callers) == 1
    assert threading.get_ident() not in callers
    assert on_gpu_thread(Device("cuda", 8), threading.get_ident) not in callers


def test_a_call_within_a_call_does_not_wait_for_itself():
    assert on_gpu_thread(GPU, lambda: (caller(), threading.get_ident())) == (caller(), caller())


def test_an_error_comes_out_where_it_was_called():
    with pytest.raises(ZeroDivisionError):
        on_gpu_thread(GPU, lambda: 1 / 0)
    assert caller() == caller()


@pytest.mark.parametrize(
    ("count", "size"), [(1, 1), (2, GPU_BATCH), (15, GPU_BATCH), (GPU_BATCH, GPU_BATCH), (20, 20)]
)
def test_batches_are_of_one_picture_or_filled_up(count, size):
    batch = torch.arange(count * 6).view(count, 2, 3)
    full = filled(batch)
    assert len(full) == size
    assert torch.equal(full[:count], batch)
    assert all(torch.equal(more, batch[-1]) for more in full[count:])


@pytest.mark.parametrize("count", [1, 3])
def test_networks_see_full_batches_and_give_what_they_do_on_a_cpu(monkeypatch, count):
    """The GPU is this CPU: extractor, neighborhood and refiner, all called from the one thread."""
    settings = {"num_threads": 2, "coreset_ratio": 0.1, "resize": 80, "crop": 64, "refinement": True}
    refiner = {"refiner.iterations": 1, "refiner.bank": 8, "refiner.side": 32}
    model = PNI(device="cpu", engine="torch", rule="average", neighborhood=True, **settings, **refiner)
    model.fit([texture(seed) for seed in range(3)])
    crops = np.stack([np.asarray(texture(seed, defect=True))[:64, :64] for seed in range(count)])
    expected = model.fitted.scorer(model.run).maps(crops, 1)

    monkeypatch.setattr(Device, "torch", property(lambda _: torch.device("cpu")))
    scorer = model.fitted.scorer(Run(GPU, threads=2)).scorer
    seen = []

    def watched(_, inputs):
        seen.append((len(inputs[0]), threading.get_ident()))

    likelihood = scorer.scorer
    network = model.refiner_
    for module in (likelihood.extract._extractor, likelihood.neighborhood.mlp.rest, network):
        module.register_forward_pre_hook(watched)
    found = scorer.maps(torch.from_numpy(crops), 1)
    size = 1 if count == 1 else GPU_BATCH
    positions = model.grid_[0] * model.grid_[1]
    assert seen == [(size, caller()), (size * positions, caller()), (size, caller())]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
