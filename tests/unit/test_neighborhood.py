import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from pni_fast.distribution.distribution import Distribution
from pni_fast.distribution.neighborhood import training
from pni_fast.distribution.neighborhood.network import NeighborhoodMLP, SeededDropout, gather
from pni_fast.distribution.neighborhood.rows import DeviceRows
from pni_fast.distribution.neighborhood.training import train_neighborhood
from pni_fast.distribution.neighborhood.validation import ValidationSet, validation_images
from pni_fast.errors import PniError
from pni_fast.presets import MLPConfig
from pni_fast.runtime.device import CPU
from pni_fast.runtime.run import Run
from pni_fast.scoring.rules import AverageRule
from pni_fast.scoring.scorer import Scorer

SMALL = MLPConfig(layers=3, width=16, epochs=2, step=1, batch=64, positions=256, shards=1)


def trained(features, labels, config=SMALL, threads=1):
    run = Run(threads=threads)
    return train_neighborhood(features, labels, int(labels.max()) + 1, 3, config, run, seed=0)


def problem(count=6, height=7, width=5, dimension=4, classes=6):
    random = np.random.default_rng(0)
    return (
        random.standard_normal((count, height, width, dimension)).astype(np.float32),
        random.integers(0, classes, (count, height, width)),
    )


def judge_of(features, labels, held):
    rows = DeviceRows(NeighborhoodMLP(4, 6, 3, SMALL), torch.from_numpy(features.reshape(-1, 4)), 7, 5)
    return ValidationSet(rows, torch.from_numpy(labels.reshape(-1)), held, 0)


def test_gathering_takes_every_neighbour_but_the_centre_and_zeros_outside():
    model = NeighborhoodMLP(2, 3, 3, SMALL)
    maps = torch.arange(2 * 4 * 5 * 2, dtype=torch.float32).view(2, 4, 5, 2)
    padded = torch.zeros(2, 6, 7, 2)
    padded[:, 1:-1, 1:-1] = maps
    positions = torch.arange(40)
    gathered = gather(maps.view(-1, 2), positions, model.offsets, 4, 5)
    for position in range(40):
        image, rest = divmod(position, 20)
        y, x = divmod(rest, 5)
        window = padded[image, y : y + 3, x : x + 3].reshape(9, 2)
        expected = torch.cat([window[:4], window[5:]]).flatten()
        assert torch.equal(gathered[position], expected), (image, y, x)


def test_the_convolution_form_equals_the_gathered_form():
    features, labels = problem()
    model = trained(features, labels)
    maps = torch.from_numpy(features)
    rows = model.reduce(maps).reshape(-1, model.inputs)
    logits = model(gather(rows, torch.arange(len(rows)), model.offsets, 7, 5))
    expected = torch.softmax(logits / 2.0, dim=1).view(6, 35, -1)
    torch.testing.assert_close(model.probabilities(maps), expected, rtol=1e-4, atol=1e-6)


def test_the_centre_does_not_reach_its_own_prediction():
    features, labels = problem()
    model = trained(features, labels)
    changed = features.copy()
    changed[0, 3, 2] += 100
    before, after = (
        model.probabilities(torch.from_numpy(features)),
        model.probabilities(torch.from_numpy(changed)),
    )
    centre = 3 * 5 + 2
    assert torch.equal(before[0, centre], after[0, centre])
    assert not torch.allclose(before[0, centre - 1], after[0, centre - 1])


def test_with_the_centre_in_every_patch_of_the_window_is_seen():
    features, labels = problem()
    model = trained(features, labels, replace(SMALL, center=True))
    assert model.first.in_features == 9 * 4
    changed = features.copy()
    changed[0, 3, 2] += 100
    before, after = (model.probabilities(torch.from_numpy(maps)) for maps in (features, changed))
    assert not torch.allclose(before[0, 3 * 5 + 2], after[0, 3 * 5 + 2])
    rows = torch.from_numpy(features).reshape(-1, 4)
    logits = model(gather(rows, torch.arange(len(rows)), model.offsets, 7, 5))
    torch.testing.assert_close(
        before, torch.softmax(logits / 2.0, dim=1).view(6, 35, -1), rtol=1e-4, atol=1e-6
    )


def test_it_learns_what_the_surroundings_tell():
    random = np.random.default_rng(1)
    kinds = random.integers(0, 3, 40)
    features = np.zeros((40, 6, 6, 3), np.float32)
    features[np.arange(40), ..., kinds] = 1
    features += random.normal(0, 0.1, features.shape).astype(np.float32)
    labels = np.broadcast_to(kinds[:, None, None], (40, 6, 6)).copy()
    model = trained(features, labels, MLPConfig(layers=3, width=16, epochs=3, step=2, batch=64))
    predicted = model.probabilities(torch.from_numpy(features)).argmax(2).numpy()
    assert (predicted == labels.reshape(40, -1)).mean() > 0.99


