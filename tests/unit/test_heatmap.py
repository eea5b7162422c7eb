"""A heat map over its photograph keeps normal pixels untouched."""

import numpy as np
import pytest
from pni_fast.report import overlay
from pni_fast.report.heatmap import CONTOUR

SIDE = 40
GREY = np.full((SIDE, SIDE, 3), 120, np.uint8)


def test_overlay_leaves_normal_pixels_alone_and_saturates():
    values = np.full((SIDE, SIDE), 0.2, np.float32)
    values[:10], values[10:20] = 0.6, 5.0
    picture = np.asarray(overlay(GREY, values, 0.2, 1.0))
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture[20:], GREY[20:])
    assert (picture[:10] != 120).any()
    at_limit = np.asarray(overlay(GREY, np.where(values > 1, 1.0, values), 0.2, 1.0))
    np.testing.assert_array_equal(picture, at_limit)
    change = np.abs(picture.astype(int) - 120).sum(axis=2)
    assert change[15, 0] > change[5, 0] > 0


def test_overlay_uses_the_given_scale_not_the_images_own():
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 0.5, (SIDE, SIDE))
    np.testing.assert_array_equal(np.asarray(overlay(GREY, values, 0.5, 1.0)), GREY)
    everything = np.asarray(overlay(GREY, values + 2, 0.5, 1.0))
    assert (everything == everything[0, 0]).all()


def test_a_scale_without_width_is_a_threshold():
    values = np.zeros((SIDE, SIDE))
    values[0] = 0.1
    picture = np.asarray(overlay(GREY, values, 0.0, 0.0))
    np.testing.assert_array_equal(picture[1:], GREY[1:])
    assert (picture[0] != 120).any()


def test_the_contour_runs_around_the_mask_and_covers_none_of_it():
    mask = np.zeros((SIDE, SIDE), bool)
    mask[10:20, 10:20] = True
    picture = np.asarray(overlay(GREY, np.zeros((SIDE, SIDE)), 0, 1, mask))
    assert (picture[9, 10:20] == CONTOUR).all()
    assert (picture[10:20, 20] == CONTOUR).all()
    np.testing.assert_array_equal(picture[mask], GREY[mask])
    np.testing.assert_array_equal(picture[:8], GREY[:8])
    empty = np.zeros_like(mask)
    np.testing.assert_array_equal(np.asarray(overlay(GREY, np.zeros((SIDE, SIDE)), 0, 1, empty)), GREY)


def test_overlay_does_not_change_its_inputs():
    image, values, mask = GREY.copy(), np.ones((SIDE, SIDE), np.float32), np.eye(SIDE, dtype=bool)
    overlay(image, values, 0, 1, mask)
    np.testing.assert_array_equal(image, GREY)
    assert (values == 1).all()
    assert mask.sum() == SIDE


def test_overlay_names_a_wrong_shape():
    with pytest.raises(ValueError, match=r"anomaly_map must have .* \(40, 40\), got \(3, 3\)"):
        overlay(GREY, np.zeros((3, 3)), 0, 1)
    with pytest.raises(ValueError, match=r"mask must have .* got \(2, 2\)"):
        overlay(GREY, np.zeros((SIDE, SIDE)), 0, 1, np.zeros((2, 2), bool))


def test_the_colours_are_those_of_inferno():
    from matplotlib import colormaps
    from pni_fast.report.colours import COLOURS, FIRST, LAST

    expected = colormaps["inferno"](np.linspace(FIRST, LAST, 256))[:, :3] * 255
    assert np.abs(COLOURS - expected).max() <= 0.5
