"""Images, masks and the folders they lie in."""

from .benchmarks import DATASETS, category_names, open_benchmark
from .images import IMAGE_SUFFIXES, image_size, list_images, read_image, read_mask
from .layout import Category, Sample, collect_inputs, open_category, training_images

__all__ = [
    "DATASETS",
    "IMAGE_SUFFIXES",
    "Category",
    "Sample",
    "category_names",
    "collect_inputs",
    "image_size",
    "list_images",
    "open_benchmark",
    "open_category",
    "read_image",
    "read_mask",
    "training_images",
]
