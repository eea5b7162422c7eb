"""Features are held once: in memory, or in a temporary file beyond a limit."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from pni_fast.distribution.fit import fit_distribution
from pni_fast.distribution.neighborhood import training as neighborhood_training
from pni_fast.presets import preset
from pni_fast.runtime import feature_room
from pni_fast.runtime.feature_room import in_one_piece
from pni_fast.runtime.run import Run


@pytest.fixture
def features():
    return np.random.default_rng(0).random((16, 20, 20, 256), dtype=np.float32)


def test_features_in_one_piece_are_left_where_they_are(features):
    assert in_one_piece(features) is features
    assert np.shares_memory(in_one_piece(features[3:7]), features)


@pytest.mark.parametrize("on_disk", [False, True])
def test_others_are_copied_once(features, on_disk, monkeypatch):
    chosen = features[1::2]
    monkeypatch.setattr(feature_room, "IN_MEMORY", chosen.nbytes - on_disk)
    copy = in_one_piece(chosen)
    assert copy.flags.c_contiguous
    assert isinstance(copy, np.memmap) == on_disk
    np.testing.assert_array_equal(copy, chosen)


def test_a_fit_on_every_other_image_copies_their_features_once(features, monkeypatch):
    """Three copies were what took most of the memory of a fit with refinement."""
    monkeypatch.setattr(neighborhood_training, "SAMPLE", 100)
    small = preset("paper")
    mlp = replace(small.mlp, layers=2, width=8, reduce=8, epochs=1, positions=64)
    config = replace(small, mlp=mlp, distribution_size=16, coreset_ratio=0.01)

    def fitted(chosen):
        return fit_distribution(chosen, config, Run(), lambda scores: scores)

    apart = features[::2]
    expected = fitted(np.ascontiguousarray(apart))  # and what is imported on the way
    tracemalloc.start()
    found = fitted(apart)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(found.coreset, expected.coreset)
    assert apart.nbytes < peak < 2 * apart.nbytes
