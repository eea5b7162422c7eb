"""Properties of the kernels on whatever hypothesis comes up with."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from kernel_data import check_coreset
from pni_fast import _core, distributed, kernels
from pni_fast.kernels import oracle as _reference

SHAPES = st.one_of(
    st.tuples(st.integers(1, 60), st.integers(1, 20)),
    st.tuples(st.integers(1, 12), st.integers(60, 90)),
)
VALUES = st.one_of(
    st.integers(-2, 2).map(float),
    # As float32 has them: elsewhere NumPy 1 finds that an array holds another value than was drawn.
    st.sampled_from(np.array([1e30, -1e30, 1e-40, 1e4, 10001.0, 3.4e38, -0.0], np.float32).tolist()),
    st.floats(-10, 10, width=16),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)


@st.composite
def matrices(draw: st.DrawFn) -> np.ndarray:
    shape = draw(SHAPES)
    dtype = draw(st.sampled_from([np.float32, np.float32, np.float16]))
    elements = st.floats(-100, 100, width=16) if dtype == np.float16 else VALUES
    array = draw(hnp.arrays(dtype, shape, elements=elements, fill=st.just(1.0)))
    return array[draw(hnp.arrays(np.int64, draw(st.integers(1, 80)), elements=st.integers(0, shape[0] - 1)))]


COMMON = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@COMMON
@given(matrices(), st.data())
def test_greedy_coreset_of_shards(features: np.ndarray, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(features)))
    start = data.draw(st.integers(0, len(features) - 1))
    ends = sorted(data.draw(st.sets(st.integers(1, max(len(features) - 1, 1)), max_size=4)) - {len(features)})
    shards = [features[a:b] for a, b in zip([0, *ends], [*ends, len(features)], strict=True)]
    expected = kernels.greedy_coreset(features, size, start=start)
    found = distributed.greedy_coreset(shards, size, start=start, num_threads=1)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.radii, expected.radii)


@COMMON
@given(matrices(), st.data())
def test_greedy_coreset(features: np.ndarray, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(features)))
    options: dict[str, object] = {"num_threads": data.draw(st.integers(1, 3))}
    before = 0
    if data.draw(st.booleans()):
        before = data.draw(st.integers(1, 4))
        options["initial"] = features[
            data.draw(hnp.arrays(np.int64, before, elements=st.integers(0, len(features) - 1)))
        ]
    else:
        options["start"] = data.draw(st.integers(0, len(features) - 1))
    options["assign"] = data.draw(st.none() | st.integers(1, before + size))
    found = check_coreset(features, size, **options)
    assert len(set(found.indices.tolist())) == size
    assert (found.radii[1:] <= found.radii[:-1]).all()


@COMMON
@given(matrices(), st.data())
def test_bits_do_not_depend_on_threads_or_simd(features: np.ndarray, data: st.DataObject) -> None:
    import os

    size = data.draw(st.integers(1, len(features)))
    results = []
    before = os.environ.get("PNI_FAST_SIMD")
    try:
        for level in _core.simd_levels():
            os.environ["PNI_FAST_SIMD"] = level
            for num_threads in (1, 2):
                found = kernels.greedy_coreset(features, size, assign=size, num_threads=num_threads)
                results.append([found.indices.tobytes(), found.radii.tobytes(), found.distances.tobytes()])
    finally:
        os.environ.pop("PNI_FAST_SIMD", None)
        if before is not None:
            os.environ["PNI_FAST_SIMD"] = before
    assert all(result == results[0] for result in results)


@COMMON
@given(matrices(), st.data())
def test_nearest_and_max_likelihood(features: np.ndarray, data: st.DataObject) -> None:
    centers = features[
        data.draw(
            hnp.arrays(np.int64, data.draw(st.integers(1, 20)), elements=st.integers(0, len(features) - 1))
        )
    ]
    indices, distances = kernels.nearest(features, centers)
    expected = _reference.nearest(features, centers)
    np.testing.assert_array_equal(indices, expected[0])
    np.testing.assert_array_equal(distances, expected[1])
    n_groups = data.draw(st.integers(1, 20))
    groups = data.draw(hnp.arrays(np.int64, len(centers), elements=st.integers(0, n_groups - 1)))
    allowed = data.draw(hnp.arrays(np.bool_, (len(features), n_groups)))
    found = kernels.max_likelihood(features, centers, groups, allowed)
    masked = _reference.max_likelihood(features, centers, groups, allowed)
    np.testing.assert_array_equal(found[0], masked[0])
    np.testing.assert_array_equal(found[1], masked[1])


@COMMON
@given(st.data())
def test_position_histogram(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=8))
    labels = data.draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 5)))
    patch = 2 * data.draw(st.integers(0, 6)) + 1
    found = kernels.position_histogram(labels, 6, patch=patch)
    np.testing.assert_array_equal(found, _reference.position_histogram(labels, 6, patch=patch))


@COMMON
@given(st.data())
def test_enlarge(data: st.DataObject) -> None:
    from pni_fast.kernels.maps import enlarge

    values = st.one_of(st.just(0.0), st.floats(-1e3, 1e3, width=32))
    height, width, tall, wide = (data.draw(st.integers(1, 12)) for _ in range(4))
    grid, rows, columns = (
        data.draw(hnp.arrays(np.float32, shape, elements=values))
        for shape in ((height, width), (tall, height), (width, wide))
    )
    found = enlarge(grid, rows, columns)
    assert found.tobytes() == _reference.enlarge(grid, rows, columns).tobytes()
    bound = np.abs(rows).astype(np.float64) @ np.abs(grid) @ np.abs(columns)
    assert (np.abs(found - rows.astype(np.float64) @ grid @ columns) <= 1e-5 * bound + 1e-30).all()


@COMMON
@given(st.data())
def test_integers_of_64_bits_are_moved_by_whatever_amount(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))
    steps = data.draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 1000)))
    dtype = data.draw(st.sampled_from([np.int64, np.uint64]))
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max - 1000
    bases = data.draw(hnp.arrays(dtype, shape[1], elements=st.integers(int(low), int(high))))
    expected, found = (
        kernels.greedy_coreset(rows, shape[0]) for rows in (steps, bases + steps.astype(dtype))
    )
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.radii, expected.radii)
