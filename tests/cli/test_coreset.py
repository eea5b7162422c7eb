from __future__ import annotations

import json
import os

import numpy as np
import pytest


@pytest.fixture
def features(tmp_path):
    """Write 200 clustered float32 vectors; return the array and its file."""
    random = np.random.default_rng(0)
    matrix = (random.normal(size=(200, 16)) + 8 * random.integers(0, 5, (200, 1))).astype(np.float32)
    file = tmp_path / "features.npy"
    np.save(file, matrix)
    return matrix, file


def farthest_first(matrix, count, start=0):
    """Choose rows by the definition, in float64."""
    points = matrix.astype(np.float64)
    chosen = [start]
    nearest = ((points - points[start]) ** 2).sum(1)
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(1))
    return chosen


@pytest.mark.parametrize(("size", "count"), [("20", 20), ("0.05", 10), ("1", 1), ("1.0", 200)])
def test_indices_are_the_exact_greedy_choice(invoke, features, tmp_path, size, count):
    matrix, file = features
    output = tmp_path / "new" / "indices.npy"
    result = invoke("coreset", file, "--size", size, "--output", output)
    assert result.exit_code == 0, result.stderr
    assert f"Chose {count} of 200 rows of 16 dimensions" in result.stdout
    indices = np.load(output, allow_pickle=False)
    assert indices.dtype == np.int64
    assert indices.tolist() == farthest_first(matrix, count)


def test_start_threads_and_json(invoke, features, tmp_path):
    matrix, file = features
    output = tmp_path / "indices.npy"
    result = invoke(
        "coreset", file, "--size", 30, "--start", 7, "--threads", 2, "--output", output, "--json", "-q"
    )
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    record = json.loads(result.stdout)
    assert (record["rows"], record["dimensions"], record["chosen"]) == (200, 16, 30)
    assert record["indices"] == str(output)
    expected = farthest_first(matrix, 30, start=7)
    assert np.load(output).tolist() == expected
    before = matrix[expected[:-1]].astype(np.float64)
    radius = np.sqrt(((before - matrix[expected[-1]]) ** 2).sum(1).min())
    assert record["last_radius"] == pytest.approx(radius, rel=1e-6)


def test_float16_is_searched_as_stored_and_columns_first_order_is_accepted(invoke, features, tmp_path):
    matrix, _ = features
    half = matrix.astype(np.float16)
    for name, stored in (
        ("half", half),
        ("fortran", np.asfortranarray(matrix)),
        ("double", matrix.astype(float)),
    ):
        file, output = tmp_path / f"{name}.npy", tmp_path / f"{name}-indices.npy"
        np.save(file, stored)
        result = invoke("coreset", file, "--size", 25, "-o", output, "-q")
        assert result.exit_code == 0, result.stderr
        assert np.load(output).tolist() == farthest_first(stored, 25)


def test_quiet_prints_nothing(invoke, features, tmp_path):
    result = invoke("coreset", features[1], "--size", 5, "-o", tmp_path / "indices.npy", "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def saved(path, array, **options):
    np.save(path, array, **options)
    return path


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(5, np.float32), "must have rank 2 (rows, dimensions), got rank 1, shape (5,)"),
        (np.zeros((2, 3, 4), np.float32), "must have rank 2 (rows, dimensions), got rank 3, shape (2, 3, 4)"),
        (np.zeros((0, 4), np.float32), "must have at least one row and one dimension, got shape (0, 4)"),
        (np.zeros((4, 0), np.float32), "must have at least one row and one dimension, got shape (4, 0)"),
        (
            np.zeros((3, 4), np.complex64),
            "must hold real numbers (float32, float16, ...), got dtype complex64",
        ),
        (np.full((3, 4), "a"), "must hold real numbers (float32, float16, ...), got dtype <U1"),
        (np.zeros((3, 4), bool), "must hold real numbers (float32, float16, ...), got dtype bool"),
    ],
)
def test_a_matrix_that_cannot_be_searched_is_refused(refused, tmp_path, entries, array, message):
    file = saved(tmp_path / "features.npy", array)
    assert refused("coreset", file, "--size", 2, "-o", tmp_path / "indices.npy") == f"{file}: {message}"
    assert entries(tmp_path) == ["features.npy"]


