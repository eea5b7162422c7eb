"""The depth of the training pictures is decided at the fit, kept in the model, and used for every picture."""

import numpy as np
import pytest
from pictures import texture
from pni_fast import PNI
from pni_fast.cli.summary import plain_warnings

TINY = {"resize": 80, "crop": 64, "coreset_ratio": 0.1, "neighborhood": False, "device": "cpu"}


def grey(seed, **options):
    return np.asarray(texture(seed, **options).convert("L"))


@pytest.fixture(scope="module")
def pictures():
    return [grey(seed) for seed in range(3)], grey(20, defect=True)


@pytest.mark.filterwarnings("error")
def test_twelve_bits_in_sixteen_give_the_scores_of_their_pictures(pictures, tmp_path):
    good, bad = pictures
    plain = PNI(**TINY).fit(good)
    assert (plain.config.depth, plain.geometry.depth) == (16, 16)
    wide = PNI(**TINY).fit([one.astype(np.uint16) << 4 for one in good])
    assert (wide.config.depth, wide.geometry.depth) == (12, 12)
    wide.save(tmp_path / "model.safetensors")
    loaded = PNI.load(tmp_path / "model.safetensors", device="cpu")
    expected = plain.score_samples([bad])
    for model in (wide, loaded):
        assert model.score_samples([bad.astype(np.uint16) << 4]) == expected
    assert wide.fit([one.astype(np.uint16) for one in good]).config.depth == 8, "each fit decides anew"


def test_black_pictures_are_told_at_the_fit_and_when_they_are_scored(pictures):
    good, bad = pictures
    with pytest.warns(
        UserWarning, match=r"highest value of all 3 pictures: 1\d of 255.* 16 of the setting depth"
    ):
        model = PNI(**TINY, depth=16).fit([one.astype(np.uint16) << 4 for one in good])
    with pytest.warns(UserWarning, match="highest value of the picture: 15 of 255"):
        model.score_samples([np.full_like(bad, 255).astype(np.uint16) << 4])


def test_the_command_shows_a_warning_as_one_line(capsys):
    import warnings

    with plain_warnings():
        warnings.simplefilter("default")
        warnings.warn("a.png: dark\n  picture", stacklevel=1)
    assert capsys.readouterr().err == "Warning: a.png: dark picture\n"
