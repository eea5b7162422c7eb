"""Features kept in a folder: read again, gone on with after any end, never mixed with others."""

from __future__ import annotations

import json
import os
import shutil
import signal
import textwrap
from pathlib import Path

import numpy as np
import pytest
from pni_fast.config import Config, Geometry
from pni_fast.data import Source
from pni_fast.data.digests import Digests
from pni_fast.distribution.fit import fit_distribution
from pni_fast.errors import DataError, PniError
from pni_fast.features.extract import extract_features
from pni_fast.features.kept import Keeping
from pni_fast.kernels import greedy_coreset
from pni_fast.model.feature_settings import LATER
from pni_fast.presets import preset
from pni_fast.runtime import feature_room, feature_store, memory
from pni_fast.runtime.feature_store import FeatureStore
from pni_fast.runtime.run import Run

GEOMETRY = Geometry(16, 16)
SETTINGS = {"backbone": "lite0", "resize": "16", "weights": "abc"}
ADVICE = "give another folder, or remove this one to make them anew"


def pictures(numbers, broken=()):
    """Return noise by number; a broken one has values that no picture has."""
    sources = []
    for number in numbers:
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        sources.append(Source(f"{number}.png", pixels[..., None] if number in broken else pixels))
    return sources


class Folder:
    """A store and an extractor that counts what it extracts, and ends with an error after so many images."""

    def __init__(self, path, settings=SETTINGS, dtype="float32", most=10**6):
        self.path, self.settings, self.dtype, self.most = path, settings, dtype, most
        self.extracted, self.told, self.broken = 0, [], []

    def extract(self, crops):
        if self.extracted == self.most:
            raise PniError("out of power")
        self.extracted += 1
        return crops.reshape(-1, 4, 4, 48).astype(np.float32) / 7

    def fit(self, sources, *, skip=False, **options):
        keeping = Keeping(FeatureStore(self.path, self.settings, self.dtype), Digests())
        run = Run(tell=self.told.append, threads=options.pop("threads", 1))
        told = (lambda *words: self.broken.append(words)) if skip else None
        return extract_features(self.extract, sources, GEOMETRY, run, told, dtype=self.dtype, keeping=keeping)

    def plain(self, sources):
        return extract_features(self.extract, sources, GEOMETRY, Run(), dtype=self.dtype)[1]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def always(monkeypatch):
    monkeypatch.setattr(feature_store, "COMMIT_SECONDS", 0.0)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_second_fit_reads_what_the_first_has_extracted(tmp_path, dtype):
    path, sources = tmp_path / "new" / "store", pictures(range(5))
    first = Folder(path, dtype=dtype)
    read, features = first.fit(sources)
    assert [source.name for source in read] == [source.name for source in sources]
    assert features.dtype == dtype
    np.testing.assert_array_equal(features, first.plain(sources))
    size = f"{features.nbytes / 1e3:.0f} kB"
    assert first.told == [f"features: {size} in {path}"]
    before = contents(path)
    second = Folder(path, dtype=dtype, most=0)
    np.testing.assert_array_equal(second.fit(sources)[1], features)
    assert second.told == [f"features: those of all 5 images are in {path}, none is extracted"]
    assert contents(path) == before
    assert not features.flags.writeable


