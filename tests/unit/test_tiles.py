"""Large pictures in tiles: one grid, as if there were none."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pni_fast import PNI
from pni_fast.config import Config
from pni_fast.config.tiling import Tiling
from pni_fast.features.embedded import embedded_extractor
from pni_fast.features.engines.choose import installed
from pni_fast.features.tiles import TiledExtraction

FAR = 416
"""Pixels that tiles of this test have in common: more than the backbone sees around a patch."""


def pooled(crops):
    """Features of stride 8 that see nothing beyond their patch."""
    values = torch.from_numpy(crops) if isinstance(crops, np.ndarray) else crops
    found = F.avg_pool2d(values.permute(0, 3, 1, 2).float(), 8).permute(0, 2, 3, 1).contiguous()
    return found.numpy() if isinstance(crops, np.ndarray) else found


@pytest.mark.parametrize(
    ("shape", "side", "overlap"),
    [((96, 160), 64, 16), ((64, 640), 512, 416), ((48, 208), 64, 32), ((96, 96), 48, 0), ((160, 96), 96, 64)],
)
def test_every_patch_is_taken_once_from_where_it_is_central(shape, side, overlap):
    tiling = Tiling(shape, side, overlap)
    for axis, (length, own) in enumerate(zip(shape, tiling.tile, strict=True)):
        tiles = tiling.along(axis)
        assert [tile.first for tile in tiles[1:]] == [tile.last for tile in tiles[:-1]]
        assert (tiles[0].first, tiles[-1].last) == (0, length)
        for tile in tiles:
            assert tile.start <= tile.first < tile.last <= tile.start + own <= length
            assert tile.first - tile.start >= overlap // 2 or tile.start == 0
            assert tile.start + own - tile.last >= overlap // 2 or tile.start + own == length
    pictures = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    seen = []

    def extract(crops):
        seen.append(crops.shape[1:3])
        return pooled(crops)

    found = TiledExtraction(extract, tiling)(pictures)
    np.testing.assert_array_equal(found, pooled(pictures))
    assert set(seen) == {tiling.tile}
    given = torch.from_numpy(pictures)
    assert torch.equal(TiledExtraction(pooled, tiling)(given), pooled(given))


def test_what_is_smaller_than_a_tile_is_none():
    assert Config(size="512x64", tile=512).tiling is None
    assert Config(size="528x64", tile=512).tiling.tile == (64, 512)
    assert Config(size="528x64", tile=512).seen == (64, 512)
    assert Config(tile=512, size="auto").tiling is None  # nothing is decided yet


def surface(seed, width=640):
    """A texture that is the same everywhere."""
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(120, 30, (64, width, 3)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def tiled():
    settings = {"size": "640x64", "tile": 512, "overlap": FAR, "coreset_ratio": 0.05, "device": "cpu"}
    return PNI(**settings).fit([surface(seed) for seed in range(3)])


def test_maps_by_tiles_are_those_in_one_piece(tiled):
    assert tiled.grid_ == (8, 80)
    whole = replace(
        tiled.fitted, config=replace(tiled.config, tile=0), extractor=embedded_extractor((64, 640))
    )
    picture = surface(9)
    picture[20:40, 290:310] = (250, 40, 40)  # where two tiles meet
    (found,), (expected,) = tiled.predict(picture), PNI.from_fitted(whole, tiled.run).predict(picture)
    np.testing.assert_allclose(found.anomaly_map, expected.anomaly_map, rtol=1e-3)


@pytest.mark.parametrize("engine", ["torch", "onnxruntime", "openvino"])
def test_every_engine_takes_tiles(tiled, tmp_path, engine):
    if not installed(engine):
        pytest.skip(f"{engine} is not installed")
    tiled.save(tmp_path / "model")
    (expected,) = tiled.predict(surface(9))
    model = PNI.load(tmp_path / "model", device="cpu", engine=engine)
    assert model.config.tile == 512
    (found,) = model.predict(surface(9))
    np.testing.assert_allclose(found.anomaly_map, expected.anomaly_map, rtol=1e-3)


def test_a_constant_texture_shows_no_lattice():
    """Close tiles, far less in common than the backbone sees: their borders are no place of higher scores."""
    model = PNI(
        size="640x64",
        tile=128,
        overlap=64,
        coreset_ratio=0.05,
        device="cpu",
        sigma=0,
        position=False,
        context=False,
    ).fit([surface(seed) for seed in range(6)])
    maps = np.stack([found.anomaly_map for found in model.predict([surface(seed) for seed in range(50, 62)])])
    columns = maps.mean(axis=(0, 1)).reshape(80, 8).mean(axis=1)
    print(np.round(columns, 2), model.config.tiling.along(1))
    cuts = np.array([tile.last for tile in model.config.tiling.along(1)[:-1]]) // 8
    near = np.isin(np.arange(80), np.concatenate([cuts - 1, cuts]))
    inner = np.arange(80)[8:-8]
    apart = columns[inner][near[inner]].mean() - columns[inner][~near[inner]].mean()
    assert abs(apart) < 0.03 * columns.mean()
