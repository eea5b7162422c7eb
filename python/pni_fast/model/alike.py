"""Which normal images a model with context holds an image against."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pni_fast.data import Source
from pni_fast.runtime.copies import Values, to_host
from pni_fast.runtime.run import Run
from pni_fast.runtime.stream import stream

from .ensemble import FittedModel


def alike_images(fitted: FittedModel, sources: Iterable[Source], run: Run) -> Iterator[tuple[str, ...]]:
    """Yield, for every image, the names of the training images that context compares it with.

    Parameters
    ----------
    fitted
        Of an ensemble the first member with context answers. Without context no image is read, and every
        answer is empty; so it is where the model knows no names.
    sources
        The images.
    run
        Where the backbone runs.
    """
    members = [one for one in fitted.members if one.distribution.context is not None]
    context = members[0].distribution.context if members else None
    if context is None or not context.names:
        for _ in sources:
            yield ()
        return
    scorer = members[0].likelihood_scorer(run)

    def alike(crops: Values) -> list[tuple[str, ...]]:
        (grids,) = to_host(scorer.features(crops))
        rows = (grid.reshape(-1, grid.shape[-1]) for grid in grids)
        return [tuple(context.names[number] for number in context.alike(one)) for one in rows]

    for item in stream(sources, fitted.config.geometry, alike, run):
        yield item.result
