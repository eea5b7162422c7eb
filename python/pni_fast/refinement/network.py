"""The refinement network of section 3.3 and figure 4."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from pni_fast.config import RefinerConfig
from pni_fast.errors import WeightsError
from pni_fast.features.backbones import create_pyramid, training_statistics
from pni_fast.features.weights import load_weights
from pni_fast.runtime.precision import FLOAT32, Precision

from .fusion import fuse

STEEPNESS = 6.0
"""Of the logistic curve a residual network starts from: 1, the highest value of a normal map, gives ½."""


class FusedStem(nn.Module):
    """First convolution of image and of map, averaged: early fusion (Imran et al., CVPR 2019).

    The image branch starts as twice the pretrained convolution and the map branch as zero, so that their mean
    starts as exactly what the pretrained layers behind it expect.

    Parameters
    ----------
    convolution
        The encoder's first convolution, 3 channels in.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.image = convolution
        self.map = type(convolution)(
            1,
            convolution.out_channels,
            kernel_size=convolution.kernel_size,  # type: ignore[arg-type]
            stride=convolution.stride,  # type: ignore[arg-type]
            padding=convolution.padding,  # type: ignore[arg-type]
            bias=False,
        )
        with torch.no_grad():
            self.map.weight.zero_()

    def start_from_pretrained(self) -> None:
        """Double the image branch, once, after pretrained weights were put into it."""
        with torch.no_grad():
            self.image.weight.mul_(2.0)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the fused features of inputs (B, 4, H, W): RGB, then the map."""
        fused: Tensor = (self.image(inputs[:, :3]) + self.map(inputs[:, 3:])) / 2
        return fused


class UpBlock(nn.Module):
    """Bilinear upsampling to a skip connection's size, then two convolutions over both.

    An encoder's features are an order of magnitude larger than what the decoder starts from; each convolution
    is followed by a group norm, whose statistics are the image's own.
    """

    def __init__(self, below: int, skip: int, width: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(below + skip, width, 3, padding=1, bias=False),
            nn.GroupNorm(_groups(width), width),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.GroupNorm(_groups(width), width),
            nn.LeakyReLU(0.2, inplace=True),
        )

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        """Return features of the size of `skip`."""
        raised = F.interpolate(below, size=skip.shape[2:], mode="bilinear", align_corners=False)
        features: Tensor = self.convolutions(torch.cat((raised, skip), dim=1))
        return features


class RefinementNetwork(nn.Module):
    """Image and anomaly map in, refined map out, both of any size (section 3.3, figure 4).

    The encoder's batch norms keep their pretrained statistics: what an image's map becomes does not depend on
    the other images of a batch, and a batch's gradient is the sum of its images'. The output passes a
    sigmoid: the ground truth is in [0, 1], and a clamp would stop the gradient of a pixel beyond it.

    Parameters
    ----------
    config
        Encoder, levels, decoder widths and working size.

    Raises
    ------
    WeightsError
        timm does not know the encoder, or it has no such levels or does not begin with a convolution.

    Attributes
    ----------
    config
        The configuration given.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: RefinerConfig) -> None:
        super().__init__()
        self.config = config
        encoder = create_pyramid(config.encoder, "encoder", config.levels)
        _prune(encoder)
        self._stem_name, convolution = _first_convolution(encoder)
        _replace(encoder, self._stem_name, FusedStem(convolution))
        self.encoder = encoder
        channels: list[int] = encoder.feature_info.channels()
        skips = [*channels[-2::-1], 4]
        below = [channels[-1], *config.widths[:-1]]
        self.decoder = nn.ModuleList(
            UpBlock(*sizes) for sizes in zip(below, skips, config.widths, strict=True)
        )
        self.head = nn.Conv2d(config.widths[-1], 1, 3, padding=1)
        with torch.no_grad():
            if config.residual:
                self.head.weight.zero_()
                self.gain = nn.Parameter(torch.tensor(STEEPNESS))
            # Where the map says nothing, start near "no defect": defects are rare.
            self.head.bias.fill_(-STEEPNESS if config.residual else -3.0)  # type: ignore[union-attr]
        # What no file holds has its values at once, even where the layers are built as shapes alone ("meta").
        mean, std = (
            torch.tensor(values, device="cpu").view(1, -1, 1, 1)
            for values in training_statistics(config.encoder)
        )
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def load_pretrained(self, weights: Path | None = None) -> str:
        """Fill the encoder with pretrained weights and say where they came from.

        Parameters
        ----------
        weights
            A state dict of the encoder. None: the embedded weights, or timm's hub.

        Raises
        ------
        WeightsError
            The weights cannot be read or fetched, or do not fit.
        """
        stem = self.encoder.get_submodule(self._stem_name)
        assert isinstance(stem, FusedStem)
        _replace(self.encoder, self._stem_name, stem.image)
        source = load_weights(self.encoder, self.config.encoder, weights)
        _replace(self.encoder, self._stem_name, stem)
        stem.start_from_pretrained()
        return source

    def train(self, mode: bool = True) -> RefinementNetwork:
        """Switch to training; the encoder's batch norms stay with the statistics they have."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, images: Tensor, maps: Tensor) -> Tensor:
        """Return refined maps at the size of the input.

        Parameters
        ----------
        images
            RGB in [0, 1], float32 (B, 3, H, W).
        maps
            Â, float32 (B, H, W), normalised by constants fixed when the detector was fitted.

        Returns
        -------
        Tensor
            Ã, float32 (B, H, W), in (0, 1).
        """
        maps = maps.unsqueeze(1)
        pixels = torch.cat(((images - self.mean) / self.std, maps), dim=1)
        levels: list[Tensor] = self.encoder(pixels)
        features = levels[-1]
        for block, skip in zip(self.decoder, [*levels[-2::-1], pixels], strict=True):
            features = block(features, skip)
        logits = self.head(features)
        if self.config.residual:
            logits = logits + self.gain * maps
        refined: Tensor = torch.sigmoid(logits.float()).squeeze(1)
        return refined

    def refine(
        self, images: NDArray[np.uint8], maps: NDArray[np.float32], precision: Precision = FLOAT32
    ) -> NDArray[np.float32]:
        """Refine maps of images at any size; the network sees them reduced to its working size.

        Parameters
        ----------
        images
            uint8 (B, H, W, 3).
        maps
            Â, float32 (B, H, W).
        precision
            Of the layers.

        Returns
        -------
        NDArray[np.float32]
            Ã, (B, H, W), in [0, 1].

        Raises
        ------
        ValueError
            The shapes do not fit each other.
        """
        if images.ndim != 4 or images.shape[3] != 3 or maps.shape != images.shape[:3]:
            raise ValueError(
                "images must be (B, H, W, 3) and maps (B, H, W) of the same B, H and W, "
                f"got {images.shape} and {maps.shape}"
            )
        device = self.mean.device
        pixels = torch.from_numpy(np.array(images, order="C")).to(device)
        given = torch.from_numpy(np.array(maps, dtype=np.float32, order="C")).to(device)
        result: NDArray[np.float32] = self.refined(pixels, given, precision).cpu().numpy()
        return result

    @torch.inference_mode()
    def refined(self, images: Tensor, maps: Tensor, precision: Precision = FLOAT32) -> Tensor:
        """Return :meth:`refine` of tensors where the network is; nothing waits for a GPU."""
        pixels, size = images.permute(0, 3, 1, 2).float() / 255.0, tuple(images.shape[1:3])
        working = working_size(size, self.config.side)
        with precision.in_networks():
            given = reduce_to(maps.unsqueeze(1), working).squeeze(1)
            found = self(reduce_to(pixels, working), given).unsqueeze(1)
        if working != size:
            found = F.interpolate(found, size=size, mode="bilinear", align_corners=False)
        refined: Tensor = found.squeeze(1)
        return refined

    def fused(
        self, images: NDArray[np.uint8], maps: NDArray[np.float32], precision: Precision = FLOAT32
    ) -> NDArray[np.float32]:
        """Return the final maps: `refine`, then `fuse` at the configured ratio; arguments as for `refine`."""
        return fuse(self.refine(images, maps, precision), maps, self.config.ratio)


def working_size(size: Sequence[int], side: int | None) -> tuple[int, int]:
    """Return the (H, W) the network works at: the longer side brought down to `side`, never up."""
    scale = 1.0 if side is None else min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def reduce_to(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Average (B, C, H, W) over areas down to `size`."""
    return maps if tuple(maps.shape[2:]) == size else F.adaptive_avg_pool2d(maps, size)


def _groups(width: int) -> int:
    """Return the largest number of groups up to 8 that divides `width`."""
    return next(count for count in range(8, 0, -1) if width % count == 0)


def _first_convolution(network: nn.Module) -> tuple[str, nn.Conv2d]:
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            return name, module
    raise WeightsError(f"encoder must start with a 2d convolution, got {type(network).__name__}")


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)


def _prune(encoder: nn.Module) -> None:
    """Drop the stages behind the last level used, which timm leaves in its EfficientNets."""
    stage = str(encoder.feature_info.module_name()[-1])  # type: ignore[operator, union-attr]
    blocks = getattr(encoder, "blocks", None)
    if isinstance(blocks, nn.Sequential) and stage.startswith("blocks."):
        encoder.blocks = blocks[: int(stage.removeprefix("blocks.")) + 1]
