"""What each kind of patch is surrounded by: the MLP for p(c_dist | N_p(x)) (section 3.2, equation 7)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pni_fast.config import MLPConfig
from pni_fast.errors import PniError
from pni_fast.runtime.precision import Precision


class SeededDropout(nn.Module):
    """Dropout that draws from a generator of its own: threads that train side by side keep their bits.

    Parameters
    ----------
    share
        Probability with which an activation is set to 0 in training; the others are scaled up to match.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.generator: torch.Generator | None = None

    def forward(self, values: Tensor) -> Tensor:
        """Return `values`, thinned out in training mode."""
        if not self.training:
            return values
        drawn = torch.rand(values.shape, generator=self.generator, device=values.device)
        return values * (drawn >= self.share) / (1 - self.share)


class NeighborhoodMLP(nn.Module):
    """Predict the class of a patch from its p·p − 1 neighbours, zeros outside the map.

    The centre is left out, unless the configuration has it in.

    Parameters
    ----------
    dimension
        d, length of a feature vector.
    n_classes
        |C_dist|.
    size
        p, odd.
    config
        Layers, width, the number of principal components used, and whether the centre is seen.

    Raises
    ------
    PniError
        The window has no neighbours, or no centre.
    """

    center: Tensor
    offsets: Tensor
    projection: Tensor
    temperature: Tensor

    def __init__(self, dimension: int, n_classes: int, size: int, config: MLPConfig) -> None:
        super().__init__()
        self.size = size
        self.inputs = min(config.reduce, dimension) or dimension
        if size < 3 or size % 2 == 0:
            raise PniError(f"neighborhood_size must be odd and at least 3 for a neighborhood MLP, got {size}")
        half = size // 2
        # (dy, dx) of N_p(x) in the order of the first layer's inputs: rows, then columns.
        window = range(-half, half + 1)
        offsets = [(dy, dx) for dy in window for dx in window if config.center or (dy, dx) != (0, 0)]
        # What no file holds has its values at once, even where the layers are built as shapes alone ("meta").
        # Kept on the device: copying it there for every batch would stall the GPU.
        self.register_buffer("offsets", torch.tensor(offsets, device="cpu"), persistent=False)
        # T of the softmax when scoring; a fitted one is saved with the weights.
        self.register_buffer(
            "temperature",
            torch.tensor(config.temperature, device="cpu"),
            persistent=config.fit_temperature,
        )
        if self.inputs < dimension:
            self.register_buffer("center", torch.zeros(dimension))
            self.register_buffer("projection", torch.zeros(dimension, self.inputs))
        self.first = nn.Linear(len(self.offsets) * self.inputs, config.width, bias=False)
        layers: list[nn.Module] = []
        for index in range(config.layers - 1):
            if index:
                layers.append(nn.Linear(config.width, config.width, bias=False))
            layers += [nn.BatchNorm1d(config.width), nn.ReLU()]
            if config.dropout:
                layers.append(SeededDropout(config.dropout))
        self.rest = nn.Sequential(*layers, nn.Linear(config.width, n_classes))

    def seed_dropout(self, seed: int, device: torch.device) -> None:
        """Start the generators of the dropout layers, each with a seed of its own."""
        for index, module in enumerate(self.modules()):
            if isinstance(module, SeededDropout):
                module.generator = torch.Generator(device).manual_seed(seed + index)

    def set_projection(self, sample: Tensor) -> None:
        """Fix the principal components from a (m, d) sample of training features, scaled to unit variance."""
        if not hasattr(self, "projection"):
            return
        center = sample.mean(0)
        centered = (sample - center).double()
        values, vectors = torch.linalg.eigh(centered.T @ centered / max(len(sample) - 1, 1))
        # eigh leaves the sign of each vector open; the largest entry is made positive.
        vectors = vectors[:, -self.inputs :].flip(1)
        signs = torch.sign(vectors[vectors.abs().argmax(0), torch.arange(self.inputs)])
        scale = values.mean().clamp_min(1e-12).sqrt()
        self.center.copy_(center)
        self.projection.copy_(vectors * signs / scale)

    def reduce(self, features: Tensor) -> Tensor:
        """Return the (…, r) inputs of the MLP for (…, d) features."""
        if hasattr(self, "projection"):
            features = (features - self.center) @ self.projection
        return features

    def forward(self, neighbors: Tensor) -> Tensor:
        """Return logits (b, |C_dist|) of gathered neighbours."""
        logits: Tensor = self.rest(self.first(neighbors))
        return logits

    def kernel(self) -> Tensor:
        """Return the first layer as a convolution kernel, (width, r, p, p), zero where nothing is seen."""
        width = self.first.weight.shape[0]
        full = self.first.weight.view(width, len(self.offsets), self.inputs)
        if len(self.offsets) < self.size**2:
            middle = len(self.offsets) // 2
            full = torch.cat([full[:, :middle], torch.zeros_like(full[:, :1]), full[:, middle:]], dim=1)
        return full.transpose(1, 2).reshape(width, self.inputs, self.size, self.size)

    @torch.inference_mode()
    def scoring_kernel(self, precision: Precision) -> Tensor:
        """Return :meth:`kernel` in the type and layout the convolution of many maps takes."""
        kernel = self.kernel().to(precision.networks)
        # Feature maps are rows of channels in memory; a kernel laid out alike is not copied for each batch.
        return kernel.contiguous(memory_format=torch.channels_last) if kernel.is_cuda else kernel

    @torch.inference_mode()
    def probabilities(self, features: Tensor, kernel: Tensor | None = None) -> Tensor:
        """Return p(c_dist | N_p(x)), float32 (b, h·w, |C_dist|), of features (b, h, w, d): all in float32."""
        return self.classes(self.reduce(features), self.kernel() if kernel is None else kernel)

    def classes(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """Return p(c_dist | N_p(x)) at temperature T; the layers compute as the caller's autocast says.

        Parameters
        ----------
        inputs
            What :meth:`reduce` makes of features, (b, h, w, r).
        kernel
            The first layer, from :meth:`scoring_kernel`.

        Returns
        -------
        Tensor
            float32 (b, h·w, |C_dist|); the softmax is taken in float32.
        """
        hidden = F.conv2d(inputs.permute(0, 3, 1, 2), kernel, padding=self.size // 2)
        logits: Tensor = self.rest(hidden.permute(0, 2, 3, 1).flatten(0, 2))
        probabilities = F.softmax(logits.float() / self.temperature, dim=1)
        return probabilities.view(len(inputs), -1, logits.shape[1])


def gather(
    rows: Tensor, positions: Tensor, offsets: Tensor, height: int, width: int, out: Tensor | None = None
) -> Tensor:
    """Return the concatenated neighbours, (b, offsets·r), of positions in a stack of maps.

    Parameters
    ----------
    rows
        (n·height·width, r): all maps, row by row.
    positions
        (b,) int64 indices into `rows`, on its device.
    offsets
        :attr:`NeighborhoodMLP.offsets`, on the same device.
    height, width
        Size of one map.
    out
        Where to write the result.
    """
    y, x = positions // width % height, positions % width
    dy, dx = offsets.T
    inside = (
        (y[:, None] + dy >= 0)
        & (y[:, None] + dy < height)
        & (x[:, None] + dx >= 0)
        & (x[:, None] + dx < width)
    )
    index = torch.where(inside, positions[:, None] + dy * width + dx, positions[:, None])
    flat = None if out is None else out.view(-1, rows.shape[1])
    neighbors = torch.index_select(rows, 0, index.flatten(), out=flat)
    neighbors.view(*index.shape, -1).masked_fill_(~inside[..., None], 0)
    return neighbors.view(len(positions), -1)
