"""`pni-fast coreset` on a file several times the size of the memory it may use beside the program's own."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from pni_fast import greedy_coreset

if sys.platform != "linux":
    pytest.skip("needs RLIMIT_DATA and /proc", allow_module_level=True)
memory = pytest.importorskip("memory", reason="the benches are not part of this checkout")

ROWS, COLUMNS, PICKS = 40_000, 1024, 30
BUFFERS = 8 << 20


@pytest.fixture(scope="module", params=["float16", "float32"])
def run(request, environment, tmp_path_factory):
    """The file, the picks made under the limit, the memory used, that of a tiny run, and the limit."""
    folder = tmp_path_factory.mktemp("larger")
    features = folder / "features.npy"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", environment["PYTHONPATH"])
        source = np.random.default_rng(0).normal(size=(500, 20)).astype(np.float32)
        memory.write_points(features, source, ROWS, COLUMNS, request.param)
        alone, limit = memory.allowance(folder, ROWS, COLUMNS, PICKS, BUFFERS)
        confined = memory.watched(memory.command(features, PICKS, folder / "picks.npy"), limit)
        yield features, np.load(folder / "picks.npy"), confined, alone, limit
    features.unlink()


def test_a_file_several_times_the_allowance_gives_the_same_picks(run):
    features, picks, _, alone, limit = run
    assert features.stat().st_size > 3.5 * (limit - alone.data)
    np.testing.assert_array_equal(picks, greedy_coreset(np.load(features), PICKS).indices)


def test_a_point_costs_less_than_320_bytes(run):
    _, _, confined, alone, _ = run
    assert confined.anonymous - alone.anonymous - PICKS * COLUMNS * 4 - BUFFERS < memory.PER_POINT * ROWS


def test_the_limit_is_one(run):
    """The same file read into memory does not fit."""
    features, _, _, _, limit = run
    code = "import sys, numpy as np; import pni_fast; np.load(sys.argv[1])"
    with pytest.raises(RuntimeError, match="MemoryError"):
        memory.watched([sys.executable, "-c", code, str(features)], limit)
