import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pni_fast.scoring.anomaly_map import Upsampler
from scipy.ndimage import gaussian_filter


@pytest.mark.parametrize(
    ("height", "width", "size", "sigma"), [(12, 12, 96, 8.0), (7, 9, 40, 2.5), (5, 5, 48, 8.0)]
)
def test_equals_bilinear_resizing_then_gaussian(height, width, size, sigma):
    grid = np.random.default_rng(0).random((height, width), dtype=np.float32) * 30
    resized = F.interpolate(torch.from_numpy(grid)[None, None], size=(size, size), mode="bilinear")[
        0, 0
    ].numpy()
    expected = gaussian_filter(resized.astype(np.float64), sigma, mode="reflect", truncate=4.0)
    result = Upsampler(height, width, size, sigma)(grid)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-4)


def test_a_constant_stays_constant():
    result = Upsampler(6, 6, 48, 8.0)(np.full((6, 6), 3.0, np.float32))
    np.testing.assert_allclose(result, 3.0, rtol=1e-5)


def test_zero_sigma_leaves_the_smoothing_out():
    grid = np.arange(16, dtype=np.float32).reshape(4, 4)
    expected = F.interpolate(torch.from_numpy(grid)[None, None], size=(12, 12), mode="bilinear")[0, 0].numpy()
    np.testing.assert_allclose(Upsampler(4, 4, 12, 0.0)(grid), expected, rtol=1e-5, atol=1e-6)