def test_an_object_array_is_never_unpickled(refused, tmp_path, entries):
    marker = tmp_path / "unpickled"

    class Payload:
        def __reduce__(self):
            return marker.touch, ()

    file = saved(tmp_path / "features.npy", np.array([[Payload()]], dtype=object), allow_pickle=True)
    line = refused("coreset", file, "--size", 1, "-o", tmp_path / "indices.npy")
    assert line.startswith(f"{file}: must be a .npy file with a numeric matrix")
    assert entries(tmp_path) == ["features.npy"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_refused_with_file_and_row(refused, features, tmp_path, entries, value):
    matrix, file = features
    matrix[123, 4] = value
    np.save(file, matrix)
    line = refused("coreset", file, "--size", 5, "-o", tmp_path / "indices.npy")
    assert line.startswith(f"{file}: ")
    assert "123" in line
    assert entries(tmp_path) == ["features.npy"]


@pytest.mark.parametrize("content", [b"", b"not an array", b"\x93NUMPY", b"PK\x03\x04 an archive"])
def test_a_file_of_another_kind_is_refused(refused, tmp_path, content):
    file = tmp_path / "features.npy"
    file.write_bytes(content)
    line = refused("coreset", file, "--size", 5, "-o", tmp_path / "indices.npy")
    assert line.startswith(f"{file}: must be a .npy file with a numeric matrix")


def test_a_truncated_file_is_refused(refused, features, tmp_path):
    _, file = features
    file.write_bytes(file.read_bytes()[:-100])
    line = refused("coreset", file, "--size", 5, "-o", tmp_path / "indices.npy")
    assert line.startswith(f"{file}: must be a .npy file with a numeric matrix")


def test_missing_file_folder_and_unwritable_output(refused, features, tmp_path):
    _, file = features
    missing = tmp_path / "none.npy"
    assert refused("coreset", missing, "--size", 5, "-o", tmp_path / "i.npy").startswith(
        f"{missing}: no such file"
    )
    assert refused("coreset", tmp_path, "--size", 5, "-o", tmp_path / "i.npy").startswith(
        f"{tmp_path}: is a folder"
    )
    assert "cannot write" in refused("coreset", file, "--size", 5, "-o", file / "below" / "i.npy")
    assert "it is a folder" in refused("coreset", file, "--size", 5, "-o", tmp_path)


@pytest.mark.parametrize("options", [["--size", "201"], ["--size", "5", "--start", "200"]])
def test_more_rows_than_there_are_is_refused(refused, features, tmp_path, options):
    _, file = features
    line = refused("coreset", file, *options, "-o", tmp_path / "indices.npy")
    assert line.startswith(f"{file}: ")
    assert "200" in line


def header(shape):
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (63 - (10 + len(text)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + bytes(4096)


@pytest.mark.parametrize(
    "shape",
    [
        *("(-2000, 16)", "(18446744073709551615, 1)", "(18446744073709551616, 1)", "(True, 16)", "(-4, -4)"),
        *("(4611686018427387904, 16)", "(1e3, 2)", "('a', 2)", "5", "(2, [3])"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_shape_that_no_matrix_has_is_refused(refused, tmp_path, entries, shape):
    file = tmp_path / "features.npy"
    file.write_bytes(header(shape))
    line = refused("coreset", file, "--size", 5, "-o", tmp_path / "indices.npy")
    assert line.startswith(f"{file}: must ")
    assert entries(tmp_path) == ["features.npy"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
def test_a_pipe_is_refused_without_waiting_for_it(refused, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    line = refused("coreset", tmp_path / "pipe", "--size", 5, "-o", tmp_path / "indices.npy")
    assert line.startswith(f"{tmp_path / 'pipe'}: is a pipe, which cannot be mapped")
    assert "/dev/null: is a device" in refused("coreset", "/dev/null", "--size", 5, "-o", tmp_path / "i.npy")


def test_an_output_that_is_the_input_is_wrong_usage(invoke, features, tmp_path):
    _, file = features
    (tmp_path / "link.npy").symlink_to(file)
    (tmp_path / "hard.npy").hardlink_to(file)
    before = file.read_bytes()
    for output in (file, tmp_path / "link.npy", tmp_path / "hard.npy"):
        result = invoke("coreset", file, "--size", 5, "-o", output)
        assert result.exit_code == 2
        assert "is an input" in result.stderr
        assert file.read_bytes() == before


def test_a_device_is_never_an_output(refused, features):
    line = refused("coreset", features[1], "--size", 5, "-o", "/dev/null")
    assert line == "/dev/null: cannot write: it is a device; give a file name"
