from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pni_fast.scoring.anomaly_map import TRUNCATE, Upsampler, bilinear, enlarging, gaussian
from scipy.ndimage import gaussian_filter, gaussian_filter1d


@pytest.mark.parametrize(
    ("height", "width", "size", "sigma"), [(12, 12, 96, 8.0), (7, 9, 40, 2.5), (5, 5, 48, 8.0)]
)
def test_equals_bilinear_resizing_then_gaussian(height, width, size, sigma):
    grid = np.random.default_rng(0).random((height, width), dtype=np.float32) * 30
    resized = F.interpolate(torch.from_numpy(grid)[None, None], size=(size, size), mode="bilinear")[
        0, 0
    ].numpy()
    expected = gaussian_filter(resized.astype(np.float64), sigma, mode="reflect", truncate=4.0)
    result = Upsampler((height, width), (size, size), sigma)(grid)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-4)


def test_a_constant_stays_constant():
    result = Upsampler((6, 6), (48, 48), 8.0)(np.full((6, 6), 3.0, np.float32))
    np.testing.assert_allclose(result, 3.0, rtol=1e-5)


def test_zero_sigma_leaves_the_smoothing_out():
    grid = np.arange(16, dtype=np.float32).reshape(4, 4)
    expected = F.interpolate(torch.from_numpy(grid)[None, None], size=(12, 12), mode="bilinear")[0, 0].numpy()
    np.testing.assert_allclose(Upsampler((4, 4), (12, 12), 0.0)(grid), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "sigma"), [(480, 8.0), (5, 8.0), (48, 2.5), (1, 3.0), (7, 0.1), (64, 100.0), (6, 0.125)]
)
def test_the_gaussian_is_that_of_scipy(size, sigma):
    expected = gaussian_filter1d(np.eye(size), sigma, axis=0, mode="reflect", truncate=TRUNCATE)
    np.testing.assert_allclose(gaussian(size, sigma), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("source", "target"), [(60, 480), (7, 40), (5, 48), (1, 4), (12, 12), (30, 7)])
def test_the_resizing_is_that_of_torch(source, target):
    eye = torch.eye(source, dtype=torch.float64)[None]
    expected = F.interpolate(eye, size=target, mode="linear", align_corners=False)[0].T.numpy()
    first, second, share = bilinear(source, target)
    found = np.zeros((target, source))
    np.add.at(found, (np.arange(target), first), 1 - share)
    np.add.at(found, (np.arange(target), second), share)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(enlarging(source, target, 0.0), expected, rtol=0, atol=1e-7)


def test_a_map_has_the_same_bits_in_any_thread():
    """A library for products would share one out, and sum in another order."""
    grid = np.random.default_rng(0).random((60, 60), dtype=np.float32)
    upsampler = Upsampler((60, 60), (480, 480), 8.0)
    expected = upsampler(grid).tobytes()
    with ThreadPoolExecutor(3) as pool:
        assert all(pool.map(lambda _: upsampler(grid).tobytes() == expected, range(6)))