@pytest.mark.parametrize("shards", [1, 4])
def test_same_bits_for_any_number_of_threads(shards):
    features, labels = problem(count=12)
    config = MLPConfig(layers=3, width=16, reduce=3, epochs=2, step=1, batch=256, shards=shards)
    states = [trained(features, labels, config, threads).state_dict() for threads in (1, 2, 4)]
    for other in states[1:]:
        assert all(torch.equal(value, other[name]) for name, value in states[0].items())


def test_one_shard_is_plain_batch_training():
    """The replica path gives what an ordinary training loop gives."""
    features, labels = problem()
    config = MLPConfig(layers=3, width=16, epochs=1, step=1, batch=105)
    model = trained(features, labels, config)
    random = np.random.default_rng(0)
    torch.manual_seed(0)
    plain = NeighborhoodMLP(4, int(labels.max()) + 1, 3, config).train()
    random.choice(210, 210, replace=False)
    order = torch.from_numpy(random.permutation(210)).view(2, 105)
    rows, targets = torch.from_numpy(features.reshape(-1, 4)), torch.from_numpy(labels.reshape(-1))
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3)
    for positions in order:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(
            plain(gather(rows, positions, plain.offsets, 7, 5)), targets[positions]
        ).backward()
        optimizer.step()
    for name, value in plain.state_dict().items():
        if value.dtype.is_floating_point:
            torch.testing.assert_close(model.state_dict()[name], value, rtol=1e-4, atol=1e-5)


def test_the_papers_size():
    with torch.device("meta"):
        model = NeighborhoodMLP(1024, 2048, 9, MLPConfig())
    linear = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    assert len(linear) == 10
    assert linear[0].in_features == 80 * 1024
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(205e6, rel=0.01)


