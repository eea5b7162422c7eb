"""`pni-fast fit --store`: the same model from features that are there, and one line where they are others."""

from __future__ import annotations

import re

import numpy as np
import pytest
from pni_fast import PNI
from pni_fast.errors import PniError
from pni_fast.model import fit as fitting

PLAIN = ("--device", "cpu", "--no-neighborhood", "--threads", 2)


@pytest.fixture(scope="module")
def store(shared_category, tmp_path_factory):
    """Return the features of the shared category, of the presets' size."""
    folder = tmp_path_factory.mktemp("features") / "store"
    PNI(device="cpu", num_threads=2, neighborhood=False).fit(shared_category, store=folder)
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_model_from_a_store_is_the_one_without(invoke, store, shared_category, model_file, tmp_path):
    before, output = contents(store), tmp_path / "model.safetensors"
    result = invoke("fit", shared_category, "-o", output, *PLAIN, "--store", store)
    assert result.exit_code == 0, result.stderr
    assert f"features: those of all 4 images are in {store}, none is extracted\n" in result.stderr
    assert "features: 4 to do" not in result.stderr
    assert output.read_bytes() == model_file.read_bytes()
    assert contents(store) == before


def test_a_store_of_other_settings_is_one_line(refused, store, shared_category, tmp_path, entries):
    before = entries(tmp_path), contents(store)
    command = ("fit", shared_category, "-o", tmp_path / "model.safetensors", *PLAIN, "-q")
    line = refused(*command, "--store", store, "--set", "feature_dtype=float16")
    assert line == (
        f"{store}: holds features made with feature_dtype float32, this fit has float16; "
        "give another folder, or remove this one to make them anew"
    )
    line = refused(*command, "--store", shared_category)
    assert line.startswith(f"{shared_category}: must be a folder of features or an empty one, got one with")
    assert (entries(tmp_path), contents(store)) == before


def test_a_fit_without_a_store_says_how_large_its_features_are(invoke, shared_category, tmp_path):
    output = tmp_path / "model.safetensors"
    command = ("fit", shared_category, "-o", output, *PLAIN, "--set", "feature_dtype=float16")
    result = invoke(*command)
    assert result.exit_code == 0, result.stderr
    assert re.search(r"^features: \d MB in memory$", result.stderr, re.MULTILINE)
    model = PNI.load(output, device="cpu")
    assert model.config.feature_dtype == "float16"
    coreset = model.coreset_
    np.testing.assert_array_equal(coreset, coreset.astype(np.float16))


def test_a_mask_leaves_the_store_as_it_is(store, shared_category):
    before, mask = contents(store), np.zeros((96, 96), dtype=bool)
    mask[20:70, 30:80] = True
    told = []
    model = PNI(device="cpu", num_threads=2, neighborhood=False)
    model.fit(shared_category, store=store, roi=mask, tell=told.append)
    assert contents(store) == before
    plain = PNI(device="cpu", num_threads=2, neighborhood=False).fit(shared_category, roi=mask)
    np.testing.assert_array_equal(model.coreset_, plain.coreset_)
    assert told == [f"features: those of all 4 images are in {store}, none is extracted"]


def test_members_of_an_ensemble_have_a_folder_each(tmp_path):
    config = PNI(backbone=["resnet18", "resnet34"]).config
    folders = [tmp_path / "member-1", tmp_path / "member-2"]
    assert fitting.member_stores(config, tmp_path) == folders
    folders[0].mkdir()
    assert fitting.member_stores(config, tmp_path) == folders
    (tmp_path / "member-1").rename(tmp_path / "holiday")
    with pytest.raises(PniError, match="got one with 'holiday' in it"):
        fitting.member_stores(config, tmp_path)
