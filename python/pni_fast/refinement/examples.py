"""Training examples (I, Â, A): made once and kept, or made anew for every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from pni_fast.config import RefinerConfig
from pni_fast.errors import DataError
from pni_fast.progress import Progress
from pni_fast.synthetic import SyntheticDefect, SyntheticDefects, Textures
from pni_fast.synthetic.colour import jitter

from .network import reduce_to, working_size

AnomalyMap = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""The fitted detector: crops uint8 (B, H, W, 3) to normalised maps Â, float32 (B, H, W)."""


@dataclass(frozen=True)
class RefinementTask:
    """One category to train a refiner on.

    Attributes
    ----------
    images
        Normal images, uint8 (H, W, 3), all of one size. Best ones the detector was not fitted on: a map of
        an image whose own features are in the coreset is quieter than that of a new one.
    anomaly_map
        The detector fitted on that category.
    textures, drawn_masks
        See `synthetic.SyntheticDefects`.
    detector
        What tells this detector from others, a digest say: a checkpoint is bound to it.
    """

    images: Sequence[NDArray[np.uint8]]
    anomaly_map: AnomalyMap
    textures: Textures | None = None
    drawn_masks: Sequence[NDArray[np.bool_]] = field(default=())
    detector: str = ""


class Example(NamedTuple):
    """One training example at the network's working size: I uint8 (h, w, 3), Â and A float32 (h, w).

    `sound` is the map of the same image without the defect, where the augmentation needs it.
    """

    image: NDArray[np.uint8]
    map: NDArray[np.float32]
    truth: NDArray[np.float32]
    sound: NDArray[np.float32] | None = None


class Examples(Protocol):
    """Where the examples of a step come from."""

    def batch(self, iteration: int) -> list[Example]:
        """Return the examples of a step, a function of the seed and the step alone."""