@pytest.mark.parametrize("most", [0, 1, 2])
def test_a_fit_that_was_ended_goes_on_to_the_same_bytes(tmp_path, most):
    sources = pictures(range(6), broken=(1, 4, 5))
    whole = Folder(tmp_path / "whole")
    expected = whole.fit(sources, skip=True)[1]
    assert [name for name, _ in whole.broken] == ["1.png", "4.png", "5.png"]
    assert whole.extracted == 3
    with pytest.raises(PniError, match="out of power"):
        Folder(tmp_path / "store", most=most).fit(sources, skip=True)
    rest = Folder(tmp_path / "store")
    np.testing.assert_array_equal(rest.fit(sources, skip=True, threads=3)[1], expected)
    assert rest.extracted == 3 - most
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")
    assert [name for name, _ in rest.broken] == ["1.png", "4.png", "5.png"]


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("name", ["features.bin", "images.jsonl"])
def test_whatever_is_cut_off_is_made_again(tmp_path, name):
    sources = pictures(range(3), broken=(1,))
    whole = tmp_path / "whole"
    Folder(whole).fit(sources, skip=True)
    expected = contents(whole)
    size = len(expected[name])
    for end in sorted({0, 1, size // 2, size // 2 + 1, size - 1}):
        store = shutil.copytree(whole, tmp_path / f"cut-{end}")
        os.truncate(store / name, end)
        Folder(store).fit(sources, skip=True)
        assert contents(store) == expected


def flipped(path):
    numbers = bytearray((path / "features.bin").read_bytes())
    numbers[len(numbers) // 2] ^= 1
    (path / "features.bin").write_bytes(numbers)


def without_the_second_line(path):
    lines = (path / "images.jsonl").read_bytes().splitlines(keepends=True)
    (path / "images.jsonl").write_bytes(b"".join(lines[:1] + lines[2:]))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("damage", [flipped, without_the_second_line])
def test_features_that_are_not_those_written_are_named(tmp_path, damage, threads):
    path = tmp_path / "store"
    Folder(path).fit(pictures(range(3)))
    damage(path)
    name = {flipped: "1.png", without_the_second_line: "2.png"}[damage]
    with pytest.raises(PniError) as caught:
        Folder(path, most=0).fit(pictures(range(3)), threads=threads)
    assert str(caught.value) == (
        f"{path / 'features.bin'}: the features of image '{name}' are not those that were written; "
        "remove the folder to make them anew"
    )


def test_features_that_no_image_asks_for_are_not_looked_at(tmp_path):
    path = tmp_path / "store"
    expected = Folder(path).fit(pictures(range(3)))[1][2:].copy()
    flipped(path)
    np.testing.assert_array_equal(Folder(path, most=0).fit(pictures([2]))[1], expected)


def test_a_process_killed_in_the_midst_of_it(tmp_path, starter):
    code = """
        import os, signal, sys, test_feature_store
        from pathlib import Path
        from pni_fast.runtime import feature_store

        feature_store.COMMIT_SECONDS = 0.0
        folder = test_feature_store.Folder(Path(sys.argv[1]))
        extract = folder.extract

        def killed(crops):
            if folder.extracted == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return extract(crops)

        folder.extract = killed
        folder.fit(test_feature_store.pictures(range(5)))
    """
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n{textwrap.dedent(code)}"
    done = starter.run("-c", code, tmp_path / "store")
    assert done.returncode == -signal.SIGKILL, done.stderr
    rest = Folder(tmp_path / "store")
    rest.fit(pictures(range(5)))
    assert 2 <= rest.extracted < 5
    Folder(tmp_path / "whole").fit(pictures(range(5)))
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


def test_only_new_images_are_extracted_and_the_order_is_that_of_the_images(tmp_path):
    path = tmp_path / "store"
    Folder(path).fit(pictures([5, 6, 7]))
    more = pictures([0, 7, 5, 8, 7])  # one taken out, three added, one of them there already
    second = Folder(path)
    found = second.fit(more)[1]
    np.testing.assert_array_equal(found, second.plain(more))
    assert second.extracted == 3 + 5
    copied = "features: 15 kB in memory, copied into the order of the images"
    assert second.told == [f"features: those of 2 of 5 images are in {path}, 9 kB to add", copied]
    found[0] = 0  # a copy, of which the store knows nothing
    third = Folder(path, most=0)
    np.testing.assert_array_equal(third.fit(pictures([6, 7]))[1], third_of(path, 1, 3))
    np.testing.assert_array_equal(third.fit(more)[1], second.plain(more))


def third_of(path, start, end):
    return np.fromfile(path / "features.bin", np.float32).reshape(-1, 4, 4, 48)[start:end]


def refused(folder, sources, entries):
    before = entries(folder.path.parent), contents(folder.path) if folder.path.is_dir() else None
    with pytest.raises(PniError) as caught:
        folder.fit(sources)
    assert folder.extracted == 0
    after = entries(folder.path.parent), contents(folder.path) if folder.path.is_dir() else None
    assert after == before
    return str(caught.value)


def test_features_of_other_settings_or_images_are_left_alone(tmp_path, entries):
    path, sources = tmp_path / "store", pictures(range(2))
    Folder(path).fit(sources)

    def line(settings=SETTINGS, sources=sources, **options):
        return refused(Folder(path, settings, **options), sources, entries)

    made = f"{path}: holds features made with"
    assert line({**SETTINGS, "resize": "32"}) == f"{made} resize 16, this fit has 32; {ADVICE}"
    assert line({**SETTINGS, "tile": "512"}) == f"{made} tile none, this fit has 512; {ADVICE}"
    assert line({**SETTINGS, "weights": "d"}) == f"{made} other weights; {ADVICE}"
    assert line(dtype="float16") == f"{made} feature_dtype float32, this fit has float16; {ADVICE}"
    assert line(sources=pictures([7, 8])) == (
        f"{path}: holds features of other images: '0.png', the first of 2, is not among those given; "
        "give another folder, or remove this one"
    )


def test_a_folder_of_something_else_is_not_touched(tmp_path, entries):
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "holiday.jpg").write_bytes(b"")
    line = refused(Folder(foreign), pictures([0]), entries)
    assert (
        line == f"{foreign}: must be a folder of features or an empty one, got one with 'holiday.jpg' in it"
    )
    line = refused(Folder(foreign / "holiday.jpg"), pictures([0]), entries)
    assert line == f"{foreign / 'holiday.jpg'}: must be a folder for features, got a file"


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"kind": "other"}', '{"kind": "pni-fast features", "format": 2}']
)
def test_a_damaged_description(tmp_path, entries, text):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.json").write_text(text)
    line = refused(Folder(tmp_path / "store"), pictures([0]), entries)
    expected = "does not describe a folder of features; remove the folder to begin anew"
    assert line == f"{tmp_path / 'store' / 'store.json'}: {expected}"


