"""Checkpoints that were damaged, or made by a stranger: refused in one line, or gone on from."""

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from pni_fast.errors import ModelFileError
from pni_fast.refinement import RefinerConfig, train_refiner

SMALL = RefinerConfig(
    levels=(0, 1), widths=(8, 8), side=32, bank=8, batch=4, iterations=6, checkpoint_every=2
)


def photographs():
    rng = np.random.default_rng(0)
    return [rng.integers(80, 120, (48, 48, 3), dtype=np.uint8) for _ in range(2)]


def detector(images):
    return images[..., 0].astype(np.float32) / 255


def equal(first, second):
    states = first.state_dict(), second.state_dict()
    return all(torch.equal(value, states[1][name]) for name, value in states[0].items())


class StoppedError(Exception):
    pass


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Return the checkpoint of a run that has half of its steps."""
    path = tmp_path_factory.mktemp("run") / "run.safetensors"

    def stopping(stage, done, _):
        if stage == "refinement" and done == 4:
            raise StoppedError

    with pytest.raises(StoppedError):
        train_refiner(photographs(), detector, config=SMALL, checkpoint=path, progress=stopping)
    return path


def never(_):
    raise AssertionError("a checkpoint that is refused costs no work")


def rewritten(source, target, change):
    """Write a checkpoint once more, its text and its tensors changed, without the digest."""
    with safetensors.safe_open(source, "pt") as file:
        metadata = dict(file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
    metadata.pop("digest")
    change(metadata, tensors)
    safetensors.torch.save_file(tensors, target, metadata)
    return target


def resumed(path):
    return train_refiner(photographs(), detector, config=SMALL, checkpoint=path)


@pytest.mark.parametrize(
    "change",
    [
        lambda said, _: said.update(iteration=str(10**9)),
        lambda said, _: said.update(iteration="6"),
        lambda said, _: said.update(iteration="0"),
        lambda said, _: said.update(iteration="-2"),
        lambda said, _: said.update(iteration="4.0"),
        lambda said, _: said.update(iteration="9" * 5000),
        lambda said, _: said.pop("iteration"),
        lambda said, _: said.pop("run"),
        lambda said, _: said.update(surprise="1"),
        lambda _, tensors: tensors.pop("network.head.weight"),
        lambda _, tensors: tensors.pop("adam.step.head.weight"),
        lambda _, tensors: tensors.update(extra=torch.zeros(1)),
        lambda _, tensors: tensors.update({"adam.exp_avg.head.weight": torch.zeros(3)}),
        lambda _, tensors: tensors.update({"adam.step.head.weight": torch.tensor(5.0)}),
        lambda _, tensors: tensors.update({"network.head.bias": torch.zeros(1, dtype=torch.float64)}),
        lambda _, tensors: tensors["network.head.bias"].fill_(float("nan")),
        lambda _, tensors: tensors["adam.exp_avg_sq.head.bias"].fill_(float("inf")),
    ],
)
def test_a_damaged_checkpoint_is_refused_in_one_line(checkpoint, tmp_path, change):
    path = rewritten(checkpoint, tmp_path / "run.safetensors", change)
    with pytest.raises(ModelFileError, match=r"run\.safetensors: damaged checkpoint: ") as refused:
        train_refiner(photographs(), never, config=SMALL, checkpoint=path)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 500


def test_damage_of_a_checkpoint_shows_in_its_digest(checkpoint, tmp_path):
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "run.safetensors").write_bytes(content)
    with pytest.raises(ModelFileError, match="damaged checkpoint: its digest"):
        train_refiner(photographs(), never, config=SMALL, checkpoint=tmp_path / "run.safetensors")
    (tmp_path / "run.safetensors").write_bytes(checkpoint.read_bytes()[:-600] + bytes(600))
    with pytest.raises(ModelFileError, match="damaged checkpoint: its digest"):
        train_refiner(photographs(), never, config=SMALL, checkpoint=tmp_path / "run.safetensors")


def test_a_checkpoint_without_a_digest_is_gone_on_from(checkpoint, tmp_path):
    """As 0.1.0 wrote them."""
    path = rewritten(checkpoint, tmp_path / "run.safetensors", lambda *_: None)
    assert equal(resumed(path), train_refiner(photographs(), detector, config=SMALL))
