"""The run over a data set: category by category, past broken ones, resuming what an earlier run began."""

from __future__ import annotations

import hashlib
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from pni_fast.config import Config, WeightsFile, member_weights
from pni_fast.config import preset as preset_config
from pni_fast.config.overrides import SWITCH
from pni_fast.data import category_names, open_benchmark
from pni_fast.errors import DataError, PniError, WeightsError
from pni_fast.features.engines.choose import choose_engine
from pni_fast.model.computing import resolved_run
from pni_fast.model.fit import check_refiner_options
from pni_fast.model.pni import PNI
from pni_fast.progress import Progress, silent
from pni_fast.runtime.files import locked, mark_results
from pni_fast.runtime.targets import writing

from .measure import Plan, measure_category
from .outputs import draw_figures, write_tables
from .records import Record, RunFolder, all_records, contents, read_json
from .variants import Variant
from .variants import ablation as ablation_of


@dataclass(frozen=True)
class Failure:
    """A category that could not be measured.

    Attributes
    ----------
    category, preset
        Which one.
    error
        One line: what is wrong.
    trace
        The traceback of an error that is no fault of the input, else None.
    """

    category: str
    preset: str
    error: str
    trace: str | None = None


@dataclass(frozen=True)
class Benchmark:
    """What a run leaves behind.

    Attributes
    ----------
    output
        Holds ``benchmark.json``, ``benchmark.csv``, ``benchmark.md``, ``figures`` and ``runs``.
    records
        Every record in the folder, those of earlier runs included, but for those of categories of this run
        whose images or masks were replaced since.
    failures
        Categories of this run that could not be measured.
    measured
        How many records this run added.
    """

    output: Path
    records: list[Record]
    failures: list[Failure]
    measured: int


def run_benchmark(
    root: str | os.PathLike[str],
    dataset: str,
    output: str | os.PathLike[str],
    *,
    categories: Sequence[str] = (),
    presets: Sequence[str] = ("lite",),
    ablation: bool = False,
    backbone: str | Sequence[str] | None = None,
    weights: WeightsFile | Sequence[WeightsFile] = None,
    refiner_weights: WeightsFile = None,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    num_threads: int | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    progress: Progress = silent,
    on_record: Callable[[Record], None] | None = None,
    on_failure: Callable[[Failure], None] | None = None,
) -> Benchmark:
    """Measure presets on the categories of a data set and write the paper's tables.

    A run that was killed goes on where it stopped when it is called again; a category that cannot be used is
    reported and passed over. Tables and figures are brought up to date after every category.

    Parameters
    ----------
    root, dataset
        As for `pni_fast.data.category_names`.
    output
        Folder for everything that is written; may hold results of an earlier run with the same settings.
    categories
        Names to measure; empty takes all.
    presets
        Presets to measure, each in its own folder.
    ablation
        Measure the rows of the paper's Table 3 and those with context, from one fit as far as that gives the
        same models, instead of the preset as it is.
    backbone, weights, refiner_weights, device, precision, engine, num_threads, seed
        As for :class:`pni_fast.PNI`.
    settings
        Any other field of :class:`pni_fast.presets.Config`.
    progress
        Told stages named after preset, category and variant.
    on_record, on_failure
        Called with every new record, once it is on disk, and with every failure. What `on_record` or
        `progress` raises counts as a failure of the category; what `on_failure` raises ends the run.

    Returns
    -------
    Benchmark
        All records and the failures.

    Raises
    ------
    PniError
        The data set, a category's name or an option is wrong; weights cannot be found; `output` cannot be
        written, holds results of another data set or other settings, or another process writes there.
    """
    folder = Path(output)
    names = _chosen(root, dataset, categories)
    _check_data_set(folder, dataset, Path(root))
    all_records(folder)  # refuses a foreign file before the work begins
    options = {"backbone": backbone, "seed": seed, **(settings or {})}
    plans: list[Plan] = []
    claims: dict[RunFolder, dict[str, Any]] = {}
    computing = resolved_run(device, precision, num_threads, engine)
    encoder_weights = None if refiner_weights is None else Path(refiner_weights)
    for preset in dict.fromkeys(presets):
        variants, config = _variants(preset, options, ablation=ablation)
        digests = [_fingerprint(file) for file in member_weights(config.backbones, weights)]
        check_refiner_options(config, None, encoder_weights)
        run_folder = RunFolder(folder, preset)
        claims[run_folder] = {
            "dataset": dataset,
            "root": str(Path(root).resolve()),
            "version": _version(),
            "weights": digests[0] if len(digests) == 1 else digests,
            "refiner_weights": _fingerprint(encoder_weights),
            "precision": computing.precision.arithmetic,
            "engine": choose_engine(engine, computing.device.type),
            "config": _without_parts(config.as_dict()),
        }

        def model(variant: Variant, preset: str = preset, config: Config = config) -> PNI:
            return PNI(
                preset,
                weights=weights,
                refiner_weights=refiner_weights,
                device=device,
                precision=precision,
                engine=engine,
                num_threads=num_threads,
                **(options | variant.settings(config)),
            )

        plans.append(Plan(run_folder, variants, model, folder / "figures"))

    failures: list[Failure] = []
    images: dict[str, str] = {}
    measured = 0

    def count(record: Record) -> None:
        nonlocal measured
        measured += 1
        if on_record is not None:
            on_record(record)

    def fail(failure: Failure) -> None:
        failures.append(failure)
        if on_failure is not None:
            on_failure(failure)

    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        for run_folder, made_with in claims.items():
            run_folder.claim(made_with)
        for plan in plans:
            for name in names:
                before = measured
                try:
                    images.setdefault(name, "")  # no record is valid where the category is not
                    category = open_benchmark(root, dataset, name)
                    images[name] = images[name] or contents(category)
                    measure_category(plan, name, category, images[name], progress=progress, on_record=count)
                except WeightsError:  # the same for every category
                    raise
                except Exception as error:
                    fail(_failure(plan.folder.preset, name, error))
                records, stale = _split(all_records(folder), images)
                for failure in _untold(stale, failures):
                    fail(failure)
                draw_figures(records, plan.figures, plan.folder.preset, name, again=measured > before)
                if plan.figures.is_dir():  # a set without masks has none
                    mark_results(plan.figures)
                write_tables(records, folder, dataset, [vars(failure) for failure in failures])
    return Benchmark(folder, _split(all_records(folder), images)[0], failures, measured)


