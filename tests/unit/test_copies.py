"""A model that is pickled or copied is the same model: its scores are, to the bit."""

import concurrent.futures
import copy
import multiprocessing
import pickle

import pytest
from pictures import texture
from pni_fast import PNI
from pni_fast.refinement import RefinerConfig

SMALL = {
    **{"resize": 80, "crop": 64, "coreset_ratio": 0.1, "distribution_size": 12, "device": "cpu"},
    **{"position_gate": False, "num_threads": 2},
}
REFINER = RefinerConfig(side=32, bank=8, iterations=3, batch=4, levels=(0, 1), widths=(8, 8))


@pytest.fixture(scope="module", params=[{}, {"engine": "torch"}, {"neighborhood": True, "refinement": True}])
def model(request):
    settings = {**SMALL, **request.param}
    if settings.get("refinement"):
        settings |= {"refiner": REFINER, "mlp": {"epochs": 1}}
    return PNI(**settings).fit([texture(seed) for seed in range(4)])


def scores(model):
    return model.score_samples([texture(40), texture(41, defect=True)]).tobytes()


@pytest.mark.parametrize(("stored", "used"), [(False, True), (True, False)])
def test_a_copy_scores_the_same_bits(model, tmp_path, stored, used):
    if stored:
        model.save(tmp_path / "m.safetensors")
        model = PNI.load(tmp_path / "m.safetensors", device="cpu", engine=model.run.engine, num_threads=2)
    # A network that is built lazily, and an engine that is open, are no part of what is copied.
    expected = scores(model) if used else None
    copies = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    expected = expected or scores(model)
    assert [scores(one) for one in copies] == [expected] * 2
    copies[0].save(tmp_path / "copy.safetensors")
    model.save(tmp_path / "own.safetensors")
    assert (tmp_path / "copy.safetensors").read_bytes() == (tmp_path / "own.safetensors").read_bytes()
    again = pickle.loads(pickle.dumps(copies[1]))  # by now its networks are built
    assert scores(again) == expected
    again.set_threshold(0.2)
    assert model.decision_.false_alarms != 0.2


def test_a_model_goes_to_a_process_of_its_own():
    model = PNI(**SMALL).fit([texture(seed) for seed in range(4)])
    spawned = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawned) as pool:
        # A method goes with its model; a function of this module could not be found there.
        images = [texture(40), texture(41, defect=True)]
        assert pool.submit(model.score_samples, images).result().tobytes() == scores(model)
