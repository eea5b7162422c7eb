"""Whatever the image: the mask is exact, never empty, and follows from the seed."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pni_fast.synthetic import KINDS, synthesize


@st.composite
def images(draw):
    height, width = draw(st.integers(16, 90)), draw(st.integers(16, 90))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    low, high = sorted((draw(st.integers(0, 255)), draw(st.integers(0, 255))))
    block = draw(st.sampled_from((1, 7, 100)))
    coarse = rng.integers(low, high + 1, (-(-height // block), -(-width // block), 3), dtype=np.uint8)
    return coarse.repeat(block, axis=0).repeat(block, axis=1)[:height, :width]


@settings(max_examples=120, deadline=None)
@given(image=images(), kind=st.sampled_from(KINDS), seed=st.integers(0, 2**32))
def test_masks_are_exact(image, kind, seed):
    altered, mask = synthesize(image, kind, np.random.default_rng(seed))
    assert mask.shape == image.shape[:2]
    assert 4 <= np.count_nonzero(mask) < mask.size
    np.testing.assert_array_equal(altered[~mask], image[~mask])
    changed = (altered != image).any(axis=2)
    assert np.count_nonzero(changed) >= 0.25 * np.count_nonzero(mask)
    again, mask_again = synthesize(image, kind, np.random.default_rng(seed))
    np.testing.assert_array_equal(altered, again)
    np.testing.assert_array_equal(mask, mask_again)