_STALE = (
    "left out of the tables: records made from other images or masks than there are now; "
    "delete them to measure again"
)


def _split(
    records: Sequence[Record], digests: Mapping[str, str]
) -> tuple[list[Record], list[tuple[str, str]]]:
    """Return the records without those of images that were replaced, and preset and category of these."""
    kept: list[Record] = []
    stale: list[tuple[str, str]] = []
    for record in records:
        if digests.get(record.category, record.images) == record.images:
            kept.append(record)
        else:
            stale.append((record.preset, record.category))
    return kept, stale


def _untold(stale: Sequence[tuple[str, str]], failures: Sequence[Failure]) -> list[Failure]:
    """Return the failures of records of images that were replaced, as far as nothing was said of them."""
    told = {(failure.preset, failure.category) for failure in failures}
    return [Failure(category, preset, _STALE) for preset, category in sorted(set(stale) - told)]


def _variants(
    preset: str, options: Mapping[str, Any], *, ablation: bool
) -> tuple[tuple[Variant, ...], Config]:
    """Return what is measured of a preset, and the settings of the last, which has every part."""
    config = preset_config(preset, **options)
    variants = ablation_of(config) if ablation else (Variant.of(config),)
    return variants, variants[-1].applied_to(config)


def _without_parts(config: dict[str, Any]) -> dict[str, Any]:
    """Return settings without the parts of a variant, which the records' names tell apart."""
    parts = {"position", "neighborhood", "refinement"}
    plain = {key: value for key, value in config.items() if key not in parts}
    return plain | {"context": {key: value for key, value in config["context"].items() if key != SWITCH}}


def _chosen(root: str | os.PathLike[str], dataset: str, categories: Sequence[str]) -> list[str]:
    names = category_names(root, dataset)
    for name in categories:
        if name not in names:
            raise DataError(f"{root}: category must be one of {', '.join(names)}, got {name}")
    return list(dict.fromkeys(categories)) or names


def _check_data_set(output: Path, dataset: str, root: Path) -> None:
    """Refuse a folder whose tables would mix data sets, whatever its presets."""
    for path in sorted((output / "runs").glob("*/settings.json")):
        known = read_json(path)
        for key, value in (("dataset", dataset), ("root", str(root.resolve()))):
            if known.get(key) != value:
                raise PniError(
                    f"{output}: holds results made with {key} {known.get(key)!r}, got {value!r}; "
                    "give another --output"
                )


def _version() -> str:
    try:
        return metadata.version("pni-fast")
    except metadata.PackageNotFoundError:
        return "unknown"


def _fingerprint(weights: Path | None) -> str | None:
    if weights is None:
        return None
    try:
        return hashlib.sha256(weights.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"{weights}: cannot be read: {error.strerror or error}") from error


def _failure(preset: str, category: str, error: Exception) -> Failure:
    if isinstance(error, PniError):
        return Failure(category, preset, str(error))
    line = " ".join(f"{type(error).__name__}: {error}".split())
    return Failure(category, preset, line, "".join(traceback.format_exception(error)))
