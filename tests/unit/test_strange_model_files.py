"""Model files from a stranger: each is refused in one line before it costs anything, and none reaches out."""

import json
import struct
import tracemalloc

import numpy as np
import pytest
import safetensors
from model_files import BOTH, REFINED, refusal, rewrite
from pictures import texture
from pni_fast import PNI, ModelFileError


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    """Return a file with a digest."""
    path = tmp_path_factory.mktemp("signed") / "m.safetensors"
    PNI.load(BOTH, device="cpu").save(path)
    return path


def changed(source, tmp_path, names, value):
    """Write a file with one value changed, named by keys from the top of its header."""

    def change(header, _):
        for name in names[:-1]:
            header = header[name]
        header[names[-1]] = value

    return rewrite(source, tmp_path / "edited.safetensors", change)


PLACES = [
    "hf-hub:timm/resnet18.a1_in1k",
    "local-dir:/tmp",
    "timm/resnet18",
    "..",
    "a\\b",
    "resnet18.hf-hub:x/y",
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("names", [("config", "backbone"), ("config", "refiner", "encoder")])
def test_a_file_names_networks_and_no_places(tmp_path, monkeypatch, names, place):
    import timm

    def asked(*_, **__):
        raise AssertionError("timm must not be asked")

    file = changed(REFINED, tmp_path, names, place)
    monkeypatch.setattr(timm, "create_model", asked)
    monkeypatch.setattr(timm, "is_model", asked)
    assert f"{names[-1]} must be the name of a timm model" in refusal(file)


@pytest.mark.parametrize("names", [("config", "backbone"), ("config", "refiner", "encoder")])
def test_a_network_that_timm_does_not_know_is_refused(tmp_path, names):
    assert "must be the name of a timm model, got 'nonet50'" in refusal(
        changed(REFINED, tmp_path, names, "nonet50")
    )


def test_damage_is_noticed(signed, tmp_path):
    """Cuts filled up with zeros, sectors lost and single bits, anywhere in the file."""
    content = signed.read_bytes()
    expected = PNI.load(signed, device="cpu").score_samples([texture(50)])
    rng = np.random.default_rng(0)
    target = tmp_path / "damaged.safetensors"
    refused = 0
    for _ in range(12):
        at = int(rng.integers(len(content)))
        flipped = bytearray(content)
        flipped[at] ^= 1 << int(rng.integers(8))
        sector = content[:at] + bytes(len(content[at : at + 512])) + content[at + 512 :]
        for damaged in (bytes(flipped), sector, content[:at] + bytes(len(content) - at)):
            target.write_bytes(damaged)
            try:
                scores = PNI.load(target, device="cpu").score_samples([texture(50)])
            except ModelFileError:
                refused += 1
            else:  # a zero became a zero
                assert scores.tobytes() == expected.tobytes()
    assert refused >= 30


@pytest.mark.parametrize("name", ["coreset", "backbone.conv_stem.weight"])
def test_one_bit_of_a_tensor_is_told_as_damage(signed, tmp_path, name):
    with safetensors.safe_open(signed, "pt") as file:
        wanted = file.get_tensor(name).numpy().tobytes()
    content = bytearray(signed.read_bytes())
    content[content.index(wanted) + len(wanted) // 2] ^= 1
    (tmp_path / "m.safetensors").write_bytes(content)
    assert "damaged model file: its digest is not that of what it holds" in refusal(
        tmp_path / "m.safetensors"
    )


def test_a_digest_that_lost_its_name_is_noticed(signed, tmp_path):
    content = signed.read_bytes()
    assert content.count(b'\\"digest\\"') == 1
    (tmp_path / "m.safetensors").write_bytes(content.replace(b'\\"digest\\"', b'\\"dagest\\"'))
    assert "unknown setting 'dagest'" in refusal(tmp_path / "m.safetensors")


HEADERS = [
    (("format",), "1"),
    (("format",), True),
    (("format",), 0),
    (("format",), 10**30),
    (("config",), [1]),
    (("config", "refiner"), "none"),
    (("config", "mlp"), []),
    (("config", "neighborhood_size"), 20_001),
    (("config", "neighborhood_size"), 1),
    (("config", "patch"), 10**6 + 1),
    (("config", "mlp", "layers"), 100_000),
    (("config", "mlp", "layers"), 90),
    (("config", "mlp", "width"), 10**6),
    (("config", "mlp", "width"), 16_384),
    (("config", "mlp", "temperature"), 1e-300),
    (("config", "resize"), 100_000),
    (("config", "crop"), 48),
    (("config", "crop"), 72),
    (("config", "size"), "auto"),
    (("config", "size"), "64x80"),
    (("config", "size"), [64, 64]),
    (("config", "tile"), 48),
    (("config", "overlap"), -1),
    (("config", "channels"), [0, 0]),
    (("config", "sigma"), 1e300),
    (("config", "sigma"), 10**400),
    (("config", "seed"), 10**400),
    (("config", "distribution_size"), 11),
    (("config", "dimension"), 8),
    (("config", "backbone"), ["ghostnet_050"] * 3),
    (("config", "backbone"), ["a"] * 100_000),
    (("config", "backbone"), "swin_tiny_patch4_window7_224"),
    (("config", "backbone"), "ghostnet_130"),
    (("n_images",), -5),
    (("n_images",), 1.5),
    (("n_images",), 10**400),
    (("grid",), [8, 9]),
    (("grid",), [8]),
    (("grid",), "88"),
    (("grid",), [8.0, 8.0]),
    (("grid",), [10**9, 10**9]),
    (("scale",), -1.0),
    (("scale",), "1"),
    (("scale",), 10**400),
    (("scale",), True),
    (("scale",), 0),
    (("normalization",), [1e300, 1e301]),
    (("normalization",), ["0", "1"]),
    (("normalization",), [0.0, 1.0, 2.0]),
    (("refiner_range",), None),
    (("gate",), {"risk": 0.1}),
    (("gate",), [1, 2]),
    (("weights_source",), 3),
    (("surprise",), 1),
    (("members",), []),
]


@pytest.mark.parametrize(("names", "value"), HEADERS, ids=[f"{'.'.join(n)}-{v!r:.20}" for n, v in HEADERS])
def test_what_a_file_says_is_held_to_what_is_allowed_and_what_is_there(tmp_path, names, value):
    file = changed(BOTH, tmp_path, names, value)
    tracemalloc.start()
    try:
        refusal(file)
        assert tracemalloc.get_traced_memory()[1] < 60e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("widths", [4_000_000, 4_000_000]),
        ("widths", [4096, 4096]),
        ("widths", [0, 4]),
        ("widths", [-4, 4]),
        ("levels", [1, 0]),
        ("levels", [0, 14]),
        ("levels", [-2, -1]),
        ("side", 10**9),
        ("encoder", "ghostnet_130"),
        ("encoder", "swin_tiny_patch4_window7_224"),
        ("encoder", "vit_giant_patch14_224"),
    ],
)
def test_a_refiner_that_is_not_there_is_refused(tmp_path, name, value):
    refusal(changed(REFINED, tmp_path, ("config", "refiner", name), value))


@pytest.mark.parametrize("literal", ["1e999", "-1e999", "NaN", "Infinity", "1" * 5000, "[" * 100_000])
@pytest.mark.parametrize("name", ["format", "scale", "n_images"])
def test_numbers_that_are_none_are_refused(tmp_path, literal, name):
    content = BOTH.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    table = json.loads(content[8 : 8 + length])
    header = json.loads(table["__metadata__"]["pni_fast"]) | {name: "@"}
    table["__metadata__"]["pni_fast"] = json.dumps(header).replace('"@"', literal)
    text = json.dumps(table).encode()
    (tmp_path / "m.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    refusal(tmp_path / "m.safetensors")


def test_what_a_file_says_reaches_a_terminal_as_text_alone(tmp_path):
    file = rewrite(
        BOTH, tmp_path / "m.safetensors", lambda header, _: header.update({"\x1b[2J": 1, "version": "\n9"})
    )
    refusal(file)
    refusal(changed(BOTH, tmp_path, ("config", "preset"), ["\x1b]0;x\x07" * 10_000]))