def test_dropout_thins_out_in_training_only_and_keeps_the_mean():
    layer = SeededDropout(0.25)
    layer.generator = torch.Generator().manual_seed(0)
    ones = torch.ones(400, 100)
    thinned = layer.train()(ones)
    assert thinned.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert float((thinned == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert torch.equal(layer.eval()(ones), ones)


def test_dropout_follows_every_hidden_layer_and_is_absent_at_0():
    model = NeighborhoodMLP(4, 6, 3, replace(SMALL, layers=4, dropout=0.5))
    kinds = [type(layer) for layer in model.rest]
    assert kinds.count(SeededDropout) == 3
    assert all(kinds[index - 1] is torch.nn.ReLU for index, kind in enumerate(kinds) if kind is SeededDropout)
    assert SeededDropout not in [type(layer) for layer in NeighborhoodMLP(4, 6, 3, SMALL).rest]


def test_dropout_masks_differ_between_layers_and_not_with_the_number_of_threads():
    features, labels = problem(count=12)
    config = replace(SMALL, layers=4, batch=256, positions=0, shards=4, dropout=0.5)
    one = trained(features, labels, config).state_dict()
    for threads in (2, 4):
        other = trained(features, labels, config, threads).state_dict()
        assert all(torch.equal(value, other[name]) for name, value in one.items())
    model = NeighborhoodMLP(4, 6, 3, config).train()
    model.seed_dropout(7, torch.device("cpu"))
    masks = [layer(torch.ones(8, 16)) for layer in model.rest if isinstance(layer, SeededDropout)]
    assert not torch.equal(masks[0], masks[1])


def test_the_options_off_leave_the_training_as_it_is():
    """A validation share draws from a stream of its own; without one the positions are those of before."""
    features, labels = problem()
    plain = trained(features, labels).state_dict()
    same = trained(features, labels, replace(SMALL, dropout=0.0, validation=0.0)).state_dict()
    assert all(torch.equal(value, same[name]) for name, value in plain.items())
    assert "temperature" not in plain


@pytest.mark.parametrize(
    ("count", "share", "expected"), [(10, 0.1, [5]), (10, 0.3, [1, 4, 7]), (3, 0.01, [1]), (4, 0.0, [])]
)
def test_held_out_images_are_evenly_spaced(count, share, expected):
    assert np.flatnonzero(validation_images(count, share)).tolist() == expected


def test_a_validation_share_that_leaves_nothing_is_refused():
    with pytest.raises(PniError, match=r"mlp\.validation of 0\.5 must leave images to train on, got 1 image"):
        validation_images(1, 0.5)


def test_held_out_images_are_not_trained_on():
    features, labels = problem()
    config = replace(SMALL, validation=0.2, epochs=1, reduce=0)
    held = validation_images(6, 0.2)
    assert held.sum() == 1
    changed = features.copy()
    changed[held] += 5
    before, after = (trained(each, labels, config).state_dict() for each in (features, changed))
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    without = trained(changed, labels, replace(config, validation=0.0)).state_dict()
    assert not all(torch.equal(value, without[name]) for name, value in before.items())


def test_the_best_epoch_is_kept():
    """On labels of pure chance every further epoch only learns by heart: the first is the best."""
    features, labels = problem(count=10)
    config = replace(SMALL, positions=0, validation=0.3, epochs=5, step=8, learning_rate=0.02)
    kept = trained(features, labels, config)
    held = np.flatnonzero(np.repeat(validation_images(10, 0.3), 35))
    judge = judge_of(features, labels, held)
    losses = [
        judge.loss(judge.logits(trained(features, labels, replace(config, epochs=epochs))))
        for epochs in range(1, 6)
    ]
    assert judge.loss(judge.logits(kept)) == min(losses) == losses[-1]
    index = int(np.argmin(losses))
    assert index < 4, "the last epoch must not be the best, or the test proves nothing"
    assert losses[index:] == [losses[index]] * (5 - index)


def test_the_fitted_temperature_is_the_most_probable_one_and_is_saved():
    features, labels = problem(count=10)
    config = replace(SMALL, positions=0, validation=0.3, epochs=4, step=8, learning_rate=0.02)
    model = trained(features, labels, replace(config, fit_temperature=True))
    held = np.flatnonzero(np.repeat(validation_images(10, 0.3), 35))
    judge = judge_of(features, labels, held)
    logits, fitted = judge.logits(model), float(model.temperature)
    assert fitted > 1.1, "labels of chance: the network must be told to be unsure"
    best = min(judge.loss(logits, temperature) for temperature in np.geomspace(0.1, 19, 60))
    assert judge.loss(logits, fitted) <= best + 1e-4
    assert float(model.state_dict()["temperature"]) == fitted
    again = NeighborhoodMLP(4, 6, 3, replace(config, fit_temperature=True))
    again.load_state_dict(model.state_dict())
    maps = torch.from_numpy(features)
    assert torch.equal(again.eval().probabilities(maps), model.probabilities(maps))
    expected = torch.softmax(logits / fitted, dim=1)
    found = model.probabilities(maps).reshape(-1, 6)[torch.from_numpy(np.sort(held))]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shards", [1, 4])
def test_same_bits_with_every_option_for_any_number_of_threads(shards):
    features, labels = problem(count=12)
    config = replace(
        SMALL, batch=256, positions=0, shards=shards, dropout=0.3, validation=0.2, fit_temperature=True
    )
    states = [trained(features, labels, config, threads).state_dict() for threads in (1, 2, 4)]
    for other in states[1:]:
        assert all(torch.equal(value, other[name]) for name, value in states[0].items())


@pytest.fixture
def no_collection():
    """What is in no circle goes at once; the rest would stay until a collection, which is off here."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("shards", [1, 2])
def test_training_leaves_nothing_behind_but_the_weights(shards, monkeypatch):
    """On a GPU inputs, gradients and the optimiser's moments are gigabytes that others wait for."""
    kept = []

    def watched(make):
        def made(*arguments, **more):
            kept.append(weakref.ref(result := make(*arguments, **more)))
            return result

        return made

    monkeypatch.setattr(training, "neighborhood_rows", watched(training.neighborhood_rows))
    monkeypatch.setattr(torch.optim, "Adam", watched(torch.optim.Adam))
    config = replace(SMALL, batch=128, shards=shards)
    model = trained(*problem(), config)
    assert len(kept) == 2
    assert [one() for one in kept] == [None] * len(kept)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.usefixtures("no_collection")
def test_a_scorer_under_another_rule_shares_the_network_and_leaves_nothing_behind():
    features, labels = problem()
    position = np.random.default_rng(1).dirichlet(np.full(6, 0.2), (7, 5)).astype(np.float32)
    distribution = Distribution(features[0, 0, :5], np.arange(5), 6, position, None)
    first = Scorer(None, trained(features, labels), AverageRule(distribution, CPU), None)
    other = replace(distribution, position=position[::-1].copy())
    second = first.with_rule(AverageRule(other, CPU))
    assert second.neighborhood is first.neighborhood
    alone = Scorer(None, first.neighborhood.mlp, AverageRule(other, CPU), None)
    (expected,), (found,), (before,) = (scorer.conditions(features[:2]) for scorer in (alone, second, first))
    np.testing.assert_array_equal(found, expected)
    assert not np.array_equal(before, found)
    watched = [weakref.ref(scorer) for scorer in (first, second, alone)]
    del first, second, alone
    assert [one() for one in watched] == [None] * 3
