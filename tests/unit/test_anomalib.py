"""The drop-in sampler by itself, and inside the real Patchcore where anomalib is installed."""

from __future__ import annotations

import sys
import types
import warnings

import numpy as np
import pytest
import torch
from pni_fast import anomalib as drop_in
from pni_fast import greedy_coreset

EMBEDDING = torch.from_numpy(np.random.default_rng(0).normal(size=(300, 12)).astype(np.float32))


def start_of(seed: int) -> int:
    torch.manual_seed(seed)
    return int(torch.randint(high=300, size=(1,)))


def test_it_picks_what_the_kernel_picks_from_a_seeded_start() -> None:
    start = start_of(3)
    torch.manual_seed(3)
    picked = drop_in.KCenterGreedy(embedding=EMBEDDING, sampling_ratio=0.1).sample_coreset()
    expected = greedy_coreset(EMBEDDING, 30, start=start).indices
    assert torch.equal(picked, EMBEDDING[expected])


@pytest.mark.parametrize("ratio", [0.0, 0.001, 1.01, -1])
def test_a_ratio_that_picks_nothing_or_too_much_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match=r"sampling_ratio must pick from 1 to 300 of 300 rows, got"):
        drop_in.KCenterGreedy(EMBEDDING, ratio)


def test_install_replaces_the_name_and_uninstall_restores_it(monkeypatch: pytest.MonkeyPatch) -> None:
    original = object()
    module = types.ModuleType("patchcore_stand_in")
    module.KCenterGreedy = original  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(drop_in, "_MODULE", module.__name__)
    drop_in.install()
    drop_in.install()
    assert module.KCenterGreedy is drop_in.KCenterGreedy  # type: ignore[attr-defined]
    drop_in.uninstall()
    drop_in.uninstall()
    assert module.KCenterGreedy is original  # type: ignore[attr-defined]
    del module.KCenterGreedy  # type: ignore[attr-defined]
    with pytest.raises(ImportError, match="has no KCenterGreedy"):
        drop_in.install()


def test_the_real_patchcore_selects_with_it() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("anomalib", reason="anomalib is not installed (it is in the bench extra)")
        from anomalib.models import Patchcore

        drop_in.install()
        try:
            model = Patchcore(
                backbone="resnet18", layers=("layer2",), pre_trained=False, coreset_sampling_ratio=0.1,
                pre_processor=False, post_processor=False, evaluator=False, visualizer=False,
            )  # fmt: skip
            model.model.embedding_store.append(EMBEDDING)
            start = start_of(5)
            torch.manual_seed(5)
            model.fit()
        finally:
            drop_in.uninstall()
    expected = greedy_coreset(EMBEDDING, 30, start=start).indices
    assert torch.equal(model.model.memory_bank, EMBEDDING[expected])
