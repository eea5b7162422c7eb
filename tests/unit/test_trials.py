"""Which condition acts: what is tried, what is told apart, and what is chosen."""

import numpy as np
import pytest
from pictures import texture
from pni_fast import PNI, PniError, greedy_coreset, nearest
from pni_fast.config import ContextConfig
from pni_fast.distribution.bank import Bank, nearest_without
from pni_fast.distribution.described import Described
from pni_fast.distribution.made import moved, swapped
from pni_fast.distribution.trials import LIMIT, Trial, Trials
from pni_fast.distribution.trying import Picture, Trying, told_apart
from pni_fast.runtime.run import Run
from pni_fast.scoring.anomaly_map import Upsampler
from scenes import CLASSES, SIDE, WINDOW, parts, scene

TINY = {"resize": 80, "crop": 64, "coreset_ratio": 0.1, "distribution_size": 12, "device": "cpu"}


@pytest.fixture(scope="module")
def good():
    return [texture(seed) for seed in range(5)]


def tried(features, conditions=("position", "context"), threads=1, images=3):
    bank = Bank(features, *parts(features), WINDOW, CLASSES)
    described = Described.of(bank, ContextConfig(images=images), threads) if "context" in conditions else None
    trying = Trying(bank, conditions, described, Upsampler((SIDE, SIDE), (48, 48), 2.0), None, seed=0)
    return trying.trials(Run(threads=threads))


def kinds_of_scene(count):
    """Pictures of two scenes in turn: what is right in one is wrong in the other."""
    features = scene(count, shift=False)
    features[1::2] = scene(count, shift=False, seed=1)[1::2]
    return features


def test_things_in_their_place_get_a_condition_and_shifted_ones_none():
    placed, shifted = tried(scene(12, shift=False)), tried(scene(12, shift=True))
    assert placed.choice.condition != "none"
    assert placed.choice.sees > placed.rows[0].sees
    assert shifted.choice.risk <= LIMIT
    by_weight = [row.risk for row in shifted.rows if row.condition == "position"]
    assert by_weight == sorted(by_weight)
    assert by_weight[-1] > placed.rows[3].risk


def test_context_sees_what_position_cannot():
    found = {(row.condition, row.weight): row for row in tried(kinds_of_scene(14)).rows}
    swap = {name: found[name, 0.5].seen["swap"][0] for name in ("position", "context")}
    assert swap["context"] > swap["position"]


def test_the_first_row_has_no_condition_and_no_risk():
    first, *others = tried(scene(6, shift=False)).rows
    assert (first.condition, first.weight, first.risk) == ("none", 0.0, 0.0)
    assert [row.condition for row in others] == ["position"] * 3 + ["context"] * 3
    assert set(first.seen) == {"move", "swap"}
    assert [row.condition for row in tried(scene(6, shift=False), ("position",)).rows[1:]] == ["position"] * 3


def test_same_figures_for_any_number_of_threads():
    features = scene(7, shift=True)
    assert tried(features).as_list() == tried(features, threads=3).as_list()


def test_one_image_tells_nothing_and_two_cannot_be_swapped():
    assert tried(scene(1, shift=False)) is None
    assert set(tried(scene(2, shift=False)).rows[0].seen) == {"move"}


def test_what_sees_most_beyond_its_risk_is_chosen_among_what_may_be_risked():
    rows = [
        Trial("none", 0.0, 0.0, {"move": (0.5, 0.1)}),
        Trial("position", 0.5, LIMIT, {"move": (0.8, 0.2)}),
        Trial("context", 0.5, LIMIT + 0.01, {"move": (0.9, 0.9)}),
    ]
    assert Trials.decided(rows).choice is rows[1]
    assert "position with weight 0.5" in Trials.decided(rows).words
    assert Trials.decided(rows[:1] * 3).chosen == 0, "of equals the weakest"
    assert Trials.decided(rows[::2]).words.startswith("neither position nor context")


def test_what_is_seen_must_be_worth_its_risk():
    """By half: of the two figures that what is seen is the mean of, the risk is of one."""
    rows = [
        Trial("none", 0.0, 0.0, {"move": (0.5, 0.1)}),
        Trial("position", 0.25, 0.04, {"move": (0.6, 0.12)}),
        Trial("position", 0.5, 0.12, {"move": (0.65, 0.13)}),
    ]
    assert [round(row.gain, 3) for row in rows] == [0.3, 0.34, 0.33]
    assert Trials.decided(rows).choice is rows[1]
    refused = Trials.decided([rows[0], Trial("context", 0.5, 0.12, {"move": (0.6, 0.11)})])
    assert refused.choice is rows[0]
    assert "0.055 more than the features alone is not worth the 0.120 of image AUROC" in refused.words


def test_told_apart_is_auroc_and_the_best_f1():
    def picture(score, values, mask):
        shape = (1, 4)
        return Picture(
            np.array([0.0, score]),
            np.stack([np.zeros(shape), np.reshape(values, shape)]).astype(np.float32),
            np.reshape(mask, shape).astype(bool),
        )

    untouched = [picture(1, [0, 0, 0, 1], [0] * 4), picture(3, [0, 0, 0, 3], [0] * 4)]
    changed = [picture(2, [2, 2, 0, 0], [1, 1, 0, 0]), picture(4, [4, 4, 0, 0], [1, 1, 0, 0])]
    auroc, f1 = told_apart(untouched, changed, 1)
    assert auroc == 0.75
    assert f1 == pytest.approx(8 / 9), "at 2: four of four found, one of five wrong"
    assert told_apart(untouched, changed, 0)[0] == 0.5


def test_one_image_less_is_a_search_without_it():
    features = scene(6, shift=True)
    bank = Bank(features, *parts(features), WINDOW, CLASSES)
    rest, both = bank.without(2), bank.without(2, 4)
    known = nearest(bank.of(2), rest.coreset)
    found = nearest_without(bank.of(2), known, rest.owner, both.coreset, 4)
    for one, other in zip(found, nearest(bank.of(2), both.coreset), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("classes", "searched"), [(20, False), (12, True)])
def test_labels_say_what_is_nearest_where_every_vector_is_a_class(classes, searched, monkeypatch):
    features = scene(6, shift=True)
    rows = features.reshape(-1, features.shape[-1])
    rows[40:60] = rows[:20]  # what is equally near goes to the earliest
    picked = greedy_coreset(rows, 20, assign=classes)
    groups, _ = nearest(rows[picked.indices], rows[picked.indices[:classes]])
    labels, distances = (values.reshape(features.shape[:3]) for values in (picked.labels, picked.distances))
    bank = Bank(features, labels, picked.indices, groups, WINDOW, classes, distances=distances)
    asked = []

    def watched(rows, *more, **named):
        asked.append(len(rows))
        return nearest(rows, *more, **named)

    for image in range(6):
        own, rest = bank.of(image), bank.without(image)
        monkeypatch.setattr("pni_fast.distribution.bank.nearest", watched)
        found = bank.nearest_left(image, own, rest)
        monkeypatch.undo()
        for one, other in zip(found, nearest(own, rest.coreset), strict=True):
            np.testing.assert_array_equal(one, other)
    assert (asked == [len(own)] * 6) is searched
    assert searched or max(asked) < len(own)


def test_moved_and_swapped_windows_are_what_their_masks_say():
    for seed in range(20):
        source, mask = moved((8, 6), np.random.default_rng(seed))
        same = (source == np.arange(48)).reshape(8, 6)
        assert same[~mask].all()
        assert not same[mask].any()
        rows, columns = np.divmod(source[mask.ravel()], 6)
        assert (np.ptp(rows) + 1) * (np.ptp(columns) + 1) == mask.sum(), "a window, whole"
        for window in (mask, swapped((8, 6), np.random.default_rng(seed))):
            rows, columns = np.nonzero(window)
            assert (np.ptp(rows) + 1) * (np.ptp(columns) + 1) == window.sum()
            assert 1 <= window.sum() <= 12


