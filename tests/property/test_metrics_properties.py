"""AUPRO, AUROC and F1max equal a plain sweep over every distinct threshold, ties and all."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pni_fast.metrics import FPR_LIMIT, compute_metrics
from scipy import ndimage

SHAPE = (2, 5, 6)


def sweep(masks, maps):
    """False positive rate, recall, precision and mean region overlap at every threshold."""
    regions = [
        (image, numbered == region)
        for image, mask in enumerate(masks)
        for numbered, count in [ndimage.label(mask, structure=np.ones((3, 3)))]
        for region in range(1, count + 1)
    ]
    points = [(0.0, 0.0, 1.0, 0.0)]
    for threshold in np.unique(maps)[::-1]:
        called = maps >= threshold
        overlap = np.mean([called[image][region].mean() for image, region in regions])
        points.append((called[~masks].mean(), called[masks].mean(), masks[called].mean(), overlap))
    return np.array(points).T


def area(x, y, limit):
    total = 0.0
    for left, right, low, high in zip(x, x[1:], y, y[1:], strict=False):
        if left < limit and right > left:
            end = min(right, limit)
            total += (end - left) * (low + (high - low) * (end - left) / (right - left) / 2)
    return total


@settings(max_examples=150, deadline=None)
@given(
    arrays(bool, SHAPE),
    arrays(np.float32, SHAPE, elements=st.integers(-4, 4).map(float)),
)
def test_against_a_sweep(masks, maps):
    masks[1, :3] = False
    assume(masks.any())
    found = compute_metrics([1, 1], [0, 0], list(masks), list(maps))
    rate, recall, precision, overlap = sweep(masks, maps)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-30)
    np.testing.assert_allclose(found.pixel_auroc, area(rate, recall, 1.0), atol=1e-12)
    np.testing.assert_allclose(found.pixel_f1_max, f1.max(), atol=1e-12)
    np.testing.assert_allclose(found.aupro, area(rate, overlap, FPR_LIMIT) / FPR_LIMIT, atol=1e-12)
