"""Files of tensors that anybody may have written, and what the table of one may say."""

import contextlib
import json
import struct

import numpy as np
import pytest
import safetensors.torch
import torch
from pni_fast.errors import WeightsError
from pni_fast.features.backbones import build_backbone
from pni_fast.features.weights import load_weights
from pni_fast.runtime.tensor_file import TensorFile, TensorFileError, write_tensors
from pni_fast.runtime.tensor_values import digest, not_finite


def framed(table, data):
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype, shape, start, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_every_kind_of_tensor_comes_back(tmp_path):
    with contextlib.suppress(ImportError):
        import ml_dtypes  # noqa: F401  teaches NumPy bfloat16; onnx brings it
    tensors = {
        str(dtype): torch.arange(6).to(dtype).reshape(2, 3)
        for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.bool)
    } | {"scalar": torch.tensor(3.5), "empty": torch.zeros(0, 4)}
    safetensors.torch.save_file(tensors, tmp_path / "t.safetensors", metadata={"a": "b"})
    with TensorFile(tmp_path / "t.safetensors") as file:
        assert file.metadata == {"a": "b"}
        read = file.read_torch()
        arrays = file.read(set(tensors) - {"torch.bfloat16"})
        with pytest.raises(TensorFileError, match=r"'torch\.bfloat16' is of type bfloat16"):
            file.read()
    assert set(read) == set(tensors)
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())
    assert digest({}, read) == digest({}, tensors)
    assert set(arrays) == set(tensors) - {"torch.bfloat16"}
    assert all(torch.equal(torch.from_numpy(array), tensors[name]) for name, array in arrays.items())
    assert digest({}, arrays) == digest({}, {name: tensors[name] for name in arrays})
    write_tensors(tmp_path / "arrays", arrays, {"a": "b"})
    write_tensors(tmp_path / "tensors", {name: tensors[name] for name in arrays}, {"a": "b"})
    assert (tmp_path / "arrays").read_bytes() == (tmp_path / "tensors").read_bytes()


def test_what_is_written_is_what_the_library_writes(tmp_path, entries):
    tensors = {
        "b": torch.arange(6.0).reshape(2, 3),
        "a": torch.arange(6.0).reshape(2, 3).T.contiguous(),
        "é": torch.arange(3),
        "flags": torch.tensor([True, False, True]),
        "half": torch.arange(5.0).half(),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 4),
        "trained": torch.nn.Parameter(torch.ones(2)),
    }
    write_tensors(tmp_path / "t", tensors, {"text": 'a "b" ü'})
    assert (tmp_path / "t").read_bytes() == safetensors.torch.save(tensors, {"text": 'a "b" ü'})
    write_tensors(tmp_path / "t", {"turned": tensors["b"].T}, {})
    with TensorFile(tmp_path / "t") as file:
        assert torch.equal(file.read_torch()["turned"], tensors["b"].T)
    assert entries(tmp_path) == ["t"]


@pytest.mark.parametrize("pad", range(8))
def test_tensors_may_lie_anywhere(tmp_path, pad):
    """The format asks for no alignment: neither of the table's length nor of a tensor behind an odd one."""
    values = np.arange(5, dtype=np.float32)
    table = {"a": entry("U8", [3], 0, 3), "b": entry("F32", [5], 3, 23)}
    data = b"xyz" + values.tobytes()
    (tmp_path / "t.safetensors").write_bytes(framed(json.dumps(table).encode() + b" " * pad, data))
    with TensorFile(tmp_path / "t.safetensors") as file:
        read = file.read()
    assert np.array_equal(read["b"], values)
    assert bytes(read["a"]) == b"xyz"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "shorter than a header"),
        (struct.pack("<Q", 2**63), "longer than the file"),
        (framed(b"[" * 100_000, b""), "no JSON"),
        (framed([], b""), "no table"),
        (framed(b'{"a": NaN}', b""), "no JSON"),
        (framed(b"\xff\xfe{}", b""), "no JSON"),
        (framed({"__metadata__": {"a": 1}}, b""), "metadata"),
        (framed({"a": 3}, b""), "lacks dtype"),
        (framed({"a": entry("Q7", [], 0, 1)}, b"x"), "unknown type"),
        (framed({"a": entry("U8", [2**62, 4], 0, 1)}, b"x"), "do not fit"),
        (framed({"a": entry("U8", [-1], 0, 1)}, b"x"), "do not fit"),
        (framed({"a": entry("U8", [True], 0, 1)}, b"x"), "do not fit"),
        (framed({"a": entry("U8", [1], 1, 2)}, b"xy"), "does not begin where"),
        (framed({"a": entry("U8", [2], 0, 2), "b": entry("U8", [2], 0, 2)}, b"xy"), "does not begin where"),
        (framed({"a": entry("U8", [2], 0, 2)}, b"xyz"), "take 2 bytes and there are 3"),
        (framed(b'{"a": {}, "a": {}}', b""), "no JSON"),
    ],
)
def test_a_table_that_is_not_in_order_is_refused(tmp_path, content, message):
    (tmp_path / "t.safetensors").write_bytes(content)
    with pytest.raises(TensorFileError, match=message):
        TensorFile(tmp_path / "t.safetensors")


def test_a_long_table_is_not_read(tmp_path):
    with (tmp_path / "t.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", 2**30))
        file.truncate(2**31)  # takes no room on the disk
    with pytest.raises(TensorFileError, match="too long"):
        TensorFile(tmp_path / "t.safetensors")


def test_a_digest_tells_values_names_shapes_types_and_what_is_said():
    tensor = torch.arange(4.0)
    base = digest({"a": 1}, {"t": tensor})
    others = [
        digest({"a": 2}, {"t": tensor}),
        digest({"a": 1}, {"u": tensor}),
        digest({"a": 1}, {"t": tensor.reshape(2, 2)}),
        digest({"a": 1}, {"t": tensor.view(torch.int32)}),
        digest({"a": 1}, {"t": tensor, "u": tensor[:0]}),
        digest({"a": 1}, {"t": torch.tensor([0.0, 1, 2, -3])}),
    ]
    assert len({base, *others}) == 7
    assert base == digest({"a": 1}, {"t": tensor.clone()}) == digest({"a": 1}, {"t": tensor.numpy()})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_what_is_not_finite_is_found(value, dtype):
    tensor = torch.ones(1000, dtype=dtype)
    assert not_finite({"t": tensor, "i": torch.tensor([2**62]), "e": torch.zeros(0)}) is None
    tensor[777] = value
    assert not_finite({"a": torch.ones(1), "t": tensor}) == "t"
    if dtype != torch.bfloat16:
        assert not_finite({"a": np.ones(1), "b": np.zeros(2, bool), "t": tensor.numpy()}) == "t"


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_with_file_and_tensor(
    resnet_weights, tmp_path, suffix, value
):
    state = safetensors.torch.load_file(resnet_weights)
    state["layer1.0.conv1.weight"][3, 2, 1, 0] = value
    file = tmp_path / f"w{suffix}"
    if suffix == ".pth":
        torch.save(state, file)
    else:
        safetensors.torch.save_file(state, file)
    message = (
        rf"w\{suffix}: tensor 'layer1\.0\.conv1\.weight' must hold finite numbers, got NaN or an infinity"
    )
    with pytest.raises(WeightsError, match=message):
        load_weights(build_backbone("resnet18"), "resnet18", file)