def check_images(images: Sequence[NDArray[np.uint8]], expected: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the one shape that all images have.

    Raises
    ------
    DataError
        There is none, or one is not uint8 (H, W, 3) or differs in size from those before it.
    """
    if len(images) == 0:
        raise DataError("refinement needs at least one normal image, got none")
    for index in range(len(images)):
        image = images[index]
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise DataError(
                f"refinement image {index} must be uint8 (H, W, 3), got {image.dtype} of shape {image.shape}"
            )
        expected = expected or image.shape
        if image.shape != expected:
            raise DataError(
                f"refinement images must have one size: image {index} is {image.shape[0]}×{image.shape[1]} "
                f"(H×W), those before it are {expected[0]}×{expected[1]}"
            )
    assert expected is not None
    return expected


def defects(tasks: Sequence[RefinementTask], seed: int, count: int) -> list[SyntheticDefects]:
    """Return one endless-enough sequence of defects for each task, each with a seed of its own."""
    return [
        SyntheticDefects(task.images, seed + number, task.textures, task.drawn_masks, count=count)
        for number, task in enumerate(tasks)
    ]


def to_examples(
    images: NDArray[np.uint8], masks: NDArray[np.bool_], anomaly_map: AnomalyMap, side: int | None
) -> list[Example]:
    """Compute the maps of images (n, H, W, 3) and bring them, their maps and masks to the working size.

    Raises
    ------
    ValueError
        The maps have another shape than the images, or hold NaN or infinity.
    """
    maps = np.asarray(anomaly_map(images), dtype=np.float32)
    if maps.shape != images.shape[:3]:
        raise ValueError(f"anomaly_map must return shape {images.shape[:3]}, got {maps.shape}")
    if not np.isfinite(maps).all():
        raise ValueError("anomaly_map must return finite values, got NaN or infinity")
    truth = masks.astype(np.float32)
    size = working_size(images.shape[1:3], side)
    if size == images.shape[1:3]:
        return [Example(*parts) for parts in zip(images, maps, truth, strict=True)]
    stack = np.concatenate((images.transpose(0, 3, 1, 2), maps[:, None], truth[:, None]), axis=1)
    reduced = reduce_to(torch.from_numpy(stack), size).numpy()
    pixels = np.ascontiguousarray(np.rint(reduced[:, :3]).transpose(0, 2, 3, 1)).astype(np.uint8)
    return [Example(*parts) for parts in zip(pixels, reduced[:, 3], reduced[:, 4], strict=True)]


def defective(items: Sequence[SyntheticDefect], anomaly_map: AnomalyMap, side: int | None) -> list[Example]:
    """Return the examples of synthetic defects; see `to_examples`."""
    images, masks = np.stack([item.image for item in items]), np.stack([item.mask for item in items])
    return to_examples(images, masks, anomaly_map, side)


def sound(task: RefinementTask, config: RefinerConfig) -> list[Example]:
    """Return the examples of a task's images as they are, without any defect."""
    examples: list[Example] = []
    for start in range(0, len(task.images), config.batch):
        images = np.stack(task.images[start : start + config.batch])
        masks = np.zeros(images.shape[:3], dtype=np.bool_)
        examples += to_examples(images, masks, task.anomaly_map, config.side)
    return [example._replace(sound=example.map) for example in examples]


class Bank:
    """A fixed set of examples, made once; every epoch goes through it in an order of its own.

    What a detector says of an image is the costly part of an example, so a CPU pays it once. Kinds of defects
    stay in equal parts within every epoch.
    """

    def __init__(
        self,
        tasks: Sequence[RefinementTask],
        config: RefinerConfig,
        seed: int,
        pool: Executor,
        progress: Progress,
    ) -> None:
        self._seed = seed
        self._batch = config.batch
        self._examples: list[Example] = []
        count = min(config.bank, config.iterations * config.batch)
        progress("synthetic maps", 0, count)
        done = 0
        shares = [len(part) for part in np.array_split(np.arange(count), len(tasks))]
        for task, items, share in zip(tasks, defects(tasks, seed, count), shares, strict=True):
            clean = sound(task, config) if config.needs_sound_maps else []
            for start in range(0, share, config.batch):
                made = list(pool.map(items.__getitem__, range(start, min(start + config.batch, share))))
                examples = defective(made, task.anomaly_map, config.side)
                if clean:
                    examples = [
                        example._replace(sound=clean[item.source].map)
                        for example, item in zip(examples, made, strict=True)
                    ]
                self._examples += examples
                done += len(examples)
                progress("synthetic maps", done, count)
            self._examples += [clean[number % len(clean)] for number in range(int(share * config.sound))]

    def batch(self, iteration: int) -> list[Example]:
        """Return the examples of a step, a function of the seed and the step alone."""
        places = range(iteration * self._batch, (iteration + 1) * self._batch)
        return [self._examples[self._order(*divmod(place, len(self._examples)))] for place in places]

    def _order(self, epoch: int, place: int) -> int:
        return int(np.random.default_rng((self._seed, 3, epoch)).permutation(len(self._examples))[place])


class Online:
    """Samples made when they are needed and seen once; the next step's defects are drawn meanwhile."""

    def __init__(
        self, tasks: Sequence[RefinementTask], config: RefinerConfig, seed: int, pool: Executor
    ) -> None:
        self._tasks = tasks
        self._config = config
        self._pool = pool
        self._defects = defects(tasks, seed, config.iterations * config.batch)
        self._ahead: tuple[int, list[Future[SyntheticDefect]]] | None = None

    def batch(self, iteration: int) -> list[Example]:
        """Return the examples of a step, a function of the seed and the step alone."""
        if self._ahead is None or self._ahead[0] != iteration:
            self._ahead = (iteration, self._draw(iteration))
        items = [future.result() for future in self._ahead[1]]
        if iteration + 1 < self._config.iterations:
            self._ahead = (iteration + 1, self._draw(iteration + 1))
        task = self._tasks[iteration % len(self._tasks)]
        return defective(items, task.anomaly_map, self._config.side)

    def _draw(self, iteration: int) -> list[Future[SyntheticDefect]]:
        """Draw a step's defects from one task, so that one detector maps them all; tasks take turns."""
        turn, number = divmod(iteration, len(self._tasks))
        items = self._defects[number]
        places = range(turn * self._config.batch, (turn + 1) * self._config.batch)
        return [self._pool.submit(items.__getitem__, place) for place in places]


def augment(
    example: Example, config: RefinerConfig, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Fade what a defect adds to the map, mirror and turn an example as a whole, change its colours.

    Synthetic defects stand out more than many real ones do: a network that has only seen them at full
    strength passes over a faint one.

    This comes after Â is computed, not before: to a detector that knows positions a mirrored or turned part
    is itself an anomaly, and a refiner taught on such maps learns to distrust them.

    Parameters
    ----------
    example
        At the working size.
    config
        Faintest map, largest turn and largest change of colour.
    rng
        Source of the amounts.

    Returns
    -------
    image, map, truth
        float32 tensors: (3, h, w) in [0, 1], (h, w), (h, w).
    """
    found = example.map
    if config.faintest < 1.0 and example.sound is not None:
        found = example.sound + np.float32(rng.uniform(config.faintest, 1.0)) * (found - example.sound)
    image = jitter(example.image, config.colour, rng) if config.colour else example.image
    mirrored = bool(rng.random() < 0.5)
    turn = float(np.deg2rad(rng.uniform(-config.rotation, config.rotation)))
    pixels = torch.from_numpy(image).permute(2, 0, 1).float() / 255.0
    stack = torch.cat((pixels, torch.from_numpy(np.stack((found, example.truth)))))[None]
    if mirrored:
        stack = stack.flip(3)
    if config.rotation:
        stack = _turn(stack, turn)
    return stack[0, :3], stack[0, 3], stack[0, 4]


def _turn(stack: Tensor, turn: float) -> Tensor:
    """Rotate (1, C, H, W) about its centre, mirrored at the border; angles are those of the pixel grid."""
    height, width = stack.shape[2:]
    cosine, sine = float(np.cos(turn)), float(np.sin(turn))
    theta = torch.tensor([[[cosine, -sine * height / width, 0.0], [sine * width / height, cosine, 0.0]]])
    grid = F.affine_grid(theta, list(stack.shape), align_corners=False)
    return F.grid_sample(stack, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
