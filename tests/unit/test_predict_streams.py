"""Images that come one by one; models used after a fork and in inference mode."""

import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import texture
from PIL import Image
from pni_fast import PNI, PniError
from pni_fast.data import prediction_sources

MODEL = Path(__file__).parents[1] / "files" / "format1-both.safetensors"
FRAMES = [np.asarray(texture(seed, defect=seed % 2 == 1)) for seed in range(8)]


@pytest.fixture(scope="module")
def model():
    return PNI.load(MODEL, device="cpu", num_threads=2)


class Refilled:
    """Has a length, and hands over one buffer again and again."""

    def __init__(self, frames):
        self.frames = frames

    def __len__(self):
        return len(self.frames)

    def __iter__(self):
        buffer = np.empty_like(self.frames[0])
        for frame in self.frames:
            buffer[...] = frame
            yield buffer


def pictures():
    picture = Image.new("RGB", FRAMES[0].shape[1::-1])
    for frame in FRAMES:
        picture.paste(Image.fromarray(frame))
        yield picture


def test_a_buffer_that_is_filled_again_gives_each_frame_its_score(model):
    expected = model.score_samples(FRAMES).tolist()
    assert len(set(expected)) == 8
    for images in (iter(Refilled(FRAMES)), Refilled(FRAMES), pictures()):
        assert model.score_samples(images).tolist() == expected
    held = list(prediction_sources(iter(Refilled(FRAMES))))
    assert all((source.content == frame).all() for source, frame in zip(held, FRAMES, strict=True))


def test_a_generator_may_wait_for_the_last_result(model):
    results = []

    def waiting():
        for index, frame in enumerate(FRAMES):
            assert len(results) == index
            yield frame

    for prediction in model.predict(waiting()):
        results.append(prediction.score)
    assert len(results) == 8


def test_what_has_a_length_is_counted_and_read_ahead(model):
    totals = set()
    predictions = list(model.predict(Refilled(FRAMES), progress=lambda _, __, total: totals.add(total)))
    assert (len(predictions), totals) == (8, {8})


def test_threads_that_are_none_are_one_line():
    with pytest.raises(PniError, match="num_threads must be an int at least 1, got -1"):
        PNI(num_threads=-1)


def test_fit_and_load_inside_inference_mode():
    settings = {"device": "cpu", "num_threads": 2, "coreset_ratio": 0.1, "resize": 80, "crop": 64}
    with torch.inference_mode():
        fitted = PNI(**settings).fit(FRAMES[:3])
        loaded = PNI.load(MODEL, device="cpu")
    assert fitted.score_samples(FRAMES[:1]).size == loaded.score_samples(FRAMES[:1]).size == 1
    assert not any(tensor.is_inference() for tensor in loaded.extractor_.state_dict().values())


def test_one_patch_in_all_is_one_line():
    with pytest.raises(PniError, match=r"batches of at least 2 patches, got 1 from 1 image\(s\) of 1 x 1"):
        PNI(device="cpu", num_threads=2, coreset_ratio=1.0, resize=8, crop=8, neighborhood=True).fit(
            FRAMES[:1]
        )


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_forked_worker_scores_with_the_model_of_its_parent(starter):
    code = f"""
        import os
        import numpy as np
        import torch
        from pni_fast import PNI
        torch.set_num_threads(4)
        model = PNI.load({str(MODEL)!r}, device="cpu", num_threads=2)
        # A first layer as wide as a real one, whose kernel is made by torch's own threads.
        mlp = model.fitted.distribution.neighborhood.module()
        mlp.first = torch.nn.Linear(mlp.first.in_features, 2048, bias=False)
        mlp.rest = torch.nn.Linear(2048, mlp.rest[-1].out_features)
        frame = np.zeros((96, 96, 3), np.uint8)
        expected = model.score_samples([frame])
        torch.randn(3000, 1000).sin()
        child = os.fork()
        if child == 0:
            same = (model.score_samples([frame]) == expected).all()
            os._exit(0 if same and torch.get_num_threads() == 1 else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert torch.get_num_threads() == 4
    """
    found = starter.run("-c", textwrap.dedent(code))
    assert found.returncode == 0, found.stderr
