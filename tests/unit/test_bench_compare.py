"""`make bench` from end to end at its smallest, on the demo's photographs."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

BENCHES = Path(__file__).resolve().parent.parent.parent / "benches"
PEERS = {"faiss": "faiss", "fpsample": "fpsample", "anomalib": "anomalib"}

pytestmark = pytest.mark.skipif(
    not (BENCHES / "compare.py").exists(), reason="the benches are not part of this checkout"
)


@pytest.fixture(scope="module")
def result(starter, tmp_path_factory):
    """The quick table, made where there is no measuring data, and the folder it lies in."""
    home = tmp_path_factory.mktemp("bench")
    without_data = {"PNI_FAST_DATA": str(home / "no-data")}
    options = ("--quick", "--repeat", 1, "--output", home / "out")
    done = starter.run(BENCHES / "compare.py", *options, environment=without_data)
    return done, home / "out"


def test_every_case_is_run_or_its_peer_named_as_missing(result):
    done, out = result
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((out / "compare-quick.json").read_text())
    assert {row["kernel"] for row in record["rows"]} == {
        *("greedy_coreset", "nearest", "max_likelihood", "position_histogram")
    }
    here = {name: importlib.util.find_spec(name) is not None for name in PEERS}
    for row in record["rows"]:
        module = next((name for name in PEERS if row["peer"].startswith(name)), None)
        assert (row["missing"] is None) == (module is None or here[module]), row
        if row["missing"] is None:
            assert row["rounds"] == 1
            assert row["ours"] > 0
            assert row["theirs"] > 0
        else:
            assert row["missing"].startswith(module)
            assert f"| {row['peer']} | | | missing: {module}" in done.stdout
    assert any("demo lite" in row["size"] for row in record["rows"])
    assert record["machine"]["threads"] >= 1


def test_exact_peers_agree(result):
    rows = json.loads((result[1] / "compare-quick.json").read_text())["rows"]
    exact = [row for row in rows if row["exact"]]
    assert {row["peer"] for row in exact} == {"plain scan", "np.add.at"}
    assert all(row["share"] == 1 for row in exact)


def test_the_growth_is_told_with_its_exponent(result):
    done, out = result
    grown = json.loads((out / "compare-quick.json").read_text())["growth"]
    assert grown["rows"][1:] == [2 * grown["rows"][0], 4 * grown["rows"][0]]
    slope = np.polyfit(np.log(grown["rows"]), np.log(grown["seconds"]), 1)[0]
    assert grown["exponent"] == pytest.approx(slope)
    assert f"exponent {slope:.2f}" in done.stdout


def test_nothing_half_written_is_left(result):
    assert not [path.name for path in result[1].iterdir() if "part" in path.name]


def test_an_unknown_case_is_refused(starter, tmp_path):
    done = starter.run(BENCHES / "compare.py", "--only", "nearest,nothing", "--output", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(
        "--only: must be of nearest, likelihood, histogram, cloud, coreset, growth, got nothing"
    )
    assert not list(tmp_path.iterdir())
