"""Equations (10) and (11), and the fusion, against NumPy."""

import numpy as np
import pytest
import torch
from pni_fast.refinement import fuse, gradient_loss, refinement_loss, regression_loss


def maps(seed, shape=(3, 7, 5)):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def expected(refined, truth):
    """ℓ_reg and ℓ_grad of one image as the paper writes them."""
    height, width = truth.shape
    regression = np.sqrt(((refined - truth) ** 2).sum()) / (height * width)
    vertical = np.diff(refined, axis=0) - np.diff(truth, axis=0)
    horizontal = np.diff(refined, axis=1) - np.diff(truth, axis=1)
    gradient = (np.sqrt((vertical**2).sum()) + np.sqrt((horizontal**2).sum())) / (2 * height * width)
    return regression, gradient


def test_loss_is_that_of_the_paper():
    refined, truth = maps(0), maps(1)
    pairs = [expected(*pair) for pair in zip(refined.astype(float), truth.astype(float), strict=True)]
    given = torch.from_numpy(refined), torch.from_numpy(truth)
    np.testing.assert_allclose(regression_loss(*given), [pair[0] for pair in pairs], rtol=1e-5)
    np.testing.assert_allclose(gradient_loss(*given), [pair[1] for pair in pairs], rtol=1e-5)
    np.testing.assert_allclose(refinement_loss(*given), [sum(pair) / 2 for pair in pairs], rtol=1e-5)


def test_a_constant_error_costs_regression_only():
    truth = torch.zeros(1, 10, 20)
    assert regression_loss(truth + 0.5, truth).item() == pytest.approx(0.5 / np.sqrt(200))
    assert gradient_loss(truth + 0.5, truth).item() == 0.0


def test_an_exact_map_costs_nothing_and_has_a_finite_gradient():
    truth = torch.from_numpy(maps(2))
    refined = truth.clone().requires_grad_()
    loss = refinement_loss(refined, truth).sum()
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(refined.grad, torch.zeros_like(truth))


@pytest.mark.parametrize("shapes", [((2, 4, 4), (2, 4, 5)), ((4, 4), (4, 4)), ((1, 1, 4, 4), (1, 1, 4, 4))])
def test_other_shapes_are_refused(shapes):
    with pytest.raises(ValueError, match=r"shape \(B, H, W\)"):
        refinement_loss(torch.zeros(shapes[0]), torch.zeros(shapes[1]))


def test_fusion_takes_a_tenth_of_the_refined_map():
    refined, base = maps(3), maps(4)
    np.testing.assert_allclose(fuse(refined, base), 0.1 * refined + 0.9 * base, rtol=1e-6)
    assert fuse(refined, base).dtype == np.float32
    np.testing.assert_array_equal(fuse(refined, base, 0.0), base)
    np.testing.assert_array_equal(fuse(refined, base, 1.0), refined)


def test_fusion_refuses_other_shapes_and_ratios():
    with pytest.raises(ValueError, match="shape of base"):
        fuse(maps(0), maps(0)[:1])
    with pytest.raises(ValueError, match=r"ratio must be in \[0, 1\], got 1.5"):
        fuse(maps(0), maps(0), 1.5)
