import numpy as np
import pytest
import torch
from pni_fast.neighborhood import NeighborhoodMLP
from pni_fast.neighborhood_training import train_neighborhood
from pni_fast.presets import MLPConfig

SMALL = MLPConfig(layers=3, width=16, epochs=2, step=1, batch=64, positions=256, shards=1)


def trained(features, labels, config=SMALL, workers=1, **overrides):
    settings = {"device": torch.device("cpu"), "seed": 0, "workers": workers} | overrides
    return train_neighborhood(features, labels, int(labels.max()) + 1, 3, config, **settings)


def problem(count=6, height=7, width=5, dimension=4, classes=6):
    random = np.random.default_rng(0)
    return (
        random.standard_normal((count, height, width, dimension)).astype(np.float32),
        random.integers(0, classes, (count, height, width)),
    )


def test_gathering_takes_every_neighbour_but_the_centre_and_zeros_outside():
    model = NeighborhoodMLP(2, 3, 3, SMALL)
    maps = torch.arange(2 * 4 * 5 * 2, dtype=torch.float32).view(2, 4, 5, 2)
    padded = torch.zeros(2, 6, 7, 2)
    padded[:, 1:-1, 1:-1] = maps
    positions = torch.arange(40)
    gathered = model.gather(maps.view(-1, 2), positions, 4, 5)
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
    logits = model(model.gather(rows, torch.arange(len(rows)), 7, 5))
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
def test_same_bits_for_any_number_of_workers(shards):
    features, labels = problem(count=12)
    config = MLPConfig(layers=3, width=16, reduce=3, epochs=2, step=1, batch=256, shards=shards)
    states = [trained(features, labels, config, workers).state_dict() for workers in (1, 2, 4)]
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
            plain(plain.gather(rows, positions, 7, 5)), targets[positions]
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
