"""Images, masks and the folders they lie in."""

from pni_fast.config.choices import DATASETS

from .benchmarks import category_names, open_benchmark
from .decoding import IMAGE_SUFFIXES, image_size
from .images import read_image, read_mask
from .layout import Category, Sample, collect_inputs, open_category, training_images
from .listing import list_images
from .sources import ImageLike, ImagesLike, Source, prediction_sources, training_sources

__all__ = [
    "DATASETS",
    "IMAGE_SUFFIXES",
    "Category",
    "ImageLike",
    "ImagesLike",
    "Sample",
    "Source",
    "category_names",
    "collect_inputs",
    "image_size",
    "list_images",
    "open_benchmark",
    "open_category",
    "prediction_sources",
    "read_image",
    "read_mask",
    "training_images",
    "training_sources",
]
