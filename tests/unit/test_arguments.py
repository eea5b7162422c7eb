"""Arguments that are none are refused in one line that names them; numbers of NumPy's are numbers."""

import numpy as np
import pytest
from pictures import texture
from pni_fast import PNI, PniError
from pni_fast.config import Config, Geometry
from pni_fast.data.inspected import read_inspected
from pni_fast.decision import Decision
from pni_fast.distributed import InProcess
from pni_fast.model.decision_fit import Asked
from pni_fast.model.spread import Spread

TINY = {
    **{"size": 64, "coreset_ratio": 0.1, "distribution_size": 12, "device": "cpu"},
    **{"position_gate": False, "context": False},
}


@pytest.fixture(scope="module")
def good():
    return [texture(seed) for seed in range(8)]


@pytest.fixture(scope="module")
def model(good):
    return PNI(**TINY).fit(good[:4])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": None}, "preset must be one of lite, .*, got None"),
        ({"preset": ["lite"]}, r"preset must be one of lite, .*, got \['lite'\]"),
        ({"backbone": 3}, "backbone must be the name of a timm model or several of them, got 3"),
        ({"backbone": [3]}, "backbone must be the name of a timm model or several of them, got 3"),
        ({"weights": 3}, "weights must be the path of a file, got int 3"),
        ({"weights": [3]}, "weights must be the path of a file, got int 3"),
        ({"refiner_weights": 3}, "refiner_weights must be the path of a file, got int 3"),
        ({"device": None}, "device must be auto, cpu or cuda, got None"),
        ({"device": 0}, "device must be auto, cpu or cuda, got 0"),
    ],
)
def test_a_model_names_what_is_none(arguments, message):
    with pytest.raises(PniError, match=f"^{message}$"):
        PNI(**{"device": "cpu", **arguments})


def test_where_nothing_can_be_written(model):
    with pytest.raises(PniError, match=r"^'a\\x00b': cannot write: embedded null"):
        model.save("a\0b")
    with pytest.raises(PniError, match=r"^path must be that of a file to write, got int 3$"):
        model.save(3)


def test_a_spread_that_is_none(model, good):
    with pytest.raises(PniError, match=r"^spread must be a Spread or None, got int 3$"):
        PNI(**TINY).fit(good, spread=3)
    with pytest.raises(PniError, match=r"^spread must be a Spread or None, got int 3$"):
        next(model.predict(good, spread=3))


@pytest.mark.parametrize("count", [0, -1, 1.5, None, True, "2"])
@pytest.mark.parametrize("name", ["workers", "threads"])
def test_a_spread_without_workers_is_refused(name, count):
    with pytest.raises(PniError, match=f"^{name} must be a whole number of at least 1, got {count!r}$"):
        Spread(InProcess(), **{"workers": 2, name: count})


def test_numbers_of_numpys_count_workers():
    spread = Spread(InProcess(), np.int64(2), np.int32(3))
    assert (type(spread.workers), spread.workers, type(spread.threads)) == (int, 2, int)


@pytest.mark.parametrize(
    ("roi", "message"),
    [
        (np.ones((0, 0), bool), r"roi: a mask must be \(H, W\), at least 1 each, got \(0, 0\)"),
        (np.ones((0, 9), bool), r"roi: a mask must be \(H, W\), at least 1 each, got \(0, 9\)"),
        (np.full((9, 9), np.nan), "roi: a mask must be true or false everywhere, got NaN or masked values"),
        (
            np.ma.masked_array(np.ones((9, 9)), mask=np.eye(9)),
            "roi: a mask must be true or false everywhere, got NaN or masked values",
        ),
        ([[True]], r"roi must be an image file or an array \(H, W\), .*, got list \[\[True\]\]"),
        (None, r"roi must be an image file or an array \(H, W\), .*, got NoneType None"),
    ],
    ids=str,
)
def test_a_region_that_is_none(roi, message):
    with pytest.raises(PniError, match=f"^{message}$"):
        read_inspected(roi, Geometry(80, 64, 8), None)


def test_an_unfitted_model_has_no_verdicts(good):
    for call in (PNI(**TINY).decision_function, PNI(**TINY).predict_labels):
        with pytest.raises(PniError, match="not fitted yet"):
            call(good)


def test_predictions_are_compared_and_hashed_as_objects(model, good):
    one, other = model.predict([good[0], good[0]])
    assert one == one  # noqa: PLR0124  an array in it would make that ambiguous
    assert one != other
    assert len({one, other}) == 2


def test_settings_take_numbers_of_numpys():
    given = PNI(
        **{**TINY, "size": np.int64(96), "coreset_ratio": np.float32(0.1), "seed": np.int64(3)},
        channels=(np.int64(0), np.int16(1), np.uint8(2)),
        depth=np.int64(12),
        mlp={"dropout": np.float16(0.5), "epochs": np.int64(1)},
    ).config
    plain = PNI(
        **{**TINY, "size": 96, "coreset_ratio": float(np.float32(0.1)), "seed": 3},
        channels=(0, 1, 2),
        depth=12,
        mlp={"dropout": 0.5, "epochs": 1},
    ).config
    assert given == plain
    assert repr(given) == repr(plain)  # also by their types
    for name, value in {"seed": np.float64(1), "seed ": np.bool_(True), "sigma": np.bool_(True)}.items():
        with pytest.raises(PniError, match=f"^{name.strip()} must be a "):
            Config(**{name.strip(): value})


def test_thresholds_take_numbers_of_numpys(model, good, tmp_path):
    highest = model.score_samples(good).max()
    by_hand = PNI.from_fitted(model.fitted, model.run).set_threshold(at=highest)
    assert type(by_hand.decision_.at) is float
    assert by_hand.threshold_ == float(highest)
    by_hand.save(tmp_path / "m.safetensors")
    assert PNI.load(tmp_path / "m.safetensors", device="cpu").threshold_ == float(highest)
    fitted = PNI(**TINY).fit(good[:4], false_alarms=np.float32(0.25), confidence=np.float64(0.5))
    assert repr(fitted.decision_.false_alarms) == "0.25"
    assert repr(fitted.decision_.confidence) == "0.5"
    assert type(Asked(dropped=np.int64(1)).dropped) is int
    for wrong in ({"at": np.bool_(True)}, {"at": np.float32("nan")}, {"false_alarms": np.float32(2)}):
        with pytest.raises(PniError, match="must be "):
            Decision(**wrong)
    with pytest.raises(PniError, match="drop_suspects must be a whole number"):
        Asked(dropped=np.bool_(True))


def test_a_fit_takes_a_rate(model, good):
    for make in (lambda: PNI(**TINY).fit(good[:4], false_alarms=None), lambda: Decision(false_alarms=None)):
        with pytest.raises(
            PniError, match=r"^false_alarms must be between 0 and 1, both excluded, got None$"
        ):
            make()
    kept = PNI.from_fitted(model.fitted, model.run).set_threshold(0.3).set_threshold(None)
    assert kept.decision_.false_alarms == 0.3
