import pytest
import safetensors.torch
import torch
from model_files import rewrite
from pictures import texture
from pni_fast import PNI, ModelFileError, PniError
from pni_fast.model.file import whole as model_file


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model = PNI(
        resize=80, crop=64, coreset_ratio=0.05, device="cpu", neighborhood=True, position_gate=False
    ).fit([texture(seed) for seed in range(3)])
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    model.save(path)
    return path


def test_the_same_model_is_the_same_file(saved, tmp_path):
    PNI.load(saved, device="cpu").save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()


@pytest.mark.parametrize("kept", [0, 5, 100, 5000, -1])
def test_a_truncated_file_is_refused(saved, tmp_path, kept):
    target = tmp_path / "cut.safetensors"
    target.write_bytes(saved.read_bytes()[:kept])
    with pytest.raises(ModelFileError, match=r"cut\.safetensors: not a whole \.safetensors file"):
        PNI.load(target)


def test_a_foreign_safetensors_file_is_refused(tmp_path):
    target = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"x": torch.zeros(1)}, target)
    with pytest.raises(ModelFileError, match="but not a pni-fast model"):
        PNI.load(target)


def test_a_newer_format_is_refused_with_both_versions(saved, tmp_path):
    target = tmp_path / "new.safetensors"
    rewrite(saved, target, lambda header, _: header.update(format=99, version="9.1"))
    with pytest.raises(
        ModelFileError, match=r"model format 99 \(written by pni-fast 9\.1\) is newer than format 2"
    ):
        PNI.load(target)


@pytest.mark.parametrize(
    ("part", "name"), [(None, "surprise"), ("mlp", "mlp.surprise"), ("refiner", "refiner.surprise")]
)
def test_a_setting_of_a_newer_version_is_named(saved, tmp_path, part, name):
    def change(header, _):
        header["version"] = "9.1.0"
        (header["config"] if part is None else header["config"][part])["surprise"] = 1

    target = tmp_path / "new.safetensors"
    rewrite(saved, target, change)
    message = rf"written by pni-fast 9\.1\.0, newer than this one, .*setting '{name}'; upgrade pni-fast"
    with pytest.raises(ModelFileError, match=message):
        PNI.load(target)


@pytest.mark.parametrize(
    "change",
    [
        lambda header, _: header.pop("config"),
        lambda header, _: header["config"].update(surprise=1),
        lambda _, tensors: tensors.pop("coreset"),
        lambda _, tensors: tensors.pop("neighborhood.first.weight"),
        lambda _, tensors: tensors.pop("backbone.conv_stem.weight"),
        lambda header, _: header.pop("grid"),
    ],
)
def test_a_damaged_file_is_refused(saved, tmp_path, change):
    target = tmp_path / "bad.safetensors"
    rewrite(saved, target, change)
    with pytest.raises(ModelFileError, match=r"bad\.safetensors: damaged model file"):
        PNI.load(target)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelFileError, match=r"nothing\.safetensors: no such model file"):
        PNI.load(tmp_path / "nothing.safetensors")


def test_nothing_is_left_behind_when_saving_fails(saved, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    model = PNI.load(saved, device="cpu")
    monkeypatch.setattr(model_file, "write_tensors", fail)
    with pytest.raises(PniError, match="cannot write: No space left on device"):
        model.save(tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []
