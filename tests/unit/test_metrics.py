"""Metrics against hand-computed cases, scikit-learn, and MVTec's own AUPRO code as packaged by adeval."""

import numpy as np
import pytest
from adeval.au_pro import calculate_au_pro
from pni_fast.kernels import ranking
from pni_fast.metrics import compute_metrics
from sklearn.metrics import precision_recall_curve, roc_auc_score


def blobs(rng, shape, count):
    """A mask of `count` random rectangles, some of which touch or overlap."""
    mask = np.zeros(shape, bool)
    for _ in range(count):
        top, left = rng.integers(0, shape[0] - 4), rng.integers(0, shape[1] - 4)
        mask[top : top + rng.integers(1, 9), left : left + rng.integers(1, 9)] = True
    return mask


def random_set(seed, levels=None, images=6, shape=(40, 48)):
    rng = np.random.default_rng(seed)
    masks = [blobs(rng, shape, index) for index in range(images)]  # the first has none
    maps = [(rng.standard_normal(shape) + 1.5 * mask).astype(np.float32) for mask in masks]
    if levels:
        maps = [np.floor(values * levels).astype(np.float32) for values in maps]
    labels = np.array([mask.any() for mask in masks])
    return labels, np.array([values.max() for values in maps]), masks, maps


def best_f1(truth, scores):
    precision, recall, _ = precision_recall_curve(truth, scores)
    return (2 * precision * recall / np.maximum(precision + recall, 1e-30)).max()


def f1_at(truth, scores, threshold):
    called = scores >= threshold
    return 2 * (truth & called).sum() / (truth.sum() + called.sum())


def test_by_hand():
    # One region of 2 pixels (scores 4, 2) against normal pixels 3, 1, 1, 0, 0, 0, 0, 0 (one good image of 4).
    mask = np.array([[True, True], [False, False], [False, False]])
    bad = np.array([[4, 2], [3, 1], [1, 0]], np.float32)
    good = np.zeros((2, 2), np.float32)
    found = compute_metrics([1, 0], [4, 0], [mask, None], [bad, good])
    assert (found.image_auroc, found.image_f1_max, found.image_threshold) == (1.0, 1.0, 4.0)
    # Of 16 pairs of a defective and a normal pixel only (2, 3) is in the wrong order.
    assert found.pixel_auroc == pytest.approx(15 / 16)
    # At 2: both found, one false alarm: 2·2 / (2·2 + 1) = 0.8; at 4: 2·1 / (2·1 + 1).
    assert (found.pixel_f1_max, found.pixel_threshold) == (pytest.approx(0.8), 2.0)
    # Overlap is 1/2 up to a false positive rate of 1/8 and 1 from there: (0.125·0.5 + 0.175) / 0.3.
    assert found.aupro == pytest.approx((0.125 * 0.5 + 0.175) / 0.3)
    assert found.notes == ()


def test_every_region_has_the_same_weight():
    # A found region of 1 pixel and a missed one of 9: half of the regions, a tenth of the pixels.
    mask = np.zeros((6, 12), bool)
    mask[0, 0] = True
    mask[2:5, 4:7] = True
    values = np.zeros((6, 12), np.float32)
    values[~mask] = np.linspace(0.1, 0.9, (~mask).sum())
    values[0, 0] = 1.0
    found = compute_metrics([1, 0], [1, 0], [mask, None], [values, values * 0])
    assert found.aupro == pytest.approx(0.5)
    assert found.pixel_auroc < 0.6


def test_regions_are_eight_connected():
    # A diagonal region of two pixels, one found and one missed, and a single one found: (1/2 + 1) / 2.
    # Four-connected regions would be three, two of them found.
    mask = np.zeros((30, 30), bool)
    mask[[4, 5, 20], [4, 5, 20]] = True
    values = np.where(mask, 2.0, np.random.default_rng(0).random((30, 30))).astype(np.float32)
    values[5, 5] = -1
    found = compute_metrics([1], [2], [mask], [values]).aupro
    official, _ = calculate_au_pro([mask.astype(int)], [values], num_thresholds=1000)
    assert found == pytest.approx(0.75)
    assert official == pytest.approx(0.75, abs=0.005)


@pytest.mark.parametrize("seed", range(4))
def test_aupro_equals_mvtecs_own_code(seed):
    labels, scores, masks, maps = random_set(seed)
    normal = sum((~mask).sum() for mask in masks)
    official, _ = calculate_au_pro([mask.astype(int) for mask in masks], maps, num_thresholds=int(normal))
    # Their curve slopes across the step of each normal pixel: at most half its rate, divided by the limit.
    tolerance = 0.5 / normal / 0.3
    assert tolerance < 2e-4
    assert compute_metrics(labels, scores, masks, maps).aupro == pytest.approx(official, abs=tolerance)


@pytest.mark.parametrize("levels", [None, 2, 1])
@pytest.mark.parametrize("seed", range(3))
def test_aurocs_and_f1_equal_scikit_learn(seed, levels):
    labels, scores, masks, maps = random_set(seed, levels)
    found = compute_metrics(labels, scores, masks, maps)
    truth, values = np.stack(masks).ravel(), np.stack(maps).ravel()
    assert found.image_auroc == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert found.image_f1_max == pytest.approx(best_f1(labels, scores), abs=1e-12)
    assert found.pixel_auroc == pytest.approx(roc_auc_score(truth, values), abs=1e-12)
    assert found.pixel_f1_max == pytest.approx(best_f1(truth, values), abs=1e-12)
    assert f1_at(truth, values, found.pixel_threshold) == pytest.approx(found.pixel_f1_max, abs=1e-12)
    assert f1_at(labels, scores, found.image_threshold) == pytest.approx(found.image_f1_max, abs=1e-12)


def test_few_pixels_at_a_time_give_the_same(monkeypatch):
    case = random_set(5, levels=2)
    whole = compute_metrics(*case)
    monkeypatch.setattr(ranking, "CHUNK", 7)
    parts = compute_metrics(*case)
    assert parts.pixel_threshold == whole.pixel_threshold
    for name in ("pixel_auroc", "pixel_f1_max", "aupro"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), abs=1e-12)


def test_of_equal_f1_the_highest_threshold():
    # At 3: 1 of 2 found, no false alarm: 2/3. At 1: 2 found, 2 false alarms: 4/6.
    found = compute_metrics([1, 1, 0, 0], [3, 1, 2, 2], [None] * 4, [np.zeros((1, 1), np.float32)] * 4)
    assert found.image_f1_max == pytest.approx(2 / 3)
    assert found.image_threshold == 3.0


def test_constant_maps_say_nothing():
    labels, _, masks, maps = random_set(1)
    flat = [np.full_like(values, 0.25) for values in maps]
    found = compute_metrics(labels, np.full(len(labels), 0.25), masks, flat)
    assert (found.image_auroc, found.pixel_auroc) == (pytest.approx(0.5), pytest.approx(0.5))
    # One threshold calls everything; below the limit of 0.3 the curve is the diagonal: 0.3² / 2 / 0.3.
    assert found.aupro == pytest.approx(0.15)
    share = np.stack(masks).mean()
    assert found.pixel_f1_max == pytest.approx(2 * share / (1 + share))


def test_perfect_maps_score_one():
    labels, _, masks, _ = random_set(2)
    found = compute_metrics(labels, labels, masks, [mask.astype(np.float32) for mask in masks])
    assert found.image_auroc == found.pixel_auroc == found.image_f1_max == found.pixel_f1_max == 1.0
    assert found.aupro == pytest.approx(1.0)
    assert found.aupro <= 1.0


def test_no_defective_images():
    maps = [np.ones((3, 3), np.float32)] * 2
    found = compute_metrics([0, 0], [1, 2], [None, None], maps)
    figures = [value for name, value in found.as_dict().items() if name != "notes"]
    assert figures == [None] * 7
    assert found.notes == (
        "No image metrics: the test set has no defective image.",
        "No pixel metrics: the masks mark no defective pixel.",
    )


def test_no_good_images_and_nothing_but_defect():
    full = np.ones((3, 3), bool)
    found = compute_metrics([1], [1], [full], [np.ones((3, 3), np.float32)])
    assert (found.image_auroc, found.pixel_auroc) == (None, None)
    assert found.notes == (
        "No image metrics: the test set has no good image.",
        "No pixel metrics: the masks mark no normal pixel.",
    )


def test_defective_images_without_masks_count_as_images_only():
    labels, scores, masks, maps = random_set(3)
    without = [None if index == 4 else mask for index, mask in enumerate(masks)]
    found = compute_metrics(labels, scores, without, maps)
    assert found.notes == ("1 defective image without a mask left out of the pixel metrics.",)
    rest = [index for index in range(len(masks)) if index != 4]
    alone = compute_metrics(labels[rest], scores[rest], [masks[i] for i in rest], [maps[i] for i in rest])
    assert (found.pixel_auroc, found.aupro) == (alone.pixel_auroc, alone.aupro)
    assert found.image_auroc == pytest.approx(roc_auc_score(labels, scores))
    none = compute_metrics(labels, scores, [None] * len(masks), maps)
    assert none.pixel_auroc is None
    assert none.image_auroc == found.image_auroc
    assert none.notes[0].startswith("5 defective images without")


def test_an_empty_mask_of_a_defective_image_is_normal_everywhere():
    """The crop may cut a defect away: the image stays defective, its pixels are normal."""
    labels, scores, masks, maps = random_set(4)
    masks[3] = np.zeros_like(masks[3])
    found = compute_metrics(labels, scores, masks, maps)
    assert found.pixel_auroc == pytest.approx(
        roc_auc_score(np.stack(masks).ravel(), np.stack(maps).ravel()), abs=1e-12
    )


def test_maps_of_different_shapes():
    rng = np.random.default_rng(6)
    maps = [rng.random((5, 6), np.float32), rng.random((7, 4), np.float32)]
    mask = maps[0] > 0.7
    found = compute_metrics([1, 0], [1, 0], [mask, None], maps)
    truth = np.concatenate([mask.ravel(), np.zeros(28, bool)])
    expected = roc_auc_score(truth, np.concatenate([values.ravel() for values in maps]))
    assert found.pixel_auroc == pytest.approx(expected, abs=1e-12)


def test_bad_arguments_are_named():
    one = np.zeros((2, 2), np.float32)
    with pytest.raises(ValueError, match=r"equally long, got \(2,\), \(1,\), \(1,\) and \(1,\)"):
        compute_metrics([0, 1], [0.0], [None], [one])
    with pytest.raises(ValueError, match=r"scores must be finite, got nan for image 1"):
        compute_metrics([0, 1], [0.0, np.nan], [None, None], [one, one])
    with pytest.raises(ValueError, match=r"maps must be finite, got NaN or infinity in map 0"):
        compute_metrics([0], [0.0], [None], [one + np.inf])
    with pytest.raises(ValueError, match=r"mask 0 must have the shape of its map, \(2, 2\), got \(3, 2\)"):
        compute_metrics([1], [0.0], [np.zeros((3, 2), bool)], [one])
    with pytest.raises(ValueError, match=r"mask 0 must be empty, .* got 4 pixels"):
        compute_metrics([0], [0.0], [np.ones((2, 2), bool)], [one])


def one_of_each(**changed):
    defect = np.eye(4, dtype=bool)
    maps = [np.zeros((4, 4), np.float32), np.ones((4, 4), np.float32)]
    return {"labels": [0, 1], "scores": [0, 1], "masks": [None, defect], "maps": maps} | changed


@pytest.mark.parametrize(
    "labels", [[0, 1], [False, True], np.array([0.0, 1.0]), np.array([False, 1], object), (np.uint8(0), True)]
)
def test_labels_and_masks_of_zeros_and_ones(labels):
    expected = compute_metrics(**one_of_each())
    assert compute_metrics(**one_of_each(labels=labels)) == expected
    for kind in (np.uint8, np.int64, np.float32):
        masks = [np.zeros((4, 4), kind), np.eye(4, dtype=kind)]
        assert compute_metrics(**one_of_each(labels=labels, masks=masks)) == expected


@pytest.mark.parametrize(
    ("labels", "value"),
    [
        (["0", "1"], "'0'"),
        ([0.0, float("nan")], "nan"),
        ([1, -1], "-1"),
        ([1, 2], "2"),
        ([0.5, 1], "0.5"),
        ([None, 1], "None"),
    ],
)
def test_labels_that_are_neither_true_nor_false(labels, value):
    with pytest.raises(ValueError, match=f"^labels must be True or 1 for .*, False or 0, got {value}$"):
        compute_metrics(**one_of_each(labels=labels))


ONES = np.ones((4, 4), np.float32)
HIDDEN = np.ma.masked_array(ONES, mask=np.eye(4, dtype=bool))
STRANGE = {
    "deep": ({"maps": [ONES[:, :, None]] * 2}, ValueError, r"map 0 must be \(h, w\), got \(4, 4, 1\)"),
    "map list": ({"maps": [ONES, ONES.tolist()]}, TypeError, r"map 1 must be an array \(h, w\) .* got list"),
    "map text": ({"maps": [ONES.astype(str)] * 2}, TypeError, "map 0 must be .* got an array of <U"),
    "map hidden": ({"maps": [ONES, HIDDEN]}, ValueError, "map 1 must have all values, got 4 that are masked"),
    "maps": ({"maps": (one for one in [ONES, ONES])}, TypeError, "maps must be a list .* got generator"),
    "masks": ({"masks": (one for one in [None, None])}, TypeError, "masks must be a list .* got generator"),
    "mask list": ({"masks": [None, [[1]]]}, TypeError, "mask 1 must be a bool array .* got list"),
    "mask 255": (
        {"masks": [None, np.uint8(255) * np.eye(4, dtype=np.uint8)]},
        ValueError,
        "mask 1 .* got 255",
    ),
    "mask hidden": ({"masks": [None, HIDDEN > 0]}, ValueError, "mask 1 must have all values"),
    "scores": ({"scores": ["a", "b"]}, ValueError, r"scores must be numbers, got list \['a', 'b'\]"),
    "scores one by one": (
        {"scores": (one for one in [0, 1])},
        ValueError,
        "scores must be numbers, got generator",
    ),
    "scores hidden": (
        {"scores": np.ma.masked_array([0, 1], mask=[0, 1])},
        ValueError,
        "scores must have all",
    ),
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_arguments_are_named(name):
    changed, kind, message = STRANGE[name]
    with pytest.raises(kind, match=f"^{message}"):
        compute_metrics(**one_of_each(**changed))


def test_as_dict_is_plain_json():
    import json

    found = compute_metrics(*random_set(7))
    again = json.loads(json.dumps(found.as_dict()))
    assert list(again)[:5] == ["image_auroc", "image_f1_max", "pixel_auroc", "pixel_f1_max", "aupro"]
    assert again["pixel_threshold"] == found.pixel_threshold
