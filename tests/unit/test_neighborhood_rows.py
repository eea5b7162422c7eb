from dataclasses import replace

import numpy as np
import pytest
import torch
from pni_fast.distribution.neighborhood.network import NeighborhoodMLP
from pni_fast.distribution.neighborhood.rows import (
    GPU_TARGET,
    WORKSPACE,
    DeviceRows,
    HostRows,
    neighborhood_rows,
    room_beside_training,
    training_bytes,
)
from pni_fast.distribution.neighborhood.training import train_neighborhood
from pni_fast.presets import MLPConfig
from pni_fast.runtime import feature_room
from pni_fast.runtime.run import Run

CPU = torch.device("cpu")
SMALL = MLPConfig(layers=3, width=16, epochs=2, step=1, batch=64, validation=0.2)


@pytest.fixture
def problem():
    random = np.random.default_rng(0)
    features = random.standard_normal((8, 7, 5, 4)).astype(np.float32)
    return features, random.integers(0, 6, (8, 7, 5))


def rows_of(features, *, reduce=0, dtype=torch.float32, room=None, threads=2):
    torch.manual_seed(0)
    model = NeighborhoodMLP(4, 6, 3, replace(SMALL, reduce=reduce))
    model.set_projection(torch.from_numpy(features.reshape(-1, 4)))
    return neighborhood_rows(model, features, CPU, dtype, batch=64, threads=threads, room=room)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("reduce", [0, 3])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_batches_from_the_host_are_those_of_the_device(problem, dtype, reduce, steps):
    features, _ = problem
    here = rows_of(features, reduce=reduce, dtype=dtype)
    there = rows_of(features, reduce=reduce, dtype=dtype, room=0)
    assert isinstance(here, DeviceRows)
    assert isinstance(there, HostRows)
    order = torch.from_numpy(np.random.default_rng(1).permutation(280)[: steps * 50]).view(steps, 50)
    seen = 0
    for mine, other in zip(here.batches(order), there.batches(order), strict=True):
        assert torch.equal(mine.positions, other.positions)
        assert torch.equal(mine.positions, order[seen])
        expected = here.gather(mine.positions)
        assert expected.dtype == dtype
        assert torch.equal(other.neighbors, expected)
        assert torch.equal(there.gather(mine.positions), expected)
        seen += 1
    assert seen == steps


def test_parts_of_a_batch_are_the_batch(problem):
    rows = rows_of(problem[0], room=0)
    (batch,) = rows.batches(torch.arange(50)[None])
    parts = batch.parts(4)
    assert len(parts) == 4
    assert torch.equal(torch.cat([part.positions for part in parts]), batch.positions)
    assert torch.equal(torch.cat([part.neighbors for part in parts]), batch.neighbors)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shards", [1, 2])
def test_the_model_is_the_same_wherever_its_features_lie(problem, shards, threads):
    features, labels = problem
    config = replace(SMALL, batch=128, shards=shards, reduce=3)
    run = Run(threads=threads)
    here = train_neighborhood(features, labels, 6, 3, config, run, seed=0).state_dict()
    there = train_neighborhood(features, labels, 6, 3, config, run, seed=0, room=0).state_dict()
    assert all(torch.equal(value, there[name]) for name, value in here.items())


def test_features_the_mlp_sees_as_they_are_are_not_copied(problem):
    features, _ = problem
    rows = rows_of(features).rows
    assert rows.data_ptr() == features.ctypes.data
    assert rows_of(features, reduce=3).rows.data_ptr() != features.ctypes.data


def test_many_of_them_are_kept_on_disk(problem, monkeypatch):
    """Half precision rows beyond what memory is given for them are a mapped file, with the same content."""
    features, _ = problem
    held = rows_of(features, dtype=torch.bfloat16, room=0).rows
    asked = []
    plain = feature_room.tempfile.TemporaryFile
    monkeypatch.setattr(feature_room, "IN_MEMORY", 2 * held.numel())
    monkeypatch.setattr(
        feature_room.tempfile, "TemporaryFile", lambda **given: asked.append(given) or plain(**given)
    )
    assert torch.equal(rows_of(features, dtype=torch.bfloat16, room=0).rows, held)
    assert not asked, "2 bytes a number are below the limit"
    monkeypatch.setattr(feature_room, "IN_MEMORY", 2 * held.numel() - 1)
    assert torch.equal(rows_of(features, dtype=torch.bfloat16, room=0).rows, held)
    assert len(asked) == 1


def test_room_is_what_training_leaves_of_the_free_memory_and_of_the_target():
    gb = 10**9
    assert room_beside_training(free=80 * gb, used=1 * gb, needed=5 * gb) == GPU_TARGET - 6 * gb - WORKSPACE
    assert room_beside_training(free=10 * gb, used=1 * gb, needed=5 * gb) == 5 * gb - WORKSPACE
    assert room_beside_training(free=4 * gb, used=0, needed=5 * gb) == 0


def test_the_papers_training_leaves_room_for_thousands_of_images():
    with torch.device("meta"):
        model = NeighborhoodMLP(1024, 2048, 9, MLPConfig())
    needed = training_bytes(model, 2048)
    assert 4e9 < needed < 6e9
    weights = 4 * sum(parameter.numel() for parameter in model.parameters())
    image = 3600 * 1024 * 2
    assert room_beside_training(80 * 10**9, weights, needed) > 1_500 * image