def test_a_description_of_another_format(tmp_path, entries):
    path = tmp_path / "store"
    Folder(path).fit(pictures([0]))
    header = json.loads((path / "store.json").read_text())
    (path / "store.json").write_text(json.dumps({**header, "format": 1}))
    line = refused(Folder(path), pictures([0]), entries)
    assert line == f"{path / 'store.json'}: of format 1; this version reads 2; {ADVICE}"


@pytest.mark.skipif(os.name == "nt", reason="no such locks")
def test_two_fits_at_once(tmp_path):
    path = tmp_path / "store"
    with FeatureStore(path, SETTINGS).opened(), pytest.raises(PniError) as caught:
        Folder(path).fit(pictures([0]))
    line = f"{path}: another pni-fast is writing there; wait or give another folder"
    assert str(caught.value) == line
    Folder(path).fit(pictures([0]))  # the lock of one that has ended keeps nobody out


def test_a_broken_image_ends_a_fit_that_does_not_skip_it_and_what_was_before_it_stays(tmp_path):
    path, sources = tmp_path / "store", pictures(range(4), broken=(2,))
    with pytest.raises(DataError, match=r"2\.png"):
        Folder(path).fit(sources)
    assert Folder(path, most=0).fit(pictures(range(2)))[1].shape == (2, 4, 4, 48)
    with pytest.raises(DataError, match="none of the 1 images could be read"):
        Folder(tmp_path / "none").fit(pictures([2], broken=(2,)), skip=True)


def test_room_on_the_disk_is_looked_at_before_the_start(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=5_000))
    path, folder = tmp_path / "store", Folder(tmp_path / "store")
    with pytest.raises(PniError) as caught:
        folder.fit(pictures(range(4)))
    needs = "must hold 12 kB of features for this fit, got 5 kB free"
    assert str(caught.value) == f"{path}: {needs}; free some, or give a folder on a larger disk"
    assert contents(path) == {}
    monkeypatch.setattr(feature_room, "IN_MEMORY", 0)
    with pytest.raises(PniError, match="got 5 kB free; point TMPDIR to a larger disk or fit on fewer images"):
        folder.plain(pictures(range(4)))


def test_a_feature_beyond_float16_is_named(tmp_path):
    folder = Folder(tmp_path / "store", dtype="float16")
    folder.extract = lambda crops: crops.reshape(-1, 4, 4, 48).astype(np.float32) * 1000
    with pytest.raises(PniError) as caught:
        folder.fit(pictures([3]))
    assert str(caught.value) == (
        "image 3.png: has a feature of 255000, feature_dtype float16 holds up to 65504; "
        "take feature_dtype float32"
    )


def test_a_fit_on_float16_is_that_on_the_narrowed_numbers():
    features = np.random.default_rng(1).normal(size=(7, 6, 6, 24)).astype(np.float32)
    half = features.astype(np.float16)
    half.flags.writeable = False
    wide = half.astype(np.float32)
    config, banks = preset("lite", coreset_ratio=0.2, distribution_size=16), []
    found, expected = (
        fit_distribution(one, config, Run(), lambda scores: scores, banked=banks.append)
        for one in (half, wide)
    )
    picked = greedy_coreset(wide.reshape(-1, 24), len(found.coreset)).indices
    np.testing.assert_array_equal(found.coreset, wide.reshape(-1, 24)[picked])
    assert found.coreset.dtype == np.float32
    assert found.trials == expected.trials
    assert not np.array_equal(found.coreset, features.reshape(-1, 24)[picked])
    np.testing.assert_array_equal(*(bank.labels for bank in banks))
    np.testing.assert_array_equal(*(bank.of(3) for bank in banks))


def test_settings_that_work_on_finished_features_are_settings():
    assert set(Config.__dataclass_fields__) > LATER


def test_free_memory_is_the_least_that_anything_leaves(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path / "groups")
    nothing = memory.free_memory()
    inner = tmp_path / "groups" / "jobs" / "mine"
    for folder in (tmp_path / "proc" / "self", inner):
        folder.mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 900 kB\nMemAvailable:   800 kB\n")
    assert memory.free_memory() == min(nothing, 800 << 10)
    (tmp_path / "proc" / "self" / "cgroup").write_text("0::/jobs/mine\n")
    (inner / "memory.max").write_text("max\n")
    (inner.parent / "memory.max").write_text("600000\n")
    (inner.parent / "memory.current").write_text("250000\n")
    (inner.parent / "memory.stat").write_text("anon 50000\nfile 200000\n")
    assert memory.free_memory() == 550_000
    assert [memory.spoken_bytes(count) for count in (3.14e9, 12e6, 2e6, 5e12, 0)] == [
        *("3.1 GB", "12 MB", "2 MB", "5.0 TB", "0 kB")
    ]
