"""What is said of a model's size before the fit is what its file takes, and little more."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import pytest
from pni_fast import PNI
from pni_fast.config import Config
from pni_fast.model.size import GRAPH, checkpoint_bytes, most_model_bytes
from pni_fast.refinement import RefinerConfig, train_refiner

FILES = Path(__file__).parent.parent / "files"


def assert_close(most, file):
    size = file.stat().st_size
    assert size <= most <= 1.02 * size + 100_000, (most, size)


@pytest.mark.parametrize("name", ["format1-both", "format1-refined", "format2"])
def test_a_models_size(name):
    file = FILES / f"{name}.safetensors"
    model = PNI.load(file, device="cpu")
    graphs = GRAPH * (1 + model.config.refinement) * len(model.members_)  # these files are older
    assert_close(most_model_bytes(model.config, model.n_images_) - graphs, file)


def test_a_models_size_with_an_mlp(model_file):
    model = PNI.load(model_file, device="cpu")
    held = model.fitted.distribution
    # Good images may speak for another condition than the largest, or for none.
    spared = 0 if held.position is not None else 4 * prod(model.grid_) * held.n_classes
    spared += prod(model.config.geometry.shape)  # a region of interest, which this model has not
    assert_close(most_model_bytes(model.config, model.n_images_) - spared, model_file)


def test_a_checkpoints_size(tmp_path):
    config = RefinerConfig(
        levels=(0, 1), widths=(8, 8), side=32, bank=4, batch=2, iterations=1, checkpoint_every=1
    )
    file = tmp_path / "run.safetensors"
    pictures = [np.full((48, 48, 3), 100, np.uint8)] * 2
    train_refiner(pictures, lambda images: images[..., 0] / np.float32(255), config=config, checkpoint=file)
    assert_close(checkpoint_bytes(Config(refiner=config)), file)