@pytest.mark.parametrize(
    "values",
    [
        ("beside", 0.5, 0.1, {}),
        ("none", 2.0, 0.0, {}),
        ("none", 0.0, float("nan"), {}),
        ("none", 0.0, 0.0, {"move": (0.5,)}),
        ("none", 0.0, 0.0, {"move": (0.5, 3.0)}),
        ("none", 0.0, 0.0, [1]),
    ],
)
def test_a_trial_that_cannot_be_is_refused(values):
    with pytest.raises(PniError, match="trials"):
        Trial(*values)


def test_trials_begin_without_a_condition_and_choose_a_row_there_is():
    row = Trial("none", 0.0)
    for rows, chosen in (((), 0), ((Trial("position", 0.5),), 0), ((row,), 1), ((row,), True)):
        with pytest.raises(PniError, match="trials"):
            Trials(rows, chosen)


def test_a_fit_tries_all_kinds_and_says_what_it_chose(good, tmp_path):
    model = PNI("lite", **TINY).fit(good)
    trials = model.trials_
    assert set(trials.rows[0].seen) == {"cutpaste", "cutpaste_scar", "draem", "drawing", "move", "swap"}
    summary = model.summary()
    assert summary["conditions"] == trials.words
    assert summary["weight"] == model.weight_ == trials.choice.weight
    assert (model.position_ is not None) == (trials.choice.condition == "position")
    assert (model.context_ is not None) == (trials.choice.condition == "context")
    model.save(tmp_path / "m.safetensors")
    loaded = PNI.load(tmp_path / "m.safetensors", device="cpu")
    assert loaded.trials_ == trials
    assert loaded.summary() == summary


def test_a_single_image_speaks_for_nothing(good):
    model = PNI("lite", **TINY).fit(good[:1])
    assert (model.position_, model.context_, model.trials_) == (None, None, None)
    assert (
        model.summary()["conditions"]
        == "neither position nor context: one image does not show what they cost"
    )


def test_the_half_of_a_refiner_has_the_condition_of_the_whole(good, monkeypatch):
    from dataclasses import replace

    from pni_fast.model import refiner_fit
    from refiners import SMALL

    fits, whole = [], refiner_fit.fit_distribution
    monkeypatch.setattr(
        refiner_fit,
        "fit_distribution",
        lambda *args, **named: fits.append(whole(*args, **named)) or fits[-1],
    )
    refiner = replace(SMALL, iterations=1)
    settings = TINY | {"position_gate": False, "refinement": True, "refiner": refiner}
    model = PNI("lite", **settings).fit(good)
    (half,) = fits
    assert (half.condition, half.weight, half.trials) == ("context", 0.5, None)
    assert len(half.context.labels) == 3
    assert model.context_ is not None


def test_a_condition_that_loses_drawn_defects_is_not_used_however_well_it_sees_its_own():
    rows = [
        Trial("none", 0.0, 0.0, {"move": (0.5, 0.1), "draem": (1.0, 0.80), "drawing": (1.0, 0.60)}),
        Trial("position", 0.25, 0.0, {"move": (0.6, 0.2), "draem": (1.0, 0.81), "drawing": (1.0, 0.59)}),
        Trial("position", 0.5, 0.0, {"move": (0.9, 0.9), "draem": (1.0, 0.85), "drawing": (1.0, 0.54)}),
    ]
    found = Trials.decided(rows)
    assert found.choice is rows[1], "what is lost on one kind and gained on another is no loss"
    refused = Trials.decided([rows[0], rows[2]])
    assert refused.choice is rows[0]
    assert "position with weight 0.5 sees most, but of drawn defects less" in refused.words
    assert "0.848 of 0.850" in refused.words


def test_the_words_of_a_risk_too_high_name_it():
    rows = [Trial("none", 0.0), Trial("context", 0.5, LIMIT + 0.01, {"move": (0.9, 0.9)})]
    assert "puts 0.160 of image AUROC at risk (at most 0.15 is allowed)" in Trials.decided(rows).words
